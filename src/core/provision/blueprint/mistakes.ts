/** Mistakes: what is wrong in a blueprint, in words and with its place. */
import type { z } from "zod";
import { AmiError } from "../../errors.ts";
import { nearest } from "../../nearest.ts";

export interface Problem {
  readonly file: string;
  /** From 1. Undefined: given on the command line or by the inventory. */
  readonly line: number | undefined;
  readonly column: number | undefined;
  /** `resources[2].mode`; empty for the file as a whole. */
  readonly where: string;
  readonly message: string;
}

/** `blueprint.invalid` with every problem found; its message has a line for each, in the order of the file. */
export class BlueprintError extends AmiError {
  readonly problems: readonly Problem[];

  constructor(problems: readonly Problem[]) {
    const sorted = inOrder(problems);
    super("blueprint.invalid", sorted.map(problemLine).join("\n"));
    this.problems = sorted;
  }
}

/** `dev.yaml:12:5 resources[2].mode: message` */
export function problemLine({ file, line, column, where, message }: Problem): string {
  const place = line === undefined ? file : `${file}:${line}:${column ?? 1}`;
  return where === "" ? `${place} ${message}` : `${place} ${where}: ${message}`;
}

/** By file in the order they were met, then by position; the same thing said twice is said once. */
function inOrder(problems: readonly Problem[]): Problem[] {
  const files = [...new Set(problems.map((problem) => problem.file))];
  const once = new Map(problems.map((problem) => [problemLine(problem), problem]));
  return [...once.values()].toSorted(
    (a, b) =>
      files.indexOf(a.file) - files.indexOf(b.file) ||
      (a.line ?? 1e9) - (b.line ?? 1e9) ||
      (a.column ?? 0) - (b.column ?? 0),
  );
}

/** `, did you mean "port"?` or nothing. */
export function didYouMean(word: string, known: Iterable<string>): string {
  const guess = nearest(word, known);
  return guess === undefined ? "" : `, did you mean ${JSON.stringify(guess)}?`;
}

export type Path = readonly PropertyKey[];

/** `resources[2].env.PATH` */
export function whereText(path: Path): string {
  return path
    .map((part, i) => (typeof part === "number" ? `[${part}]` : `${i === 0 ? "" : "."}${String(part)}`))
    .join("");
}

/** Something wrong at a path relative to what was validated. */
export interface Mistake {
  readonly path: Path;
  readonly message: string;
}

/** What zod found, in our words. `known` are keys to suggest for unknown ones; `typed` is a plain scalar as it was written. */
export function mistakesOf(
  issues: readonly z.core.$ZodIssue[],
  value: unknown,
  known: readonly string[],
  typed: (path: Path) => string | undefined,
): Mistake[] {
  return issues.flatMap((issue): Mistake[] => {
    if (issue.code === "unrecognized_keys") {
      return issue.keys.map((key) => ({
        path: [...issue.path, key],
        message: `unknown key ${JSON.stringify(key)}${didYouMean(key, known)}`,
      }));
    }
    if (issue.code === "invalid_union") return ofUnion(issue, value, known, typed);
    const actual = issue.path.reduce<unknown>(
      (at, part) => (typeof at === "object" && at !== null ? Reflect.get(at, part) : undefined),
      value,
    );
    if (issue.code === "invalid_key") return [{ path: issue.path, message: issue.issues[0]?.message ?? issue.message }];
    return [{ path: issue.path, message: inWords(issue, actual, typed(issue.path)) }];
  });
}

/** The branch of the value's own kind says what is wrong; without one, all kinds are named. */
function ofUnion(
  issue: z.core.$ZodIssueInvalidUnion,
  value: unknown,
  known: readonly string[],
  typed: (path: Path) => string | undefined,
): Mistake[] {
  const branches = issue.errors.filter(
    (branch) => !branch.some((one) => one.code === "invalid_type" && one.path.length === 0),
  );
  const [meant] = branches;
  if (meant !== undefined && branches.length === 1) {
    return mistakesOf(
      meant.map((one) => ({ ...one, path: [...issue.path, ...one.path] })),
      value,
      known,
      typed,
    );
  }
  const kinds = new Set(issue.errors.flat().map((one) => (one.code === "invalid_type" ? kindName(one.expected) : "")));
  return [{ path: issue.path, message: kinds.has("") ? issue.message : `must be ${[...kinds].join(" or ")}` }];
}

function inWords(issue: z.core.$ZodIssue, value: unknown, typed: string | undefined): string {
  if (issue.path.at(-1) === "mode" && typeof value === "number") return `quote the mode: "${octal(value, typed)}"`;
  // Messages of the resource types themselves are better than ours.
  if (!/^(Invalid (input|option)|Too (small|big)|Unrecognized)/.test(issue.message)) return issue.message;
  if (issue.code === "invalid_type") {
    if (value === undefined) return "is missing";
    const scalar = ["number", "boolean"].includes(typeof value) || value === null;
    if (issue.expected === "string" && scalar && value !== null)
      return `must be a text: quote it, "${typed ?? JSON.stringify(value)}"`;
    if (issue.expected === "boolean")
      return `must be true or false${typeof value === "string" ? `, not the text ${JSON.stringify(value)}` : ""}`;
    return `must be ${kindName(issue.expected)}, not ${kindOf(value)}`;
  }
  if (issue.code === "invalid_value") {
    const options = issue.values.map(String);
    return `must be ${options.join(" or ")}${value === undefined ? "" : `, not ${JSON.stringify(value)}`}${typeof value === "string" ? didYouMean(value, options) : ""}`;
  }
  if (issue.code === "too_small")
    return issue.origin === "string" || issue.origin === "array"
      ? "must not be empty"
      : `must be ${issue.inclusive === true ? "at least" : "more than"} ${issue.minimum}`;
  if (issue.code === "too_big")
    return `must be at most ${issue.maximum}${issue.origin === "string" ? " characters" : ""}`;
  return issue.message;
}

/** The four digits that were meant: YAML 1.2 reads 0644 as 644, and 0o644 as 420. */
function octal(value: number, typed: string | undefined): string {
  const digits = (typed ?? String(value)).replace(/^0o/, "").replace(/^0+(?=[0-7]{3})/, "");
  return digits.padStart(4, "0");
}

function kindName(expected: string): string {
  const names: Record<string, string> = {
    string: "a text",
    boolean: "true or false",
    array: "a list",
    record: "a mapping",
    object: "a mapping",
    number: "a number",
    int: "a whole number",
  };
  return names[expected] ?? expected;
}

export function kindOf(value: unknown): string {
  if (value === null || value === undefined) return "empty";
  if (Array.isArray(value)) return "a list";
  if (typeof value === "object") return "a mapping";
  if (typeof value === "string")
    return `the text ${JSON.stringify(value.length > 40 ? `${value.slice(0, 40)}...` : value)}`;
  return JSON.stringify(value);
}
