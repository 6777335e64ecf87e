/** Read: policies from their files. One with a mistake refuses everything: a rule that is not understood may be a ban. */
import { lstatSync } from "node:fs";
import { readFile } from "node:fs/promises";
import type { z } from "zod";
import { AmiError } from "../../errors.ts";
import { nearest } from "../../nearest.ts";
import { systemCode, whyUnreadable } from "../../unreadable.ts";
import { type Yaml, type YamlPath, type YamlProblem, parseYaml } from "../../yaml.ts";
import { isVerb } from "./judge.ts";
import type { Policy, Rule } from "./policy.ts";
import { type PolicyFile, fileKeys, policyFile, ruleKeys } from "./schema.ts";

/** Those of the files that exist. `verbs`: those there are. Rejects with `policy.invalid`. */
export async function readPolicies(files: readonly string[], verbs: readonly string[]): Promise<readonly Policy[]> {
  const texts = await Promise.all(files.map(read));
  const policies: Policy[] = [];
  for (const [index, text] of texts.entries())
    if (text !== undefined) policies.push(await parsePolicy(text, files[index] ?? "", verbs));
  return policies;
}

async function read(file: string): Promise<string | undefined> {
  try {
    return await readFile(file, "utf8");
  } catch (cause) {
    // A link that leads nowhere is no absence: somebody meant rules to be there.
    if (["ENOENT", "ENOTDIR"].includes(systemCode(cause) ?? "") && !isLink(file)) return undefined;
    throw new AmiError("policy.invalid", `the policy ${file} cannot be read: ${whyUnreadable(cause)}`, { cause });
  }
}

function isLink(file: string): boolean {
  try {
    return lstatSync(file).isSymbolicLink();
  } catch {
    return false;
  }
}

/** Rejects with `policy.invalid`: a line `file:line:column where: what` for each mistake. */
export async function parsePolicy(text: string, name: string, verbs: readonly string[]): Promise<Policy> {
  const problems: YamlProblem[] = [];
  const yaml = await parseYaml(text, name, { problems }).catch((error: unknown) => {
    throw error instanceof AmiError ? new AmiError("policy.invalid", error.message, { hint, cause: error }) : error;
  });
  const parsed = policyFile.safeParse(yaml.value ?? {});
  const mistakes = parsed.success ? strangeVerbs(parsed.data, verbs) : mistakesOf(parsed.error.issues);
  if (!parsed.success || mistakes.length + problems.length > 0) throw invalid(name, yaml, problems, mistakes);
  const rules = parsed.data.rules.map((rule, index): Rule => {
    return { ...rule, at: `${name}:${yaml.at(["rules", index]).line}` };
  });
  return { rules, otherwise: parsed.data.otherwise ?? "allow", auditRequired: parsed.data.audit === "required" };
}

interface Mistake {
  readonly path: YamlPath;
  readonly message: string;
  readonly what: "key" | "value";
}

/** A verb that does not exist would never be denied. */
function strangeVerbs({ rules }: PolicyFile, verbs: readonly string[]): Mistake[] {
  return rules.flatMap((rule, r) =>
    (rule.verbs ?? []).flatMap((pattern, v): Mistake[] => {
      const wanted = pattern.replace(/^!/, "");
      if (verbs.some((verb) => isVerb(verb, wanted))) return [];
      const message = `there is no verb ${JSON.stringify(wanted)}${didYouMean(wanted, verbs)}`;
      return [{ path: ["rules", r, "verbs", v], message, what: "value" }];
    }),
  );
}

function mistakesOf(issues: readonly z.core.$ZodIssue[], above: YamlPath = []): Mistake[] {
  return issues.flatMap((issue): Mistake[] => {
    const path = [...above, ...issue.path];
    if (issue.code === "unrecognized_keys") {
      const known = path.length === 0 ? fileKeys : ruleKeys;
      return issue.keys.map((key) => ({
        path: [...path, key],
        message: `unknown key${didYouMean(key, known)}`,
        what: "key",
      }));
    }
    if (issue.code === "invalid_union") {
      // A list is meant to be the long form: its own mistakes say more than "none of the forms".
      const meant = issue.errors.find((branch) => branch.every((one) => one.path.length > 0));
      if (meant !== undefined) return mistakesOf(meant, path);
      return [{ path, message: "must be a text, or a list of texts, not empty", what: "value" }];
    }
    return [{ path, message: inWords(issue), what: "value" }];
  });
}

function inWords(issue: z.core.$ZodIssue): string {
  if (issue.code === "invalid_value") return `must be ${issue.values.map(String).join(" or ")}`;
  if (issue.code === "too_small") return "must not be empty";
  if (issue.code !== "invalid_type") return issue.message;
  const kinds: Readonly<Record<string, string>> = { string: "a text", array: "a list", object: "a mapping" };
  return `must be ${kinds[issue.expected] ?? issue.expected}`;
}

function didYouMean(word: string, known: Iterable<string>): string {
  const near = nearest(word, known);
  return near === undefined ? "" : `, did you mean ${JSON.stringify(near)}?`;
}

const hint = "nothing is done on any target until it is mended";

function invalid(file: string, yaml: Yaml, problems: readonly YamlProblem[], mistakes: readonly Mistake[]): AmiError {
  const places = mistakes.map(({ path, message, what }) => {
    const where = path.map((part, i) =>
      typeof part === "number" ? `[${part}]` : `${i === 0 ? "" : "."}${String(part)}`,
    );
    return { ...yaml.at(path, what), message: path.length === 0 ? message : `${where.join("")}: ${message}` };
  });
  const lines = [...problems, ...places]
    .toSorted((a, b) => a.line - b.line || a.column - b.column)
    .map(({ line, column, message }) => `${file}:${line}:${column} ${message}`);
  return new AmiError("policy.invalid", lines.join("\n"), { hint });
}
