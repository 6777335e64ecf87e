/** ssh jobs attach: shows a job from its beginning to its end. */
import { z } from "zod";
import { act } from "../../../core/act.ts";
import { type Context, defineCommand } from "../../../core/command.ts";
import { errorJson } from "../../../core/errors.ts";
import { exitStatus } from "../../../core/host.ts";
import type { JobState } from "../../../core/jobs/job.ts";
import { showJob } from "../../../core/jobs/show.ts";
import { errorSchema } from "../../../core/report.ts";
import { idInput, onInterrupt } from "./words.ts";

const input = z.strictObject({ id: idInput, onInterrupt: onInterrupt("leave") });

const output = z.object({
  id: z.string(),
  hosts: z.array(
    z.object({
      host: z.string(),
      exit: z.number().int().optional().describe("128 + n for signal n"),
      signal: z.string().optional(),
      ms: z.number(),
      error: errorSchema.optional(),
    }),
  ),
});

export const command = defineCommand({
  name: "ssh jobs attach",
  summary: "Show a job from its beginning, and wait for its end",
  description: `All it has said, then what it says, stdout and stderr apart; at its end its exit code becomes ours. A lost connection is made again, and nothing is lost or shown twice. A job that is over can be attached to as well.

Ctrl-C leaves the job running, unless --on-interrupt pass is given.`,
  examples: [{ line: "ami-node ssh jobs attach k3mfq7xz --target web1", says: "the job that ssh run printed" }],
  input,
  args: { positional: ["id"], values: { onInterrupt: "WHAT" } },
  output,
  effect: "change",
  programs: "own",
  shows: "events",
  passesOutput: true,
  targets: "settings",
  exits: { 3: "how it ended is not known, or several targets and at least one failed", 130: "left running" },
  run: attach,
});

async function attach(
  wish: z.output<typeof input>,
  ctx: Context,
): Promise<{ output: z.output<typeof output>; exit: number }> {
  const { id } = wish;
  const { fans, exit } = await act<JobState>(ctx, {
    title: `job ${id}`,
    work: (target, signal) =>
      showJob(target, { id, follow: true, onInterrupt: wish.onInterrupt, mustEnd: true }, ctx, signal),
    ended(state) {
      const status = state.is === "ended" ? exitStatus(state.exit) : 0;
      return { ended: status === 0 ? "ok" : "failed", exit: status };
    },
  });
  const hosts = fans.map((fan): z.output<typeof output>["hosts"][number] => {
    const common = { host: fan.target.name, ms: fan.ms };
    if (fan.state !== "done") return { ...common, error: errorJson(fan.error) };
    if (fan.value.is !== "ended") return common;
    return { ...common, exit: exitStatus(fan.value.exit), signal: fan.value.exit.signal };
  });
  return { output: { id, hosts }, exit };
}
