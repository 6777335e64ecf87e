/** audit export: the lines of the audit log for other programs. */
import { z } from "zod";
import { type Context, defineCommand } from "../../core/command.ts";
import { AmiError } from "../../core/errors.ts";
import { csvHead, csvRow } from "../../core/security/audit/csv.ts";
import { canonical } from "../../core/security/audit/line.ts";
import { auditLines } from "../../core/security/audit/lines.ts";
import { filterInput, filterOf, reading, theAudit } from "./words.ts";

const input = z.strictObject({
  ...filterInput,
  format: z.enum(["json", "csv"]).default("json").describe("json: one object a line, as they stand in the log"),
});

const output = z.object({ lines: z.number().int() });

export const command = defineCommand({
  name: "audit export",
  summary: "Print the audit log for other programs",
  description: `The oldest line first, on stdout. As json every line keeps its hash; together and unfiltered they can be verified elsewhere by the same rule: the sha256 of the line without its hash, keys sorted.`,
  examples: [
    { line: "ami-node audit export > audit.jsonl", says: "all of it" },
    { line: "ami-node audit export --format csv --since 30d > audit.csv", says: "a month, for a table" },
  ],
  input,
  args: { values: { host: "HOST", verb: "VERB", user: "USER", since: "TIME" } },
  output,
  effect: "read",
  shows: "events",
  targets: "none",
  run: exportLines,
});

async function exportLines(
  wish: z.output<typeof input>,
  { stdio, options, signal }: Context,
): Promise<{ output: z.output<typeof output> }> {
  if (options.json) {
    throw new AmiError("usage.input", "--json is the form of events; lines are exported as json without it");
  }
  const files = theAudit();
  let lines = 0;
  const write = async (text: string): Promise<void> => {
    if (stdio === undefined || stdio.stdout.write(text)) return;
    await new Promise<void>((done) => {
      stdio.stdout
        .once("drain", done)
        .once("close", done)
        .once("error", () => done());
      signal.addEventListener("abort", () => done(), { once: true });
    });
  };
  if (wish.format === "csv") await write(csvHead);
  await reading(files, async () => {
    for await (const line of auditLines(files, filterOf(wish))) {
      signal.throwIfAborted();
      lines++;
      await write(wish.format === "csv" ? csvRow(line) : `${canonical(line)}\n`);
    }
  });
  return { output: { lines } };
}
