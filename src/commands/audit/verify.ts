/** audit verify: is the audit log what was written? */
import { z } from "zod";
import { defineCommand } from "../../core/command.ts";
import { AmiError, exitCodes } from "../../core/errors.ts";
import type { Link } from "../../core/security/audit/line.ts";
import { type Finding, verifyAudit } from "../../core/security/audit/verify.ts";
import { reading, theAudit } from "./words.ts";

const input = z.strictObject({
  head: z
    .array(z.string().regex(/^\d+:[0-9a-f]{16,64}$/, "is no head, as in 120:9f3c21d0a7b4e655"))
    .default([])
    .describe(
      "SEQ:HASH of an earlier audit verify, kept elsewhere (16 digits of the hash do): that line must still be there",
    ),
});

const finding = z.object({ file: z.string(), line: z.number().int(), what: z.string() });

const output = z.object({
  folder: z.string(),
  lines: z.number().int(),
  files: z.number().int(),
  head: z.string().optional().describe("SEQ:HASH of the last line"),
  problems: z.array(finding),
  notes: z.array(finding).describe("what a crash leaves; nothing that was whole is missing"),
});

export const command = defineCommand({
  name: "audit verify",
  summary: "Find out whether the audit log was altered",
  description: `Every line seals the one before it, so an altered, removed, inserted or moved line is found, and so is a tail that was cut off.

Whoever may write these files can also write a whole new log. Keep the head that is printed in another place, and give it with --head the next time: then that is found too.`,
  examples: [
    { line: "ami-node audit verify", says: "the whole log" },
    { line: "ami-node audit verify --head 120:9f3c21d0a7b4e655", says: "and that line 120 is still the one it was" },
  ],
  input,
  args: { values: { head: "SEQ:HASH" } },
  output,
  effect: "read",
  shows: "answer",
  targets: "none",
  exits: { 1: "it was altered" },
  run: verify,
  text({ folder, lines, files, head, problems, notes }) {
    const told = [...problems.map((one) => findingText(one)), ...notes.map((one) => `${findingText(one)} (no harm)`)];
    const count = `${lines} lines in ${files} ${files === 1 ? "file" : "files"} of ${folder}`;
    if (problems.length > 0) return [...told, `altered: ${count}`].join("\n");
    return [...told, `intact: ${count}`, ...(head === undefined ? [] : [`head: ${head}`])].join("\n");
  },
});

async function verify(wish: z.output<typeof input>): Promise<{ output: z.output<typeof output>; exit: number }> {
  const audit = theAudit();
  const { lines, files, last, problems, notes } = await reading(audit, () => verifyAudit(audit, wish.head.map(linkOf)));
  const head = last.seq === 0 ? {} : { head: `${last.seq}:${last.hash}` };
  return {
    output: { folder: audit.folder, lines, files: files.length, ...head, problems: [...problems], notes: [...notes] },
    exit: problems.length === 0 ? exitCodes.ok : exitCodes.failed,
  };
}

function linkOf(text: string): Link {
  const [seq = "", hash = ""] = text.split(":");
  if (Number(seq) === 0) throw new AmiError("usage.input", "--head: lines are counted from 1");
  return { seq: Number(seq), hash };
}

function findingText({ file, line, what }: Finding): string {
  return `${file}${line === 0 ? "" : `:${line}`}: ${what}`;
}
