/** Splice: joins two streams; the end of one way is passed on by itself, the end of a whole stream ends the other. */
import type { Duplex } from "node:stream";

/** Resolves when both are closed. Never rejects: what breaks a stream closes it. */
export async function splice(one: Duplex, other: Duplex): Promise<void> {
  const both = [closed(one), closed(other)];
  one.pipe(other);
  other.pipe(one);
  for (const [stream, partner] of [
    [one, other],
    [other, one],
  ] as const) {
    stream.on("error", () => undefined); // told by `close`
    if (stream.closed) finish(partner);
    else stream.once("close", () => finish(partner));
  }
  await Promise.all(both);
}

/** What was given to it is sent first. */
export function finish(stream: Duplex): void {
  if (stream.destroyed) return;
  // Nobody is interested in what it has to say any more.
  stream.unpipe().resume();
  if (stream.writableFinished) stream.destroy();
  else stream.end(() => stream.destroy());
}

function closed(stream: Duplex): Promise<void> {
  return new Promise((resolve) => {
    if (stream.closed) resolve();
    else stream.once("close", () => resolve());
  });
}
