/** Words: which command is meant, and which of the words before it are global flags. */
import { AmiError } from "../core/errors.ts";
import { nearest } from "../core/nearest.ts";
import { globalFlags } from "./globals.ts";
import type { Flag } from "./flags.ts";

export interface Found {
  /** The longest command or group the words name: `["ssh"]`, `["ssh", "execute"]`; empty when there is none. */
  readonly path: readonly string[];
  readonly is: "command" | "group" | "nothing";
  /** Global flags (with their values) that stood before the last word of the path. */
  readonly before: readonly string[];
  readonly rest: readonly string[];
}

/** `names`: full names of all commands. Throws `usage.input` for an unknown flag before the command. */
export function findCommand(argv: readonly string[], names: readonly string[]): Found {
  const path: string[] = [];
  const before: string[] = [];
  let i = 0;
  while (i < argv.length) {
    const word = argv[i] ?? "";
    if (isFlag(word)) {
      if (isHelp(word) || isCommand(path, names) || (path.length === 0 && isVersion(word))) break;
      const taken = takeGlobal(argv, i);
      before.push(...taken);
      i += taken.length;
      continue;
    }
    if (!names.some((name) => startsWith(name.split(" "), [...path, word]))) break;
    path.push(word);
    i++;
  }
  const is = path.length === 0 ? "nothing" : isCommand(path, names) ? "command" : "group";
  return { path, is, before, rest: argv.slice(i) };
}

export function isHelp(word: string | undefined): boolean {
  return word === "--help" || word === "-h";
}

export function isVersion(word: string | undefined): boolean {
  return word === "--version" || word === "-V";
}

function isFlag(word: string): boolean {
  return word.startsWith("-") && word !== "-";
}

function isCommand(path: readonly string[], names: readonly string[]): boolean {
  return names.includes(path.join(" "));
}

function startsWith(words: readonly string[], start: readonly string[]): boolean {
  return start.every((word, i) => words[i] === word);
}

function takeGlobal(argv: readonly string[], at: number): string[] {
  const word = argv[at] ?? "";
  const equals = word.indexOf("=");
  const name = equals < 0 ? word : word.slice(0, equals);
  const flag = globalFlags.find((known) => `--${known.long}` === name);
  if (flag === undefined) throw unknownFlag(word, globalFlags, "the flags of a command stand after its name");
  if (equals >= 0 && flag.kind === "switch") throw noValue(flag);
  if (equals >= 0 || !takesNextWord(flag)) return [word];
  const value = argv[at + 1];
  if (value === undefined)
    throw new AmiError("usage.input", `--${flag.long} needs a value: --${flag.long} ${flag.placeholder}`);
  return [word, value];
}

export function takesNextWord(flag: Flag): boolean {
  return flag.kind !== "switch" && flag.kind !== "optional";
}

/** For `--json=yes`. */
export function noValue(flag: Flag, hint?: string): AmiError {
  return new AmiError("usage.input", `--${flag.long} takes no value`, { hint });
}

export function unknownFlag(word: string, flags: readonly Flag[], otherwise?: string): AmiError {
  const name = word.split("=", 1)[0] ?? word;
  const near = nearest(name.replace(/^-+/, ""), [...flags.map((flag) => flag.long), "help"]);
  return new AmiError("usage.input", `unknown flag ${name}`, {
    hint: near === undefined ? otherwise : `did you mean --${near}?`,
  });
}
