/** Flags: the inputs of a declaration as the words of a command line. Pure; read by parsing, help, completion and docs. */
import { z } from "zod";
import type { Command } from "../core/command.ts";

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
  readonly positionals: readonly Positional[];
}

/** What `z.toJSONSchema` says about one field, as far as it is used here. */
interface Field {
  readonly type?: string | readonly string[];
  readonly enum?: readonly unknown[];
  readonly items?: Field;
  readonly description?: string;
  readonly default?: unknown;
}

export function wordsOf(command: Command): Words {
  const schema = z.toJSONSchema(command.input, { io: "input", unrepresentable: "any" });
  const required = new Set(schema.required ?? []);
  const fields = new Map(Object.entries(schema.properties ?? {}).map(([name, field]) => [name, asField(field)]));
  const positional = command.args.positional ?? [];
  return {
    positionals: positional.map((field, index) =>
      positionalOf(command, field, fields.get(field) ?? {}, required.has(field), index === positional.length - 1),
    ),
    flags: [...fields]
      .filter(([field]) => !positional.includes(field))
      .map(([field, says]) => flagOf(command, field, says, required.has(field))),
  };
}

function positionalOf(command: Command, field: string, says: Field, required: boolean, last: boolean): Positional {
  const variadic = says.type === "array";
  if (variadic && !last) throw new Error(`${command.name}: only the last positional input may be a list, not ${field}`);
  return {
    field,
    placeholder: command.args.values?.[field] ?? kebab(field),
    variadic,
    required,
    numeric: isNumeric(says.items ?? says),
    choices: choicesOf(says),
    summary: says.description ?? "",
  };
}

function flagOf(command: Command, field: string, says: Field, required: boolean): Flag {
  const kind = kindOf(says);
  const onByDefault = kind === "switch" && says.default === true;
  return {
    field,
    long: onByDefault ? `no-${kebab(field)}` : kebab(field),
    short: command.args.short?.[field],
    kind,
    numeric: isNumeric(says.items ?? says),
    placeholder:
      command.args.values?.[field] ?? (kind === "pairs" ? "NAME=VALUE" : isNumeric(says.items ?? says) ? "N" : "TEXT"),
    choices: choicesOf(says),
    summary: says.description ?? "",
    ...(says.default === undefined || kind === "switch" ? {} : { fallback: says.default }),
    required,
  };
}

function kindOf(says: Field): FlagKind {
  if (says.type === "boolean") return "switch";
  if (says.type === "array") return "list";
  return says.type === "object" ? "pairs" : "value";
}

function choicesOf(says: Field): readonly string[] {
  return (says.items?.enum ?? says.enum ?? []).filter((choice) => typeof choice === "string");
}

function isNumeric(says: Field): boolean {
  return says.type === "number" || says.type === "integer";
}

function asField(says: unknown): Field {
  return typeof says === "object" && says !== null ? says : {};
}

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
