/** ssh jobs logs: what a job has said. */
import { z } from "zod";
import { act } from "../../../core/act.ts";
import { type Context, defineCommand } from "../../../core/command.ts";
import { errorJson } from "../../../core/errors.ts";
import { showJob } from "../../../core/jobs/show.ts";
import { errorSchema } from "../../../core/report.ts";
import { idInput } from "./words.ts";

const input = z.strictObject({
  id: idInput,
  follow: z.boolean().default(false).describe("go on with what it still says, until it ends"),
});

const output = z.object({
  id: z.string(),
  hosts: z.array(
    z.object({
      host: z.string(),
      state: z.enum(["running", "ended", "lost"]).optional(),
      ms: z.number(),
      error: errorSchema.optional(),
    }),
  ),
});

export const command = defineCommand({
  name: "ssh jobs logs",
  summary: "Show what a job has said",
  description:
    "Its stdout on stdout, its stderr on stderr, each byte for byte. The exit code says whether that could be read, and nothing of the job's own.",
  examples: [
    { line: "ami-node ssh jobs logs k3mfq7xz --target web1", says: "so far" },
    { line: "ami-node ssh jobs logs -f k3mfq7xz --target web1", says: "and on" },
  ],
  input,
  args: { positional: ["id"], short: { follow: "f" } },
  output,
  effect: "read",
  shows: "events",
  passesOutput: true,
  targets: "settings",
  run: logs,
});

async function logs(
  wish: z.output<typeof input>,
  ctx: Context,
): Promise<{ output: z.output<typeof output>; exit: number }> {
  const { id, follow } = wish;
  const { fans, exit } = await act(ctx, {
    title: `job ${id}`,
    work: (target, signal) => showJob(target, { id, follow, onInterrupt: "leave", mustEnd: false }, ctx, signal),
  });
  const hosts = fans.map((fan): z.output<typeof output>["hosts"][number] => {
    const common = { host: fan.target.name, ms: fan.ms };
    return fan.state === "done" ? { ...common, state: fan.value.is } : { ...common, error: errorJson(fan.error) };
  });
  return { output: { id, hosts }, exit };
}
