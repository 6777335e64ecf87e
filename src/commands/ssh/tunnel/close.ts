/** ssh tunnel close: ends tunnels in the background. */
import { z } from "zod";
import { defineCommand } from "../../../core/command.ts";
import { AmiError } from "../../../core/errors.ts";
import { nearest } from "../../../core/nearest.ts";

const input = z.strictObject({
  names: z.array(z.string().min(1)).default([]).describe("as ssh tunnel list names them"),
  all: z.boolean().default(false).describe("all of this user on this machine"),
});

const output = z.object({
  closed: z.array(z.string()).describe("were ended"),
  gone: z.array(z.string()).describe("had ended before, and are listed no more"),
});

export const command = defineCommand({
  name: "ssh tunnel close",
  summary: "End tunnels in the background",
  description: "Their clients are cut off. A process is ended only when it is the very one that was started.",
  examples: [
    { line: "ami-node ssh tunnel close web1", says: "one" },
    { line: "ami-node ssh tunnel close --all", says: "every one" },
  ],
  input,
  args: { positional: ["names"], values: { names: "NAME" } },
  output,
  effect: "change",
  shows: "answer",
  targets: "none",
  async run({ names, all }) {
    if (all === names.length > 0) throw new AmiError("usage.input", "name the tunnels to end, or give --all");
    const [{ endBackground }, { readRecords, recordFolder }] = await Promise.all([
      import("../../../core/tunnel/background.ts"),
      import("../../../core/tunnel/records.ts"),
    ]);
    const folder = await recordFolder();
    const records = await readRecords(folder);
    const known = records.map(({ name }) => name);
    const unknown = names.find((name) => !known.includes(name));
    if (unknown !== undefined) {
      const near = nearest(unknown, known);
      throw new AmiError("usage.input", `there is no tunnel ${unknown}`, {
        hint: near === undefined ? "list them with: ami-node ssh tunnel list" : `did you mean ${near}?`,
      });
    }
    const chosen = records.filter(({ name }) => all || names.includes(name));
    const ends = await Promise.all(
      chosen.map(async (record) => ({ name: record.name, wasAlive: await endBackground(folder, record) })),
    );
    const named = (alive: boolean): string[] => ends.filter((end) => end.wasAlive === alive).map(({ name }) => name);
    return { output: { closed: named(true), gone: named(false) } };
  },
  text({ closed, gone }) {
    if (closed.length + gone.length === 0) return "there are no tunnels in the background\n";
    return [...closed.map((name) => `${name}: closed`), ...gone.map((name) => `${name}: had ended before`)].join("\n");
  },
});
