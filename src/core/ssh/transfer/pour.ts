/**
 * Pour: a whole file into one of a near machine, through the stdin of its `cat`. That costs both ends less than sftp,
 * which wraps each piece, answers for it, and has the server gather it again.
 */
import type { Buffer } from "node:buffer";
import type { Writable } from "node:stream";
import { AmiError } from "../../errors.ts";
import { type Host, type Running, exitStatus } from "../../host.ts";
import { within } from "./pace.ts";

/** Milliseconds to wait for a session beside the one of sftp: a server may allow no second one. */
const patience = 2000;

/**
 * The file is there and ours. Resolves with false, and took nothing, when there is no room for a session. Rejects with
 * `host.file` in the words of the program there, `ssh.*`, `run.cancelled`.
 */
export async function pour(
  host: Host,
  path: string,
  pieces: AsyncIterable<Buffer>,
  signal: AbortSignal,
): Promise<boolean> {
  const running = await startCat(host, path, signal);
  if (running === undefined) return false;
  const { stdin, stdout, stderr, exit } = running;
  let said = "";
  stdout.resume();
  stderr.on("data", (bytes: Buffer) => {
    if (said.length < 1000) said += bytes.toString("utf8");
  });
  let isOver = false;
  const over = (): void => void (isOver = true);
  exit.then(over, over);
  try {
    for await (const piece of pieces) {
      if (isOver || signal.aborted) break;
      await written(stdin, piece);
    }
  } catch (error) {
    stdin.destroy();
    await within(2000, exit); // so that it is not writing any more when the file is taken away
    throw error;
  }
  stdin.end();
  const status = exitStatus(await exit);
  if (status === 0) return true;
  const why = said.trim().replace(/^(?:cat|sh): (?:\d+: )?/, "") || `cat ended with ${status}`;
  throw new AmiError("host.file", `${path}: ${why}`, {
    host: host.name,
    hint: /no space|quota/i.test(why) ? "make room there" : undefined,
  });
}

/** A file that was taken away, because all was given up before this ran, must not come back. */
const program = '[ -f "$1" ] && exec cat >"$1"';

async function startCat(host: Host, path: string, signal: AbortSignal): Promise<Running | undefined> {
  const waiting = new AbortController();
  const timer = setTimeout(() => waiting.abort(), patience);
  try {
    const both = AbortSignal.any([signal, waiting.signal]);
    return await host.spawn(["sh", "-c", program, "sh", path], { signal: both });
  } catch (error) {
    if (waiting.signal.aborted && !signal.aborted) return undefined;
    throw error;
  } finally {
    clearTimeout(timer);
  }
}

/** Also when nobody takes it any more. */
function written(stdin: Writable, piece: Buffer): Promise<void> {
  return new Promise((resolve) => {
    stdin.write(piece, () => resolve());
  });
}
