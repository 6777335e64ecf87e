/** ssh jobs rm: takes away what is kept of jobs that run no more. */
import { z } from "zod";
import { type Context, defineCommand } from "../../../core/command.ts";
import { AmiError, errorJson } from "../../../core/errors.ts";
import { fanout } from "../../../core/fanout.ts";
import { type Removal, removeJobs } from "../../../core/jobs/end.ts";
import { absentJob } from "../../../core/jobs/job.ts";
import { listJobs } from "../../../core/jobs/list.ts";
import { type Ended, errorSchema, exitOfMany } from "../../../core/report.ts";
import { idsInput } from "./words.ts";

const input = z.strictObject({
  ids: idsInput.default([]),
  ended: z.boolean().default(false).describe("all that run no more"),
});

const output = z.object({
  hosts: z.array(
    z.object({
      host: z.string(),
      removed: z.array(z.string()),
      error: errorSchema.optional(),
    }),
  ),
});

export const command = defineCommand({
  name: "ssh jobs rm",
  summary: "Remove what is kept of jobs",
  description:
    "Their output and exit codes are deleted; it asks first. Jobs that run are left alone: stop them before. Without this they go 30 days after their end, when the next job is started.",
  examples: [
    { line: "ami-node ssh jobs rm k3mfq7xz --target web1", says: "one" },
    { line: "ami-node ssh jobs rm --ended --yes --target web1,web2", says: "all that are over, without a question" },
  ],
  input,
  args: { positional: ["ids"], values: { ids: "ID" } },
  output,
  effect: "destroy",
  programs: "own",
  shows: "answer",
  targets: "settings",
  run: remove,
  text: ({ hosts }) =>
    hosts
      .map(({ host, removed, error }) =>
        error === undefined ? `${host}: ${removed.length} removed` : `${host}: ${error.message}`,
      )
      .join("\n"),
});

async function remove(
  wish: z.output<typeof input>,
  ctx: Context,
): Promise<{ output: z.output<typeof output>; exit: number }> {
  const { targets, options, signal } = ctx;
  if (wish.ended === wish.ids.length > 0) throw new AmiError("usage.input", "name the jobs to remove, or give --ended");
  const what = wish.ended ? "all jobs that run no more" : wish.ids.join(", ");
  await ctx.confirm(`remove ${what} on ${targets.map(({ name }) => name).join(", ")}, with all they said?`);
  const fans = await fanout(
    targets,
    { parallel: options.parallel, timeout: options.timeout, signal },
    async (target, own) => {
      const host = await ctx.hosts.open(target, { signal: own });
      const ids = wish.ended
        ? (await listJobs(host, own)).filter(({ state }) => state.is !== "running").map(({ id }) => id)
        : wish.ids;
      const removals = await removeJobs(host, ids, own);
      const removed = ids.filter((_, i) => removals[i] === "removed");
      return { removed, error: ids.map((id, i) => problem(id, removals[i], host.name)).find(Boolean) };
    },
  );
  const [only] = fans;
  if (fans.length === 1 && only?.state === "done" && only.value.error !== undefined) throw only.value.error;
  if (fans.length === 1 && only !== undefined && only.state !== "done") throw only.error;
  const hosts = fans.map((fan) => {
    const error = fan.state === "done" ? fan.value.error : fan.error;
    const removed = fan.state === "done" ? fan.value.removed : [];
    return { host: fan.target.name, removed, ...(error === undefined ? {} : { error: errorJson(error) }) };
  });
  const ends = fans.map((fan): Ended => (fan.state === "done" ? (fan.value.error ?? "ok") : fan.error));
  return { output: { hosts }, exit: exitOfMany(ends) };
}

function problem(id: string, removal: Removal | undefined, host: string): AmiError | undefined {
  if (removal === "removed") return undefined;
  if (removal === "absent") return absentJob(id, host);
  if (removal === "running") {
    return new AmiError("run.refused", `job ${id} is running`, {
      host,
      hint: `stop it first: ami-node ssh jobs stop ${id} --target ${host}`,
    });
  }
  return new AmiError("job.failed", `what is kept of job ${id} cannot be deleted`, { host });
}
