/** Parse: commander, built from one declaration, turns words into validated input and global flags. */
import { CommanderError, Command as Commander, Option } from "commander";
import type { z } from "zod";
import type { Globals } from "../app.ts";
import type { Command } from "../core/command.ts";
import { AmiError } from "../core/errors.ts";
import { nearest } from "../core/nearest.ts";
import { wordsOf } from "./declared.ts";
import { flagSays, flagTerm, positionalSays, positionalTerm, targetField } from "./flags.ts";
import type { Flag, Positional, Words } from "./flags.ts";
import { globalFlags, namingFlags, readGlobals, targetFlags } from "./globals.ts";
import { leadTarget, leadTrailing, withoutTarget } from "./trailing.ts";
import { noValue, takesNextWord, unknownFlag } from "./words.ts";

export type Parsed =
  | { readonly want: "run"; readonly input: z.output<z.ZodObject>; readonly globals: Globals }
  | { readonly want: "help" };

/** `before`: global flags that stood before the command. Throws `usage.input`. */
export function parse(command: Command, before: readonly string[], rest: readonly string[]): Parsed {
  const { words, globals, commander } = builtFor(command);
  const all = [...words.flags, ...globals];
  const passThrough = command.args.passThrough === true;
  const hasTargetWord = command.args.targetWord === true;
  const takesMore = hasTargetWord && (command.args.positional ?? []).length > 0;
  const skipped = takesMore && !passThrough ? withoutTarget(before, rest, all) : rest;
  const ordered = !passThrough ? skipped : hasTargetWord ? leadTarget(before, rest, all) : leadTrailing(rest, all);
  try {
    commander.parse([...before, ...spellOptional(ordered, all, passThrough)], { from: "user" });
  } catch (error) {
    if (error instanceof CommanderError) {
      if (error.code === "commander.helpDisplayed") return { want: "help" };
      throw usage(error, command, words, all);
    }
    throw error;
  }
  const given = (flag: Flag) => {
    const name = attributeOf(flag);
    return commander.getOptionValueSource(name) === "cli" ? valueOf(flag, commander.getOptionValue(name)) : undefined;
  };
  const raw = new Map<string, unknown>();
  for (const flag of globals) raw.set(flag.field, given(flag));
  const input: Record<string, unknown> = {};
  for (const flag of words.flags) setField(input, flag.field, given(flag));
  for (const [i, positional] of words.positionals.entries()) {
    const value = positionalValue(positional, commander.processedArgs[i]);
    if (positional.field !== targetField) setField(input, positional.field, value);
    else raw.set("target", [...listOf(raw.get("target")), ...[value].flat().filter((word) => isWord(word))]);
  }
  return { want: "run", input: validate(command, words, input), globals: readGlobals(raw) };
}

/** The empty word says that no target stands in its place. */
function isWord(word: unknown): boolean {
  return word !== undefined && word !== "";
}

interface Built {
  readonly words: Words;
  readonly globals: readonly Flag[];
  /** Forgets what it has parsed when it parses again. */
  readonly commander: Commander;
}

const built = new WeakMap<Command, Built>();

/** One process may parse for many (ssh broker). */
function builtFor(command: Command): Built {
  const known = built.get(command);
  if (known !== undefined) return known;
  const words = wordsOf(command);
  const globals = globalsOf(command);
  const made = { words, globals, commander: build(command, words, globals) };
  built.set(command, made);
  return made;
}

function listOf(value: unknown): unknown[] {
  return Array.isArray(value) ? value : [];
}

/** Flags that mean something for this command; a command without targets takes none that are about targets. */
export function globalsOf(command: Pick<Command, "targets" | "readsSshConfig">): readonly Flag[] {
  if (command.targets === "words") return globalFlags.filter((flag) => !namingFlags.has(flag.field));
  if (command.targets !== "none") return globalFlags;
  const reads = (field: string): boolean => command.readsSshConfig === true && field === "sshConfig";
  return globalFlags.filter(({ field }) => !targetFlags.has(field) || reads(field));
}

/** The help page of one command. */
export function commandHelp(command: Command, columns: number): string {
  const commander = build(command, wordsOf(command), globalsOf(command), columns);
  return `${commander.helpInformation()}${closing(command)}`;
}

