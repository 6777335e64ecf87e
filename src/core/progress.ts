/** Progress: how far a transfer is and how fast it goes, a few times a second at most. */
import type { Events } from "./events.ts";

/** Returns what to call with the bytes done so far. The first and the last are always told. */
export function createProgress(
  events: Events,
  about: { readonly host: string; readonly title: string; readonly total?: number | undefined },
  now: () => number = performance.now.bind(performance),
): (done: number) => void {
  const { host, title, total } = about;
  let last = -Infinity;
  const speed = createSpeed();
  return (done) => {
    if (now() - last < interval && done !== total) return;
    last = now();
    const rate = speed(done, last);
    const left = total === undefined || rate === undefined || rate <= 0 ? undefined : (total - done) / rate;
    events.emit({
      kind: "progress",
      host,
      title,
      done,
      unit: "bytes",
      ...(total === undefined ? {} : { total }),
      ...(rate === undefined ? {} : { rate: Math.round(rate) }),
      ...(left === undefined ? {} : { eta: Math.ceil(left) }),
    });
  };
}

const interval = 200;
/** Milliseconds the rate looks back: long enough to be calm, short enough to notice a stall. */
const memory = 5000;

function createSpeed(): (done: number, at: number) => number | undefined {
  const seen: { readonly done: number; readonly at: number }[] = [];
  return (done, at) => {
    while (seen.length > 1 && at - (seen[1]?.at ?? at) >= memory) seen.shift();
    seen.push({ done, at });
    const first = seen[0];
    if (first === undefined || at - first.at < interval) return undefined;
    return ((done - first.done) / (at - first.at)) * 1000;
  };
}
