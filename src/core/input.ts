/** Input: what the user pipes in or names as a file, as the stdin of one program or of many. */
import { createReadStream, createWriteStream } from "node:fs";
import { mkdtemp, open, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Readable, Transform, type TransformCallback, type Writable, finished } from "node:stream";
import { pipeline } from "node:stream/promises";
import { AmiError } from "./errors.ts";
import { whyUnreadable } from "./unreadable.ts";

export interface Input {
  /** A fresh stream of all bytes. May be called once for each reader it was opened for. */
  open(): Readable;
  close(): Promise<void>;
}

/** A file, for any number of readers. Throws `usage.input` when it cannot be read. */
export async function fileInput(file: string): Promise<Input> {
  try {
    await (await open(file)).close();
  } catch (error) {
    throw new AmiError("usage.input", `${file} cannot be read: ${whyUnreadable(error)}`, { cause: error });
  }
  return { open: () => createReadStream(file), close: () => Promise.resolve() };
}

/**
 * A stream that can be read once. One reader gets it as it comes; for several it is kept first in a private file, as
 * the slowest or last started of them may want it much later.
 */
export async function streamInput(stream: Readable, readers: number, signal: AbortSignal): Promise<Input> {
  if (readers === 1) return { open: () => stream, close: () => Promise.resolve() };
  const dir = await mkdtemp(join(tmpdir(), "ami-input-"));
  const close = (): Promise<void> => rm(dir, { recursive: true, force: true });
  const file = join(dir, "stdin");
  try {
    await pipeline(stream, createWriteStream(file, { mode: 0o600 }), { signal });
  } catch (error) {
    await close();
    throw error;
  }
  return { open: () => createReadStream(file), close };
}

/**
 * Gives a program its stdin; without a source an empty one. A program that reads none of it, or not all, is no error;
 * a source that breaks off is, and `fail` is told. On a terminal the end is a key (Ctrl-D), as closing it ends nothing
 * there. Returns how to stop, which leaves the source where it is.
 */
export function feed(
  source: Readable | undefined,
  stdin: Writable,
  { fail, isTerminal }: { fail: (error: Error) => void; isTerminal: boolean },
): () => void {
  if (source === undefined) {
    stdin.end(isTerminal ? endKey : undefined);
    return () => undefined;
  }
  const forget = finished(source, { writable: false }, (error) => {
    if (error !== undefined && error !== null) fail(error);
  });
  const last = isTerminal ? endingWithKey() : undefined;
  if (last === undefined) source.pipe(stdin);
  else source.pipe(last).pipe(stdin);
  return () => {
    forget();
    source.unpipe(last ?? stdin);
    source.pause();
  };
}

const endKey = Buffer.of(0x04);

/** In the middle of a line the first Ctrl-D only hands over what is there; the second is the end. */
function endingWithKey(): Transform {
  let atStart = true;
  return new Transform({
    transform(chunk: Buffer, _encoding, done: TransformCallback) {
      atStart = chunk.at(-1) === 0x0a;
      done(null, chunk);
    },
    flush: (done: TransformCallback) => done(null, atStart ? endKey : Buffer.concat([endKey, endKey])),
  });
}
