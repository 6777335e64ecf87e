/** Mistakes: what zod found, in words for people. */
import type { z } from "zod";
import { nearest } from "../nearest.ts";
import type { YamlPath } from "../yaml.ts";
import { knownKeys } from "./schema.ts";

export interface Mistake {
  readonly path: YamlPath;
  readonly message: string;
  /** What its place is: the value (the default) or the key. */
  readonly what?: "key" | "value";
}

export function mistakesOf(issues: readonly z.core.$ZodIssue[], value: unknown): Mistake[] {
  return issues.flatMap((issue): Mistake[] => {
    if (issue.code === "unrecognized_keys") return issue.keys.map((key) => unknownKey(issue.path, key));
    if (issue.code === "invalid_key") {
      return [{ path: issue.path, message: issue.issues[0]?.message ?? issue.message, what: "key" }];
    }
    if (issue.code === "invalid_union") {
      // A mapping is meant to be the long form: its own mistakes say more than "none of the forms".
      const meant = issue.errors.find((branch) =>
        branch.every((one) => one.code !== "invalid_type" || one.path.length > 0),
      );
      if (meant === undefined)
        return [{ path: issue.path, message: "must be an address or a mapping with address, groups, vars" }];
      return mistakesOf(
        meant.map((one) => ({ ...one, path: [...issue.path, ...one.path] })),
        value,
      );
    }
    return [{ path: issue.path, message: inWords(issue, valueAt(value, issue.path)) }];
  });
}

function unknownKey(path: YamlPath, key: string): Mistake {
  const all = { path: [...path, key], what: "key" } as const;
  if (path[0] === "nodes" && ["user", "port", "host", "hostname"].includes(key.toLowerCase())) {
    return { ...all, message: "is no key of its own: write address: user@host:port" };
  }
  const near = nearest(key, knownKeys[path.length] ?? []);
  return { ...all, message: `unknown key${near === undefined ? "" : `, did you mean ${JSON.stringify(near)}?`}` };
}

function inWords(issue: z.core.$ZodIssue, value: unknown): string {
  if (issue.code === "invalid_type") return `must be ${kinds[issue.expected] ?? issue.expected}, not ${kindOf(value)}`;
  if (issue.code === "too_small") return "must not be empty";
  return issue.message;
}

const kinds: Readonly<Record<string, string>> = {
  string: "a text",
  array: "a list",
  object: "a mapping",
  record: "a mapping",
};

function kindOf(value: unknown): string {
  if (value === undefined || value === null) return "empty";
  if (Array.isArray(value)) return "a list";
  if (typeof value === "object") return "a mapping";
  return typeof value === "string" ? "a text" : `the ${typeof value} ${JSON.stringify(value)}`;
}

function valueAt(value: unknown, path: YamlPath): unknown {
  return path.reduce<unknown>(
    (at, part) => (typeof at === "object" && at !== null ? Reflect.get(at, part) : undefined),
    value,
  );
}