function build(command: Command, words: Words, globals: readonly Flag[], columns = 80): Commander {
  const commander = new Commander(`ami-node ${command.name}`);
  const terms = new Map<string, string>();
  commander
    .description([`${command.summary}.`.replace(/([.!?])\.$/, "$1"), command.description].filter(Boolean).join("\n\n"))
    .usage(["[flags]", ...words.positionals.map(positionalTerm)].join(" "))
    .addHelpOption(new Option("-h, --help", "show this page").helpGroup("Global flags:"))
    .exitOverride()
    .configureOutput({ writeOut: () => {}, writeErr: () => {} })
    .configureHelp({ helpWidth: columns, optionTerm: (option) => terms.get(option.long ?? "") ?? option.flags })
    .allowExcessArguments(false)
    .passThroughOptions(command.args.passThrough === true);
  for (const positional of words.positionals) {
    // Never required for commander: a missing one is said by the schema, like every other wrong input.
    commander.argument(`[${positional.placeholder}${positional.variadic ? "..." : ""}]`, positionalSays(positional));
  }
  for (const [group, flags] of [
    ["Flags:", words.flags],
    ["Global flags:", globals],
  ] as const) {
    for (const flag of flags) {
      terms.set(`--${flag.long}`, flagTerm(flag));
      commander.addOption(optionOf(flag).helpGroup(group));
    }
  }
  return commander;
}

function optionOf(flag: Flag): Option {
  const short = flag.short === undefined ? "" : `-${flag.short}, `;
  const option = new Option(
    `${short}--${flag.long}${flag.kind === "switch" ? "" : ` <${flag.placeholder || "value"}>`}`,
    flagSays(flag),
  );
  if (flag.kind === "list" || flag.kind === "pairs") {
    option.argParser((value: string, earlier: unknown) => [
      ...(Array.isArray(earlier) ? earlier.map(String) : []),
      value,
    ]);
  }
  return option;
}

function closing(command: Command): string {
  const examples = command.examples.flatMap(({ line, says }) => [`  ${line}`, `      ${says}`]);
  const exits = Object.entries(command.exits ?? {}).map(([code, says]) => `  ${code}  ${says}`);
  return [
    ...(examples.length > 0 ? ["", "Examples:", ...examples] : []),
    ...(exits.length > 0 ? ["", "Exit codes of its own:", ...exits] : []),
    "",
  ].join("\n");
}

/**
 * `--become` alone becomes `--become=root`: an optional value is only ever attached by `=`, so that the next word
 * is never swallowed. Looks no further than `--`, or the first positional of a pass-through command.
 */
function spellOptional(words: readonly string[], flags: readonly Flag[], passThrough: boolean): string[] {
  const out: string[] = [];
  for (let i = 0; i < words.length; i++) {
    const word = words[i] ?? "";
    if (word === "--" || (passThrough && !word.startsWith("-"))) return [...out, ...words.slice(i)];
    const flag = flags.find(
      (known) => word === `--${known.long}` || (known.short !== undefined && word === `-${known.short}`),
    );
    if (flag?.kind === "optional") out.push(`${word}=${flag.alone ?? ""}`);
    else out.push(word);
    const value = words[i + 1];
    if (flag !== undefined && takesNextWord(flag) && value !== undefined) {
      out.push(value);
      i++;
    }
  }
  return out;
}

/** How commander names the value of an option: `--no-color` sets `color`. */
function attributeOf(flag: Flag): string {
  return new Option(`--${flag.long}`).attributeName();
}

function valueOf(flag: Flag, value: unknown): unknown {
  if (flag.kind === "pairs") return pairs(flag, Array.isArray(value) ? value.map(String) : []);
  if (!flag.numeric) return value;
  return Array.isArray(value) ? value.map(toNumber) : toNumber(value);
}

function positionalValue(positional: Positional, value: unknown): unknown {
  if (Array.isArray(value) && value.length === 0) return undefined;
  if (!positional.numeric) return value;
  return Array.isArray(value) ? value.map(toNumber) : toNumber(value);
}

/** What is no number stays text, so that the schema can say so. */
function toNumber(value: unknown): unknown {
  if (typeof value !== "string" || value.trim() === "") return value;
  const number = Number(value);
  return Number.isNaN(number) ? value : number;
}

function pairs(flag: Flag, words: readonly string[]): Record<string, string> {
  return Object.fromEntries(
    words.map((word) => {
      const equals = word.indexOf("=");
      if (equals > 0) return [word.slice(0, equals), word.slice(equals + 1)];
      throw new AmiError("usage.input", `--${flag.long}: ${JSON.stringify(word)} is not NAME=VALUE`);
    }),
  );
}

