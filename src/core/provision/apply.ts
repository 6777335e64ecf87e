/**
 * Apply: carries out the changes of a stage, in order, and says what came of each. Stops at the first failure.
 * A lost connection is no failure: the run goes on without us, and we attach to it again.
 */
import { isLoss } from "../detached.ts";
import { AmiError, asAmiError } from "../errors.ts";
import type { Guard, Step } from "../resource.ts";
import {
  applyProgram,
  attachProgram,
  bodyCost,
  cancelProgram,
  largestBody,
  temp,
  type CompiledChange,
  type JournalEntry,
} from "./dialects/sh.ts";
import type { Frame } from "./frames.ts";
import type { Session } from "./session.ts";
import type { Sessions, UserKey } from "./sessions.ts";

export interface Job {
  /** Number of the job in its stage; results speak of it. */
  readonly index: number;
  readonly user: UserKey;
  readonly steps: readonly Step[];
  readonly guards: readonly Guard[];
  readonly journal: readonly JournalEntry[];
  readonly clear: readonly string[];
  readonly ignoreErrors: boolean;
  readonly retries: number;
  readonly timeout: number | undefined;
}

export interface JobResult {
  readonly index: number;
  /** `same`: its guard held right before the run. */
  readonly exit: number | "same";
  readonly stdout: string;
  readonly stderr: string;
  /** Bytes the program said of which only the end was kept; undefined: all of it was. */
  readonly said?: number | undefined;
}

export interface ApplyOptions {
  readonly run: string;
  readonly who: string;
  readonly signal: AbortSignal;
  onStart(index: number): void;
  onEnd(result: JobResult): void;
  onNote(text: string): void;
}

/** Resolves true when all jobs were done (or may fail), false when one failed. Rejects when the outcome is out of reach. */
export async function applyJobs(sessions: Sessions, jobs: readonly Job[], options: ApplyOptions): Promise<boolean> {
  const holders = new Set<UserKey>();
  for (const segment of cut(jobs)) {
    // Nothing is put anywhere before the lock is ours.
    if (segment.uploads.length > 0 && !holders.has(segment.user))
      await runSegment(sessions, { user: segment.user, jobs: [], uploads: [] }, options);
    holders.add(segment.user);
    for (const upload of segment.uploads) {
      const host = await sessions.host(segment.user);
      sessions.countTrip();
      await host.put(upload.body, upload.path, { mode: 0o600, signal: options.signal });
    }
    if (!(await runSegment(sessions, segment, options))) return false;
  }
  return true;
}

interface Segment {
  readonly user: UserKey;
  readonly jobs: Job[];
  readonly uploads: { readonly path: string; readonly body: Buffer }[];
}

/** One program for each run of jobs of one user; a job with a large body begins a new one, so that its folder exists. */
function cut(jobs: readonly Job[]): Segment[] {
  const segments: Segment[] = [];
  for (const job of jobs) {
    const uploads = job.steps.flatMap((step) =>
      step.do === "write" && isLarge(step.body) ? [{ path: temp(step.path), body: step.body }] : [],
    );
    const open = segments.at(-1);
    if (open === undefined || open.user !== job.user || uploads.length > 0)
      segments.push({ user: job.user, jobs: [job], uploads });
    else open.jobs.push(job);
  }
  return segments;
}

function isLarge(body: Buffer): boolean {
  return body.length > largestBody || bodyCost(body) > largestBody;
}

async function runSegment(sessions: Sessions, segment: Segment, options: ApplyOptions): Promise<boolean> {
  let session = await sessions.get(segment.user);
  const compiled: CompiledChange[] = segment.jobs.map((job) => ({
    ...job,
    steps: job.steps.map((step) => (step.do === "write" && isLarge(step.body) ? { ...step, body: undefined } : step)),
  }));
  const program = applyProgram({
    nonce: session.nonce,
    run: options.run,
    who: options.who,
    changes: compiled,
  });
  const follow = createFollower(session.host.name, segment.jobs, options);
  const cancel = (): void => {
    // The session's own channel may be busy or dead: another shell ends the run. What cannot be reached is told by the outcome.
    session.host
      .exec(["sh"], { stdin: cancelProgram(options.run), timeout: 10_000 })
      .catch((error: unknown) => options.onNote(asAmiError(error).message));
  };
  options.signal.addEventListener("abort", cancel, { once: true });
  try {
    await session.run(program, follow.until, follow.onFrame);
  } catch (error) {
    if (options.signal.aborted || !follow.attachable(error)) throw error;
    session = await attach(sessions, segment.user, session.nonce, follow, options);
  } finally {
    options.signal.removeEventListener("abort", cancel);
  }
  return follow.outcome();
}

