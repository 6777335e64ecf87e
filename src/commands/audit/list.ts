/** audit list: what was done on targets. */
import { z } from "zod";
import { quoteArgv } from "../../core/argv.ts";
import { columns } from "../../core/columns.ts";
import { defineCommand } from "../../core/command.ts";
import type { AuditLine } from "../../core/security/audit/line.ts";
import { auditLines, hostsOf } from "../../core/security/audit/lines.ts";
import { filterInput, filterOf, reading, theAudit } from "./words.ts";

const input = z.strictObject({
  ...filterInput,
  last: z.number().int().min(1).max(1_000_000).default(50).describe("so many of the newest lines"),
});

const line = z.looseObject({
  seq: z.number().int(),
  at: z.string(),
  kind: z.string(),
  run: z.string(),
  user: z.string(),
  verb: z.string(),
});

const output = z.object({ folder: z.string(), lines: z.array(line).describe("as they stand in the log") });

export const command = defineCommand({
  name: "audit list",
  summary: "Show what was done on targets",
  description: `The newest lines last: when, by whom, with which verb, where, and what came of it. Whether they are what was written is told by ami-node audit verify.`,
  examples: [
    { line: "ami-node audit list", says: "the last 50 lines" },
    { line: "ami-node audit list --host web1 --since 7d", says: "a week on one host" },
    { line: "ami-node audit list --verb 'ssh execute' --last 1000 --json", says: "commands, with all that is known" },
  ],
  input,
  args: { values: { host: "HOST", verb: "VERB", user: "USER", since: "TIME" } },
  output,
  effect: "read",
  shows: "answer",
  targets: "none",
  run: list,
  text: ({ folder, lines }) =>
    lines.length === 0 ? `nothing of that in ${folder}` : columns(lines.map((each) => rowOf(each))),
});

async function list(wish: z.output<typeof input>): Promise<{ output: z.output<typeof output> }> {
  const files = theAudit();
  const lines: AuditLine[] = [];
  await reading(files, async () => {
    for await (const each of auditLines(files, filterOf(wish))) {
      lines.push(each);
      if (lines.length > 2 * wish.last) lines.splice(0, lines.length - wish.last);
    }
  });
  return { output: { folder: files.folder, lines: lines.slice(-wish.last) } };
}

type Shown = z.output<typeof line>;

function rowOf(shown: Shown): string[] {
  const each = { ...shown, prev: "", hash: "" };
  return [
    String(each.seq),
    each.at.replace("T", " ").replace(/\.\d+Z$/, "Z"),
    each.user,
    each.verb,
    where(each),
    what(shown),
  ];
}

function where(each: AuditLine): string {
  const [first = "", ...others] = hostsOf(each);
  const as = typeof each["as"] === "string" ? ` as ${each["as"]}` : "";
  return `${first}${others.length === 0 ? "" : ` +${others.length}`}${as}`;
}

function what(each: Shown): string {
  const text = (key: string): string => (typeof each[key] === "string" ? each[key] : "");
  const words = Array.isArray(each["argv"]) ? quoteArgv(each["argv"].map(String)) : "";
  const came = text("error") || (typeof each["exit"] === "number" ? `exit ${each["exit"]}` : "");
  switch (each.kind) {
    case "command":
      return `${words === "" ? "(a terminal)" : words} -> ${came}`;
    case "step":
      return `${text("title")} -> ${text("outcome")}`;
    case "denied":
      return `denied: ${words === "" ? text("does") : words}`;
    case "recording":
      return `recorded as ${text("file")}`;
    case "start":
    case "end":
      return [each.kind, came].filter((word) => word !== "").join(" -> ");
    case "broken":
      return `lines were lost: ${text("why")}`;
    default:
      return each.kind;
  }
}
