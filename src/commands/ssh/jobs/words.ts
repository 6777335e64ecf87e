/** Words that the verbs of jobs have in common. */
import { z } from "zod";
import { formatDuration } from "../../../core/duration.ts";
import { exitStatus } from "../../../core/host.ts";
import { type Job, jobIdSchema } from "../../../core/jobs/job.ts";

export const idInput = jobIdSchema.describe("of the job, as ssh run printed it");

export const idsInput = z.array(jobIdSchema).describe("of the jobs, as ssh jobs list shows them");

export const onInterrupt = (usual: "pass" | "leave"): z.ZodDefault<z.ZodEnum<{ pass: "pass"; leave: "leave" }>> =>
  z
    .enum(["pass", "leave"])
    .default(usual)
    .describe("what Ctrl-C does: pass it on to the job, or leave the job running");

/** One job in an answer. */
export const jobSchema = z.object({
  host: z.string(),
  id: z.string(),
  command: z.string(),
  session: z.string().optional().describe("the terminal session it is"),
  state: z
    .enum(["running", "ended", "lost"])
    .describe("lost: the machine was restarted or its runner killed, so its end is not known"),
  exit: z.number().int().optional().describe("128 + n for signal n"),
  signal: z.string().optional(),
  diskFull: z.boolean().optional().describe("the disk was full when it ended; not all it said may have been kept"),
  started: z.string(),
  ended: z.string().optional(),
  seconds: z.number().optional().describe("it ran, or runs already"),
  stdout: z.number().describe("bytes it said"),
  stderr: z.number(),
});

export function jobJson(host: string, job: Job): z.output<typeof jobSchema> {
  const { id, command, session, state, started, now, stdout, stderr } = job;
  const common = { host, id, command, session, started: new Date(started).toISOString(), stdout, stderr };
  if (state.is === "lost") return { ...common, state: "lost" };
  if (state.is === "running") return { ...common, state: "running", seconds: (now - started) / 1000 };
  return {
    ...common,
    state: "ended",
    exit: exitStatus(state.exit),
    signal: state.exit.signal,
    ...(state.diskFull ? { diskFull: true } : {}),
    ended: new Date(state.ended).toISOString(),
    seconds: (state.ended - started) / 1000,
  };
}

/** `running`, `exited 3`, `killed by TERM`, `lost`. */
export function stateText({ state, exit, signal, diskFull }: z.output<typeof jobSchema>): string {
  if (state !== "ended") return state;
  return `${signal === undefined ? `exited ${exit}` : `killed by ${signal}`}${diskFull === true ? ", disk full" : ""}`;
}

export function ranText({ seconds }: z.output<typeof jobSchema>): string {
  if (seconds === undefined) return "?";
  // The clock there is read to the second.
  return seconds < 60 ? `${seconds} s` : formatDuration(seconds * 1000);
}