function setField(input: Record<string, unknown>, field: string, value: unknown): void {
  if (value !== undefined) input[field] = value;
}

function validate(command: Command, words: Words, input: Record<string, unknown>): z.output<z.ZodObject> {
  const read = command.input.safeParse(input, { error: inWords });
  if (read.success) return read.data;
  const lines = read.error.issues.map((issue) => {
    const field = String(issue.path[0] ?? "");
    const flag = words.flags.find((known) => known.field === field);
    const positional = words.positionals.find((known) => known.field === field);
    const missing = issue.path.length === 1 && input[field] === undefined;
    if (positional !== undefined) {
      return missing
        ? `missing ${positionalTerm(positional)}`
        : `${positional.placeholder}: ${wrong(issue, input, positional.choices)}`;
    }
    if (flag !== undefined) {
      return missing
        ? `--${flag.long} ${flag.placeholder} is needed`
        : `--${flag.long}: ${wrong(issue, input, flag.choices)}`;
    }
    return issue.message;
  });
  throw new AmiError("usage.input", lines.join("\n"), { hint: `see ami-node ${command.name} --help` });
}

/** Where a schema has no words of its own: zod's are for programmers. */
function inWords(issue: z.core.$ZodRawIssue): string | undefined {
  if (issue.code === "invalid_type") {
    const kinds: Readonly<Record<string, string>> = { number: "a number", int: "a whole number", string: "a text" };
    return `must be ${kinds[issue.expected] ?? issue.expected}`;
  }
  if (issue.code === "too_small")
    return issue.origin === "string" ? "must not be empty" : `must be at least ${issue.minimum}`;
  if (issue.code === "too_big") return `must be at most ${issue.maximum}`;
  return undefined;
}

function wrong(issue: z.core.$ZodIssue, input: Record<string, unknown>, choices: readonly string[]): string {
  if (issue.code !== "invalid_value" || choices.length === 0) return issue.message;
  const value = input[String(issue.path[0])];
  const word = String(Array.isArray(value) ? value[Number(issue.path[1] ?? 0)] : value);
  const near = nearest(word, choices);
  return `${JSON.stringify(word)} is ${near === undefined ? `none of ${choices.join(", ")}` : `not known; did you mean ${near}?`}`;
}

function usage(error: CommanderError, command: Command, words: Words, flags: readonly Flag[]): AmiError {
  const help = `see ami-node ${command.name} --help`;
  const said = error.message.replace(/^error: /, "");
  const quoted = /'([^']*)'/.exec(said)?.[1] ?? "";
  if (error.code === "commander.unknownOption") {
    if (globalFlags.some((flag) => `--${flag.long}` === quoted)) {
      const why = command.targets === "none" ? "takes no targets" : "has its targets in its words";
      return new AmiError("usage.input", `${quoted}: ${command.name} ${why}`, { hint: help });
    }
    const [name] = quoted.split("=", 1);
    const known = flags.find((flag) => `--${flag.long}` === name);
    if (known !== undefined) return noValue(known, help);
    const last = words.positionals.at(-1);
    const foreign = `flags of the program itself go after --, as in: ami-node ${command.name} -- ls -l`;
    return unknownFlag(quoted, flags, last?.variadic === true ? foreign : help);
  }
  if (error.code === "commander.optionMissingArgument") {
    const flag = flags.find((known) => quoted.includes(`--${known.long} `));
    return new AmiError(
      "usage.input",
      flag === undefined ? said : `--${flag.long} needs a value: --${flag.long} ${flag.placeholder}`,
      { hint: help },
    );
  }
  if (error.code === "commander.excessArguments") {
    const excess = said.replace(/^.* got \d+: (.*)\.$/s, "$1");
    const [needed] = words.positionals.length === 0 ? words.flags.filter((flag) => flag.required) : [];
    const attached = words.flags.find(({ kind }) => kind === "optional");
    const hint =
      needed !== undefined
        ? `did you mean --${needed.long} ${excess}?`
        : attached !== undefined
          ? `--${attached.long} takes its value behind =: --${attached.long}=${attached.alone || attached.placeholder}`
          : help;
    return new AmiError("usage.input", `too many words: ${excess}`, { hint });
  }
  return new AmiError("usage.input", said, { hint: help });
}
