/** Keys: every setting there is, what it means, and how its words are read. */
import { resolve } from "node:path";
import { z } from "zod";
import { parseDuration } from "../duration.ts";
import { AmiError } from "../errors.ts";
import { expandRanges, isPattern, splitList } from "../names.ts";
import { nearest } from "../nearest.ts";
import { homeOf } from "../runtime-compat.ts";
import { parseTarget } from "../targets.ts";
import { homeFolder } from "./paths.ts";

const words = z.string().min(1, "must not be empty");
/** Kept absolute: a setting must not mean another file in another folder. */
const file = words.transform((path, { addIssue }) => {
  const [tilde = "", user] = /^~([^/]*)/.exec(path) ?? [];
  const home = user === undefined ? "" : user === "" ? homeFolder(process.env) : homeOf(user);
  if (home !== undefined) return resolve(home + path.slice(tilde.length));
  addIssue(`there is no user ${user} here; write ./${path} for a file of that name`);
  return z.NEVER;
});
const count = z
  .union([z.number(), z.string().regex(/^\d+$/).transform(Number)], "must be a number")
  .pipe(z.number().int().min(1, "must be at least 1").max(10_000, "must be at most 10000"));
const targets = z.string().superRefine((text, { addIssue }) => {
  const problem = targetsProblem(text);
  if (problem !== undefined) addIssue(problem);
});
const oneOf = <const T extends readonly [string, ...string[]]>(...choices: T) =>
  z.enum(choices, `must be one of ${choices.join(", ")}`);
const time = z
  .union([z.number().transform(String), z.string()], "must be a time like 30s or 10m")
  .refine((text) => isTime(parseDuration(text)), "must be a time like 30s or 10m, a day at most");
const flag = z.union([z.boolean(), z.stringbool()], "must be true or false");

export const settingKeys = {
  "default.target": { schema: targets, says: "targets of the ssh group when no --target is given" },
  "audit.enabled": { schema: flag, says: "keep the audit log of what is done on targets" },
  "become.method": { schema: oneOf("sudo", "su", "doas"), says: "how --become becomes another user" },
  color: { schema: oneOf("auto", "always", "never"), says: "colours: on terminals only, always, or never" },
  inventory: { schema: file, says: "the nodes file: names, addresses, groups, vars" },
  "log.level": { schema: oneOf("off", "errors", "actions"), says: "what goes into the log file" },
  parallel: { schema: count, says: "targets worked on at once" },
  "ssh.acceptNew": { schema: flag, says: "accept and remember host keys that were never seen before" },
  "ssh.config": {
    schema: z.literal("none").or(file),
    says: "ssh config file instead of ~/.ssh/config; none reads none",
  },
  "ssh.identity": { schema: file, says: "private key file to offer" },
  "ssh.transport": {
    schema: oneOf("auto", "ssh2", "system"),
    says: "who logs in: this program (ssh2), the ssh of this machine (system), or auto (ssh2 unless the ssh config asks for what it lacks)",
  },
  "ssh.persist": {
    schema: time,
    says: "how long connections stay open for the next ssh execute, as in 10m; unset, they close with the command",
  },
  "vault.store": {
    schema: oneOf("auto", "file", "keyring"),
    says: "where secrets are kept: the system's keyring, an encrypted file, or auto (the keyring unless there is a file)",
  },
} as const satisfies Record<string, { schema: z.ZodType; says: string }>;

function isTime(ms: number | undefined): boolean {
  return ms !== undefined && ms > 0 && ms <= 86_400_000;
}

export type SettingKey = keyof typeof settingKeys;
export type SettingValue = string | number | boolean;

/** The key as typed, or `usage.input` with the nearest one. */
export function settingKey(word: string): SettingKey {
  if (isSettingKey(word)) return word;
  const near = nearest(word, Object.keys(settingKeys));
  throw new AmiError("usage.input", `there is no setting ${JSON.stringify(word)}`, {
    hint: near === undefined ? "list them all with: ami-node config list" : `did you mean ${near}?`,
  });
}

export function isSettingKey(word: string): word is SettingKey {
  return Object.hasOwn(settingKeys, word);
}

/** What can be known of a list of targets before nodes.yaml is read: that it names something, in words that can be read. */
function targetsProblem(text: string): string | undefined {
  const list = splitList([text]);
  if (list.length === 0) return "names nothing";
  try {
    for (const word of list.map((one) => one.replace(/^!/, "")).filter((one) => !one.startsWith("@")))
      for (const one of expandRanges(word)) if (!isPattern(one)) parseTarget(one);
  } catch (error) {
    if (error instanceof AmiError) return error.message;
    throw error;
  }
  return undefined;
}

/** The value of a key, read from the words of a command line or from the file. */
export function readValue(
  key: SettingKey,
  raw: unknown,
): { readonly ok: true; readonly value: SettingValue } | { readonly ok: false; readonly why: string } {
  const read = settingKeys[key].schema.safeParse(raw);
  if (read.success) return { ok: true, value: read.data };
  return { ok: false, why: read.error.issues.map((issue) => issue.message).join("; ") };
}
