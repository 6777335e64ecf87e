/** Progress: how far a transfer is, a few times a second at most. */
import type { Events } from "./events.ts";

/** Returns what to call with the bytes done so far. The first and the last are always told. */
export function createProgress(
  events: Events,
  about: { readonly host: string; readonly title: string; readonly total?: number | undefined },
  now: () => number = performance.now.bind(performance),
): (done: number) => void {
  const { host, title, total } = about;
  let last = -Infinity;
  return (done) => {
    if (now() - last < interval && done !== total) return;
    last = now();
    events.emit({ kind: "progress", host, title, done, unit: "bytes", ...(total === undefined ? {} : { total }) });
  };
}

const interval = 200;
