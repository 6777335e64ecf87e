/** Flags: what a flag and a word of a command line are, and how help and docs name them. */

export interface Flag {
  /** Field of the input (or of the global flags). */
  readonly field: string;
  /** Without dashes: `dry-run`, or `no-color` for a switch that is on by default. */
  readonly long: string;
  readonly short?: string | undefined;
  readonly kind: FlagKind;
  /** Elements are numbers. */
  readonly numeric: boolean;
  readonly placeholder: string;
  /** The only words it takes. */
  readonly choices: readonly string[];
  readonly summary: string;
  /** What an `optional` flag means when it stands alone. */
  readonly alone?: string;
  readonly fallback?: unknown;
  readonly required: boolean;
}

/** `pairs`: `--env NAME=VALUE`, repeatable, becomes an object. `optional`: `--become` or `--become=USER`. */
export type FlagKind = "switch" | "value" | "list" | "pairs" | "optional";

export interface Positional {
  readonly field: string;
  readonly placeholder: string;
  readonly variadic: boolean;
  readonly required: boolean;
  readonly numeric: boolean;
  readonly choices: readonly string[];
  readonly summary: string;
}

export interface Words {
  readonly flags: readonly Flag[];
  /** In order; one whose field is `targetField` is no input but a target. */
  readonly positionals: readonly Positional[];
}

/** Field of the word that names a target; no input of a command is called so. */
export const targetField = "--target";

export function kebab(field: string): string {
  return field.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
}

/** `--no-color`, `-C, --check`, `--var NAME=VALUE`, `--become[=USER]`: how help and docs name it. */
export function flagTerm(flag: Flag): string {
  const value = {
    switch: "",
    optional: `[=${flag.placeholder}]`,
    value: ` ${flag.placeholder}`,
    list: ` ${flag.placeholder}`,
    pairs: ` ${flag.placeholder}`,
  };
  return `${flag.short === undefined ? "" : `-${flag.short}, `}--${flag.long}${value[flag.kind]}`;
}

/** The summary with choices, default and repetition said. */
export function flagSays(flag: Flag): string {
  const notes = [
    ...(flag.choices.length > 0 ? [`one of ${flag.choices.join(", ")}`] : []),
    ...(flag.fallback === undefined || isEmpty(flag.fallback) ? [] : [`default ${spoken(flag.fallback)}`]),
    ...(flag.kind === "list" || flag.kind === "pairs" ? ["repeatable"] : []),
    ...(flag.required ? ["required"] : []),
  ];
  return notes.length === 0 ? flag.summary : `${flag.summary}${flag.summary === "" ? "" : " "}(${notes.join("; ")})`;
}

export function positionalTerm(positional: Positional): string {
  const name = positional.variadic ? `${positional.placeholder}...` : positional.placeholder;
  return positional.required ? `<${name}>` : `[${name}]`;
}

export function positionalSays({ summary, choices }: Positional): string {
  return choices.length === 0 ? summary : `${summary}${summary === "" ? "" : " "}(one of ${choices.join(", ")})`;
}

function isEmpty(value: unknown): boolean {
  return Array.isArray(value)
    ? value.length === 0
    : typeof value === "object" && value !== null && Object.keys(value).length === 0;
}

function spoken(value: unknown): string {
  return typeof value === "string" ? value : JSON.stringify(value);
}