/** Connects again, for as long as a run may live without its client, and reads on where the stream broke off. */
async function attach(
  sessions: Sessions,
  user: UserKey,
  nonce: string,
  follow: Follower,
  options: ApplyOptions,
): Promise<Session> {
  let last: unknown;
  for (const wait of [0, 1000, 2000, 4000, 8000, 15_000, 30_000]) {
    await pause(wait, options.signal);
    try {
      const session = await sessions.reopen(user, nonce);
      options.onNote("the connection was lost; attached to the run again");
      await session.run(
        attachProgram(nonce, options.run, follow.bytes()),
        (frame) =>
          follow.until(frame) ||
          frame.word === "lost" ||
          frame.word === "absent" ||
          (frame.word === "end" && frame.args.length === 0),
        follow.onFrame,
      );
      return session;
    } catch (error) {
      if (options.signal.aborted) throw error;
      last = error;
      if (!follow.attachable(error)) throw error;
    }
  }
  throw new AmiError(
    "apply.lost",
    `the connection was lost during the run and could not be made again: ${asAmiError(last).message}`,
    {
      retry: "unknown",
      hint: "the run goes on without us; run again: it looks first and repeats nothing that is done",
      cause: last,
    },
  );
}

interface Follower {
  until(frame: Frame): boolean;
  onFrame(frame: Frame, bytes: number): void;
  /** Bytes of the run's log read so far. */
  bytes(): number;
  attachable(error: unknown): boolean;
  outcome(): boolean;
}

function createFollower(host: string, jobs: readonly Job[], options: ApplyOptions): Follower {
  let bytes = 0;
  let failed = false;
  let ended: "done" | "stopped" | "lost" | "absent" | undefined;
  let out: { index: number; stdout: string; stderr: string; said?: number } = { index: -1, stdout: "", stderr: "" };
  return {
    bytes: () => bytes,
    until: (frame) => ["done", "stopped", "lost"].includes(frame.word),
    onFrame(frame, size) {
      const [index = "-1", code = ""] = frame.args;
      switch (frame.word) {
        case "attached":
          return;
        case "broken":
          throw new AmiError(
            "apply.failed",
            `${host}: the folder .ami-node in the home directory cannot be written: ${frame.args.join(" ")}`,
            { host, hint: "the effective user needs a home directory, with some room, for locks and logs" },
          );
        case "locked":
          throw locked(host, frame.args);
        case "lost":
        case "absent":
          ended = frame.word;
          return;
        case "start":
          options.onStart(Number(index));
          break;
        case "out":
        case "err":
          if (out.index !== Number(index)) out = { index: Number(index), stdout: "", stderr: "" };
          out[frame.word === "out" ? "stdout" : "stderr"] = frame.body.toString("utf8");
          if (code !== "") out.said = (out.said ?? 0) + Number(code);
          break;
        case "end": {
          if (frame.args.length === 0) return;
          const said: Omit<JobResult, "index" | "exit"> =
            out.index === Number(index) ? out : { stdout: "", stderr: "" };
          const exit = code === "same" ? "same" : Number(code);
          const fatal = jobs.find((job) => job.index === Number(index))?.ignoreErrors !== true;
          if (exit !== "same" && exit !== 0 && fatal) failed = true;
          options.onEnd({ ...said, index: Number(index), exit });
          break;
        }
        case "done":
        case "stopped":
          ended = frame.word;
          break;
        default:
          break;
      }
      bytes += size;
    },
    attachable: (error) => ended === undefined && isLoss(error),
    outcome() {
      if (ended === "stopped") throw new AmiError("run.cancelled", `the run on ${host} was ended`, { host });
      if (ended === "absent") {
        throw new AmiError(
          "apply.lost",
          `${host}: the connection was lost before the run began; nothing was changed by it`,
          { host, retry: "yes", hint: "run it again" },
        );
      }
      if (ended === "lost") {
        throw new AmiError(
          "apply.lost",
          `${host}: the run ended in the middle (its shell is gone: killed, or the disk is full)`,
          {
            host,
            retry: "yes",
            hint: "run it again: it looks first and repeats nothing that is done",
          },
        );
      }
      return !failed;
    },
  };
}

function locked(host: string, args: readonly string[]): AmiError {
  const [age = "0", ...who] = args;
  return new AmiError(
    "apply.locked",
    `${host}: another run holds the lock: ${who.join(" ")}, last heard of ${age} s ago`,
    {
      host,
      retry: "yes",
      hint: "wait until it is done; a run that died gives its lock back after 60 s",
    },
  );
}

async function pause(ms: number, signal: AbortSignal): Promise<void> {
  if (ms === 0) return;
  const { setTimeout: sleep } = await import("node:timers/promises");
  await sleep(ms, undefined, { signal });
}
