/** ssh jobs list: what runs, and ran, on targets without being attached to. */
import { z } from "zod";
import { formatBytes } from "../../../core/bytes.ts";
import { columns } from "../../../core/columns.ts";
import { type Context, defineCommand } from "../../../core/command.ts";
import { errorJson } from "../../../core/errors.ts";
import { fanout } from "../../../core/fanout.ts";
import { listJobs } from "../../../core/jobs/list.ts";
import { errorSchema, exitOfMany } from "../../../core/report.ts";
import { visible } from "../../../core/visible.ts";
import { jobJson, jobSchema, ranText, stateText } from "./words.ts";

const input = z.strictObject({
  running: z.boolean().default(false).describe("only those that run"),
});

const output = z.object({
  jobs: z.array(jobSchema),
  failed: z.array(z.object({ host: z.string(), error: errorSchema })).describe("hosts that could not be asked"),
});

export const command = defineCommand({
  name: "ssh jobs list",
  summary: "List the jobs on targets",
  description:
    "Those of the user there; with --become those of the other user. The oldest come first. Of a job whose command was killed by a signal and of one that ended with 128 + n by itself the machine tells the same.",
  examples: [
    { line: "ami-node ssh jobs list web1", says: "on one host" },
    { line: "ami-node ssh jobs list --target 'web*' --running", says: "on many, only what runs" },
  ],
  input,
  args: { targetWord: true },
  output,
  effect: "read",
  shows: "answer",
  targets: "settings",
  route: { method: "GET", path: "/api/ssh/jobs" },
  run: list,
  text({ jobs, failed }) {
    const rows = jobs.map((job) => [
      job.id,
      job.host,
      stateText(job),
      job.started.replace("T", " ").replace(/\.\d+Z$/, ""),
      ranText(job),
      formatBytes(job.stdout + job.stderr),
      shortened(visible(job.command).replaceAll("\n", "; ")),
    ]);
    const wide = columns([["id", "host", "state", "started (UTC)", "ran", "output", "command"], ...rows]).split("\n");
    const lines = rows.length === 0 ? (failed.length > 0 ? [] : ["there are no jobs"]) : wide;
    return [...lines, ...failed.map(({ host, error }) => `${host}: ${error.message}`)].join("\n");
  },
});

async function list(
  wish: z.output<typeof input>,
  ctx: Context,
): Promise<{ output: z.output<typeof output>; exit: number }> {
  const { targets, options, signal } = ctx;
  const fans = await fanout(
    targets,
    { parallel: options.parallel, timeout: options.timeout, signal },
    async (target, own) => listJobs(await ctx.hosts.open(target, { signal: own }), own),
  );
  const [only] = fans;
  if (fans.length === 1 && only !== undefined && only.state !== "done") throw only.error;
  const jobs = fans.flatMap((fan) =>
    fan.state === "done" ? fan.value.map((job) => jobJson(fan.target.name, job)) : [],
  );
  const failed = fans.flatMap((fan) =>
    fan.state === "done" ? [] : [{ host: fan.target.name, error: errorJson(fan.error) }],
  );
  const exit = exitOfMany(fans.map((fan) => (fan.state === "done" ? "ok" : fan.error)));
  return { output: { jobs: jobs.filter(({ state }) => !wish.running || state === "running"), failed }, exit };
}

function shortened(text: string): string {
  return text.length > 60 ? `${text.slice(0, 59)}…` : text;
}
