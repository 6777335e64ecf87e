/** Output: the bytes of a running program as events, in order and not one of them altered. */
import type { Readable } from "node:stream";
import { type EventBody, outputEvent } from "./events.ts";
import type { Running } from "./host.ts";

export interface OutputOptions {
  readonly host: string;
  readonly emit: (event: EventBody) => void;
  /** Resolves when the events so far have been taken; the program is held back until then. */
  readonly caughtUp?: (() => Promise<void>) | undefined;
}

/** Emits both outputs of a program as `output` events as they come. Resolves when both have ended; never rejects. */
export async function emitOutput(running: Pick<Running, "stdout" | "stderr">, options: OutputOptions): Promise<void> {
  await Promise.all([pump(running.stdout, "stdout", options), pump(running.stderr, "stderr", options)]);
}

/** Keeps both outputs instead. Resolves when both have ended; never rejects. */
export async function collectOutput(running: Pick<Running, "stdout" | "stderr">): Promise<Collected> {
  const [stdout, stderr] = await Promise.all([gather(running.stdout), gather(running.stderr)]);
  return { stdout, stderr };
}

export interface Collected {
  readonly stdout: Buffer;
  readonly stderr: Buffer;
}

async function pump(stream: Readable, name: "stdout" | "stderr", options: OutputOptions): Promise<void> {
  const { host, emit, caughtUp } = options;
  let held: Buffer = Buffer.alloc(0);
  for await (const chunk of untilBroken(stream)) {
    const bytes = held.length === 0 ? chunk : Buffer.concat([held, chunk]);
    const whole = wholeCharacters(bytes);
    if (whole > 0) emit(outputEvent(host, name, bytes.subarray(0, whole)));
    // A copy: the bytes may belong to a buffer that is used again.
    held = Buffer.from(bytes.subarray(whole));
    await caughtUp?.();
  }
  if (held.length > 0) emit(outputEvent(host, name, held));
}

async function gather(stream: Readable): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of untilBroken(stream)) chunks.push(chunk);
  return Buffer.concat(chunks);
}

/** What came before a stream broke counts; why it broke is told by the program's `exit`. */
async function* untilBroken(stream: Readable): AsyncGenerator<Buffer> {
  try {
    for await (const chunk of stream) yield Buffer.isBuffer(chunk) ? chunk : Buffer.from(String(chunk));
  } catch {
    return;
  }
}

/**
 * How many of the bytes can be shown without tearing a UTF-8 character at the end: all of them, or up to three less.
 * Bytes that no character can begin with are not waited for.
 */
export function wholeCharacters(bytes: Buffer): number {
  for (let back = 1; back <= Math.min(3, bytes.length); back++) {
    const byte = bytes[bytes.length - back] ?? 0;
    if (byte < 0x80) return bytes.length;
    if (byte < 0xc0) continue; // inside a character: look for its first byte
    const length = byte >= 0xf0 ? 4 : byte >= 0xe0 ? 3 : 2;
    return byte < 0xf8 && back < length ? bytes.length - back : bytes.length;
  }
  return bytes.length;
}
