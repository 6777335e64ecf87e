/**
 * Attach: shows what a job says, from any place of it to its end. When the connection is lost it is made again, and
 * reading goes on at the very byte: places in files are counted, nothing is guessed.
 */
import { randomBytes } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { isLoss } from "../detached.ts";
import { AmiError, asAmiError } from "../errors.ts";
import type { Host, Running } from "../host.ts";
import { wholeCharacters } from "../output.ts";
import { waitBefore } from "../retry.ts";
import { followProgram } from "./far.ts";
import { type JobState, absentJob, jobExit } from "./job.ts";
import { createPieces } from "./pieces.ts";

export interface AttachWish {
  readonly id: string;
  /** Opens the host, by a new connection when the last one is gone. */
  open(): Promise<Host>;
  /** Wait for what it still says, and for its end. */
  readonly follow: boolean;
  /** Bytes that are known already. */
  readonly from?: { readonly stdout: number; readonly stderr: number } | undefined;
  /** Aborted when nobody looks any more; the job does not notice. */
  readonly signal: AbortSignal;
  /** Called with what it says, in order; characters are not torn. What it returns is waited for. */
  onOutput(stream: "stdout" | "stderr", bytes: Buffer): Promise<void> | void;
  onLost?(error: AmiError, attempt: number, wait: number): void;
}

/** Milliseconds without a connection after which it is given up. */
export const patience = 3_600_000;

/**
 * Resolves with how it ended, or `running` when it is not followed. Rejects with `job.absent`, with `run.cancelled`, and
 * with what no waiting mends (a changed host key) or what went on for too long.
 */
export async function attachJob(wish: AttachWish): Promise<JobState> {
  const { id, signal, onOutput } = wish;
  const at = { stdout: wish.from?.stdout ?? 0, stderr: wish.from?.stderr ?? 0 };
  const held = { stdout: Buffer.alloc(0), stderr: Buffer.alloc(0) };
  let lostSince: number | undefined;
  let attempt = 0;

  const take = async (stream: "stdout" | "stderr", bytes: Buffer): Promise<void> => {
    at[stream] += bytes.length;
    const all = Buffer.concat([held[stream], bytes]);
    const whole = wholeCharacters(all);
    held[stream] = Buffer.from(all.subarray(whole));
    if (whole > 0) await onOutput(stream, all.subarray(0, whole));
  };
  const read = async (host: Host): Promise<JobState | undefined> => {
    const nonce = randomBytes(9).toString("hex");
    const words = [nonce, id, String(at.stdout), String(at.stderr), wish.follow ? "follow" : ""];
    const running = await host.spawn(["sh", "-c", followProgram, "sh", ...words], { signal });
    running.stderr.resume();
    const pieces = createPieces(nonce);
    let state: JobState | undefined;
    for await (const chunk of untilBroken(running)) {
      for (const piece of pieces.push(chunk)) {
        attempt = 0;
        lostSince = undefined;
        if (piece.is === "bytes") await take(piece.stream, piece.bytes);
        else state = stateOf(piece.words, id, host.name);
      }
      // It waits for this, so that whoever watches its stdin finds it alive.
      if (state !== undefined) running.stdin.end();
    }
    await running.exit.catch((error: unknown) => {
      if (state === undefined) throw error;
    });
    return state;
  };

  for (;;) {
    let reason: AmiError;
    try {
      const host = await wish.open();
      const state = await read(host);
      if (state !== undefined) {
        for (const stream of ["stdout", "stderr"] as const)
          if (held[stream].length > 0) await onOutput(stream, held[stream]);
        return state;
      }
      reason = new AmiError("job.failed", "what reads the output there was ended", { host: host.name });
    } catch (error) {
      if (signal.aborted || !isLoss(error)) throw error;
      reason = asAmiError(error);
    }
    lostSince ??= Date.now();
    if (Date.now() - lostSince > patience) throw reason;
    const wait = waitBefore(++attempt, Math.random());
    wish.onLost?.(reason, attempt, wait);
    await sleep(wait, undefined, { signal });
  }
}

/** Throws `job.absent`. */
function stateOf([word, code, ended, full]: readonly string[], id: string, host: string): JobState {
  if (word === "absent") throw absentJob(id, host);
  if (word === "lost") return { is: "lost" };
  if (word !== "end") return { is: "running" };
  return { is: "ended", exit: jobExit(Number(code)), ended: Number(ended) * 1000, diskFull: full === "full" };
}

/** Why it broke is told by `exit`. */
async function* untilBroken(running: Running): AsyncGenerator<Buffer> {
  try {
    for await (const chunk of running.stdout) yield chunk as Buffer;
  } catch {
    return;
  }
}
