/**
 * Attach: shows what a job says, from any place of it to its end. When the connection is lost it is made again, and
 * reading goes on at the very byte: places in files are counted, nothing is guessed.
 */
import { randomBytes } from "node:crypto";
import { meaning } from "../deed.ts";
import { createComeback } from "../detached.ts";
import { AmiError } from "../errors.ts";
import type { Host, Running } from "../host.ts";
import { wholeCharacters } from "../output.ts";
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
  /** It was started a moment ago: the first connection too is worth waiting for. */
  readonly isThere?: boolean | undefined;
  /** Aborted when nobody looks any more; the job does not notice. */
  readonly signal: AbortSignal;
  /** Called with what it says, in order; characters are not torn. What it returns is waited for. */
  onOutput(stream: "stdout" | "stderr", bytes: Buffer): Promise<void> | void;
  readonly onLost?: ((error: AmiError, attempt: number, wait: number) => void) | undefined;
}

/**
 * Resolves with how it ended, or `running` when it is not followed. Rejects with `job.absent`, with `run.cancelled`, and
 * with what no waiting mends (a changed host key) or what went on for too long.
 */
export async function attachJob(wish: AttachWish): Promise<JobState> {
  const { id, signal, onOutput } = wish;
  const at = { stdout: wish.from?.stdout ?? 0, stderr: wish.from?.stderr ?? 0 };
  const held = { stdout: Buffer.alloc(0), stderr: Buffer.alloc(0) };
  const comeback = createComeback({ signal, isThere: wish.isThere === true, onLost: wish.onLost });

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
    const running = await host.spawn(meaning(["sh", "-c", followProgram, "sh", ...words], []), { signal });
    running.stderr.resume();
    const pieces = createPieces(nonce);
    let state: JobState | undefined;
    for await (const chunk of untilBroken(running)) {
      for (const piece of pieces.push(chunk)) {
        comeback.reached();
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
    try {
      const host = await wish.open();
      const state = await read(host);
      if (state === undefined)
        throw new AmiError("ssh.lost", "what reads the output there was ended", { host: host.name, retry: "unknown" });
      for (const stream of ["stdout", "stderr"] as const)
        if (held[stream].length > 0) await onOutput(stream, held[stream]);
      return state;
    } catch (error) {
      await comeback.after(error);
    }
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
