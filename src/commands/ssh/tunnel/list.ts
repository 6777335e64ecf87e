/** ssh tunnel list: the tunnels in the background. */
import { z } from "zod";
import { defineCommand } from "../../../core/command.ts";
import { errorSchema } from "../../../core/report.ts";

const input = z.strictObject({});

const output = z.object({
  tunnels: z.array(
    z.object({
      name: z.string(),
      target: z.string(),
      state: z.enum(["starting", "up", "lost", "failed"]).describe("lost: it is connecting again"),
      pid: z.number().int(),
      since: z.string().describe("when it came to this state"),
      tunnels: z.array(z.object({ listens: z.enum(["here", "there"]), listen: z.string(), to: z.string() })),
      error: errorSchema.optional(),
      log: z.string(),
    }),
  ),
});

export const command = defineCommand({
  name: "ssh tunnel list",
  summary: "List the tunnels in the background",
  description: "Those that ssh tunnel --background started for this user on this machine, and how they are.",
  examples: [{ line: "ami-node ssh tunnel list", says: "all of them" }],
  input,
  args: {},
  output,
  effect: "read",
  shows: "answer",
  targets: "none",
  async run() {
    const { isAlive, readRecords, recordFolder } = await import("../../../core/tunnel/records.ts");
    const records = await readRecords(await recordFolder());
    const tunnels = await Promise.all(
      records.map(async ({ mark, state, ...record }) => ({
        ...record,
        // One that was killed had no time to say so.
        state: (await isAlive({ ...record, mark })) ? state : ("failed" as const),
      })),
    );
    return { output: { tunnels } };
  },
  text({ tunnels }) {
    if (tunnels.length === 0) return "there are no tunnels in the background\n";
    return tunnels
      .flatMap(({ name, target, state, pid, tunnels: each, error, log }) => [
        `${name}: ${state}, through ${target}, pid ${pid}`,
        ...each.map(({ listens, listen, to }) =>
          listens === "here"
            ? `  ${listen} here -> ${to} from ${target}`
            : `  ${listen} on ${target} -> ${to} from here`,
        ),
        ...(state === "up" ? [] : [`  ${error?.message ?? "it ended without a word"}; log: ${log}`]),
      ])
      .join("\n");
  },
});
