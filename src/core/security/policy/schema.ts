/** The form of policy.yaml. */
import { z } from "zod";

/** One word, or a list of them. */
const patterns = z
  .union([z.string().min(1), z.array(z.string().min(1)).min(1)])
  .transform((value) => (typeof value === "string" ? [value] : value));

/** `systemctl restart *`: words apart by blanks; a list where a word holds one. */
const command = z.union([z.string(), z.array(z.string()).min(1)]).transform((value, { addIssue }) => {
  const words = typeof value === "string" ? value.split(/\s+/).filter((word) => word !== "") : value;
  if (words.length === 0 || words[0] === "" || words[0] === "$") addIssue("names no program");
  return words;
});

const rule = z.strictObject({
  name: z.string().min(1).optional(),
  effect: z.enum(["allow", "deny", "record"]),
  hosts: patterns.optional(),
  by: patterns.optional(),
  users: patterns.optional(),
  become: patterns.optional(),
  verbs: patterns.optional(),
  commands: z.array(command).min(1).optional(),
  reason: z.string().min(1).optional(),
});

export const policyFile = z.strictObject({
  audit: z.enum(["required", "optional"]).optional(),
  otherwise: z.enum(["allow", "deny"]).optional(),
  rules: z
    .array(rule)
    .nullish()
    .transform((rules) => rules ?? []),
});

export type PolicyFile = z.output<typeof policyFile>;

export const fileKeys = ["audit", "otherwise", "rules"];
export const ruleKeys = ["name", "effect", "hosts", "by", "users", "become", "verbs", "commands", "reason"];
