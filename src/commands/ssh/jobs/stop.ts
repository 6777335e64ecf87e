/** ssh jobs stop: ends jobs and all that they started. */
import { z } from "zod";
import { act } from "../../../core/act.ts";
import { type Context, defineCommand } from "../../../core/command.ts";
import { parseDuration } from "../../../core/duration.ts";
import { errorJson } from "../../../core/errors.ts";
import { exitStatus } from "../../../core/host.ts";
import { type Stopped, stopJob } from "../../../core/jobs/end.ts";
import { errorSchema } from "../../../core/report.ts";
import { idsInput } from "./words.ts";

const input = z.strictObject({
  ids: idsInput.min(1, "name at least one job"),
  grace: z
    .string()
    .refine((text) => parseDuration(text) !== undefined, "is no time like 30, 30s or 5m")
    .default("10s")
    .describe("time between TERM and KILL"),
});

const output = z.object({
  hosts: z.array(
    z.object({
      host: z.string(),
      jobs: z
        .array(
          z.object({
            id: z.string(),
            how: z.enum(["ended before", "stopped", "killed"]).describe("killed: it did not end in its time of grace"),
            exit: z.number().int().optional().describe("absent when its runner was gone"),
          }),
        )
        .optional(),
      error: errorSchema.optional(),
    }),
  ),
});

export const command = defineCommand({
  name: "ssh jobs stop",
  summary: "End jobs and all that they started",
  description:
    "All processes of the job's session, and on Linux those that carry its id in their environment, get TERM, and KILL when they have not ended in time. It fails when some do not end even then, and names them.",
  examples: [
    { line: "ami-node ssh jobs stop k3mfq7xz --target web1", says: "with 10 seconds of grace" },
    { line: "ami-node ssh jobs stop k3mfq7xz --grace 0 --target web1", says: "at once" },
  ],
  input,
  args: { positional: ["ids"], values: { ids: "ID", grace: "TIME" } },
  output,
  effect: "change",
  programs: "own",
  shows: "events",
  targets: "settings",
  run: stop,
});

async function stop(
  wish: z.output<typeof input>,
  ctx: Context,
): Promise<{ output: z.output<typeof output>; exit: number }> {
  const grace = parseDuration(wish.grace) ?? 0;
  const { fans, exit } = await act(ctx, {
    title: `stop ${wish.ids.join(", ")}`,
    async work(target, signal) {
      const host = await ctx.hosts.open(target, { signal });
      return Promise.all(
        wish.ids.map(async (id) => {
          const stopped = await stopJob(host, id, grace, signal);
          ctx.events.emit({ kind: "note", host: target.name, level: "info", text: `job ${id}: ${told(stopped)}` });
          return { id, how: stopped.how, ...(stopped.exit === undefined ? {} : { exit: exitStatus(stopped.exit) }) };
        }),
      );
    },
  });
  const hosts = fans.map((fan) => ({
    host: fan.target.name,
    ...(fan.state === "done" ? { jobs: fan.value } : { error: errorJson(fan.error) }),
  }));
  return { output: { hosts }, exit };
}

function told({ how, exit }: Stopped): string {
  if (exit === undefined) return `${how}, and nobody knows with what exit code`;
  return `${how}, ${exit.signal === undefined ? `exit ${exit.code}` : `by ${exit.signal}`}`;
}
