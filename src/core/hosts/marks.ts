/** Marks: words that our own small programs say in a stream of the program they start; taken out again here. */
import { randomBytes } from "node:crypto";
import { type Readable, Transform, type TransformCallback, pipeline } from "node:stream";

export interface Stripped {
  /** The same bytes without the marks. */
  readonly stream: Readable;
  /** What each mark said, in order; undefined when the stream ended without it. Never reject. */
  readonly said: readonly Promise<string | undefined>[];
}

/** A mark that nobody else can know. */
export function newMark(): string {
  return `ami:${randomBytes(12).toString("hex")}:`;
}

/** Takes the first `count` occurrences of `<mark><words>;` out of a stream. Other bytes pass at once. */
export function stripMarks(source: Readable, mark: string, count: number): Stripped {
  const resolvers = Array.from({ length: count }, () => Promise.withResolvers<string | undefined>());
  const waiting = [...resolvers];
  const needle = Buffer.from(mark);
  let held: Buffer = Buffer.alloc(0);

  const take = (stream: Transform): void => {
    for (let next = waiting[0]; next !== undefined; next = waiting[0]) {
      const at = held.indexOf(needle);
      const end = at < 0 ? -1 : held.indexOf(";", at + needle.length);
      const free = at < 0 ? held.length - partialLength(held, needle) : at;
      if (free > 0) stream.push(held.subarray(0, free));
      if (end < 0) {
        held = held.subarray(free);
        return;
      }
      const words = held.toString("utf8", at + needle.length, end);
      held = held.subarray(end + 1);
      waiting.shift();
      next.resolve(words);
    }
    if (held.length > 0) stream.push(held);
    held = Buffer.alloc(0);
  };
  const filter = new Transform({
    transform(chunk: Buffer, _encoding, done: TransformCallback) {
      if (waiting.length === 0) return done(null, chunk);
      held = held.length === 0 ? chunk : Buffer.concat([held, chunk]);
      take(this);
      done();
    },
    flush(done: TransformCallback) {
      done(null, held.length > 0 ? held : undefined);
    },
  });
  // Whatever ends the stream (end, error, a reader who left) also ends the wait. A cut stream is told by `exit`.
  filter.on("error", () => undefined);
  pipeline(source, filter, () => {
    for (const { resolve } of waiting) resolve(undefined);
  });
  return { stream: filter, said: resolvers.map(({ promise }) => promise) };
}

/**
 * Lets through only what follows a mark. Login shells whose rc files print do so on the stdout of every command, and a
 * file must not begin with that.
 */
export function createAfterMark(mark: string): (chunk: Buffer) => Buffer {
  const needle = Buffer.from(mark);
  let held: Buffer | undefined = Buffer.alloc(0);
  return (chunk) => {
    if (held === undefined) return chunk;
    held = Buffer.concat([held, chunk]);
    const at = held.indexOf(needle);
    const rest = at < 0 ? Buffer.alloc(0) : held.subarray(at + needle.length);
    held = at < 0 ? held.subarray(Math.max(0, held.length - needle.length)) : undefined;
    return rest;
  };
}

/** The same of a whole stream. */
export function afterMark(source: Readable, mark: string): Readable {
  const after = createAfterMark(mark);
  const filter = new Transform({ transform: (chunk: Buffer, _encoding, done) => done(null, after(chunk)) });
  filter.on("error", () => undefined);
  pipeline(source, filter, () => undefined);
  return filter;
}

/** How many bytes at the end of `text` may be the beginning of `needle`. */
function partialLength(text: Buffer, needle: Buffer): number {
  for (let length = Math.min(text.length, needle.length - 1); length > 0; length--) {
    if (text.subarray(text.length - length).equals(needle.subarray(0, length))) return length;
  }
  return 0;
}
