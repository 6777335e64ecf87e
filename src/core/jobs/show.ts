/** Show: a job attached to as a person looks at it: its output as events, and what Ctrl-C means. */
import { type Context } from "../command.ts";
import { formatDuration } from "../duration.ts";
import { asAmiError } from "../errors.ts";
import { outputEvent } from "../events.ts";
import { isCtrlC } from "../interrupt.ts";
import type { Target } from "../targets.ts";
import { attachJob } from "./attach.ts";
import { signalJob } from "./end.ts";
import { type JobState, lostJob } from "./job.ts";

export interface ShowWish {
  readonly id: string;
  readonly follow: boolean;
  /** It was started a moment ago. */
  readonly isThere?: boolean;
  /** `pass`: Ctrl-C goes to the job, which gets a moment to end; `leave`: the job does not notice. */
  readonly onInterrupt: "pass" | "leave";
  /** Rejects with `job.lost` when nobody knows how it ended. */
  readonly mustEnd: boolean;
}

/** Milliseconds that a job has to end after Ctrl-C; then it is left running. Less than a fan-out waits for us. */
const momentToEnd = 4000;

/** Rejects as `attachJob` does; with `run.cancelled` when the job was left running, which is said. */
export async function showJob(target: Target, wish: ShowWish, ctx: Context, signal: AbortSignal): Promise<JobState> {
  const { id } = wish;
  const leave = new AbortController();
  const open = (): ReturnType<Context["hosts"]["open"]> => ctx.hosts.open(target, { signal: leave.signal });
  const note = (level: "info" | "warn", text: string): void =>
    ctx.events.emit({ kind: "note", host: target.name, level, text });

  /** It was there when it was last heard of. */
  let goesOn = wish.isThere === true;
  let timer: NodeJS.Timeout | undefined;
  const onAbort = (): void => {
    if (wish.onInterrupt === "leave" || !isCtrlC(ctx.signal)) return leave.abort(signal.reason);
    note("info", `Ctrl-C was passed on to the job; once more leaves it running, for: ${attachLine(id, target, ctx)}`);
    timer = setTimeout(() => leave.abort(signal.reason), momentToEnd);
    const pass = async (): Promise<void> => signalJob(await open(), id, "INT", leave.signal);
    // One that cannot be reached is left.
    pass().catch(() => leave.abort(signal.reason));
  };
  signal.addEventListener("abort", onAbort, { once: true });
  if (signal.aborted) onAbort();
  try {
    const state = await attachJob({
      id,
      open,
      follow: wish.follow,
      isThere: wish.isThere,
      signal: leave.signal,
      async onOutput(stream, bytes) {
        goesOn = true;
        ctx.events.emit(outputEvent(target.name, stream, bytes));
        await ctx.caughtUp?.();
      },
      onLost(error, attempt, wait) {
        goesOn = true;
        note("warn", `${error.message}; attaching again in ${formatDuration(wait)} (attempt ${attempt})`);
      },
    });
    if (state.is === "lost" && wish.mustEnd) throw lostJob(id, target.name);
    if (state.is === "ended" && state.diskFull)
      note("warn", "the disk there was full when the job ended: not all that it said may be here");
    return state;
  } catch (error) {
    const isAway = leave.signal.aborted || asAmiError(error).code.startsWith("ssh.");
    if (isAway && (goesOn || leave.signal.aborted))
      note("info", `the job goes on there; attach again with: ${attachLine(id, target, ctx)}`);
    throw error;
  } finally {
    clearTimeout(timer);
    signal.removeEventListener("abort", onAbort);
  }
}

function attachLine(id: string, target: Target, { options }: Context): string {
  const become = options.become === undefined ? "" : ` --become=${options.become.user}`;
  return `ami-node ssh jobs attach ${id} --target ${target.name}${become}`;
}
