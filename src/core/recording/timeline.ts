/** Timeline: when each event of a recording is played, and what is on the terminal at a time. Pure. */
import type { Cast, CastEvent } from "./cast.ts";

export interface Timeline {
  /** In milliseconds as they are played: silence cut to the limit, speed not yet applied. */
  readonly events: readonly CastEvent[];
  readonly length: number;
  /** Index of the first event after `at`. */
  after(at: number): number;
  /** What was written to the terminal by the events from `from` up to, not with, `to`. */
  written(from: number, to: number): string;
}

export function createTimeline(cast: Cast, idleLimit: number = cast.idleLimit ?? Number.POSITIVE_INFINITY): Timeline {
  let last = 0;
  let played = 0;
  const events = cast.events.map((event) => {
    played += Math.min(event.at - last, idleLimit);
    last = event.at;
    return { ...event, at: played };
  });
  return {
    events,
    length: played,
    after(at) {
      let [low, high] = [0, events.length];
      while (low < high) {
        const middle = (low + high) >> 1;
        if ((events[middle]?.at ?? 0) > at) high = middle;
        else low = middle + 1;
      }
      return low;
    },
    written: (from, to) =>
      events
        .slice(from, to)
        .flatMap(({ code, data }) => (code === "o" ? [data] : []))
        .join(""),
  };
}
