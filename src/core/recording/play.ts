/** Play: shows a recording on a terminal, at its own pace or another, and does what is typed meanwhile. */
import type { Context } from "../command.ts";
import { createModes } from "../terminal-modes.ts";
import { type PlayKey, playKeys } from "./keys.ts";
import type { Timeline } from "./timeline.ts";

export interface PlayWish {
  readonly speed: number;
  /** Milliseconds of the timeline. What is before `from` is shown at once. */
  readonly from: number;
  readonly to: number;
  readonly signal: AbortSignal;
}

/** Resolves with how it ended: all of it was shown, `q`, or Ctrl-C. Rejects when the signal is aborted. */
export async function play(
  timeline: Timeline,
  terminal: NonNullable<Context["terminal"]>,
  { speed, from, to, signal }: PlayWish,
): Promise<"end" | "quit" | "interrupt"> {
  const { stdin, stdout } = terminal;
  const modes = createModes();
  const keys: PlayKey[] = [];
  let wake = (): void => undefined;
  const onData = (bytes: Buffer): void => {
    keys.push(...playKeys(bytes.toString("latin1")));
    wake();
  };
  /** The timeline ran from `at` since `since`, unless it is paused; `next` is the first event that is not shown yet. */
  let at = 0;
  let since = performance.now();
  let next = 0;
  let paused = false;
  let ended: "end" | "quit" | "interrupt" | undefined;
  const here = (): number => (paused ? at : at + (performance.now() - since) * speed);
  const moveTo = (position: number): void => {
    at = position;
    since = performance.now();
  };

  const show = (text: string): Promise<void> =>
    new Promise((done) => {
      if (text === "") return done();
      modes.see(Buffer.from(text));
      stdout.write(text, () => done());
    });
  const showUntil = async (position: number): Promise<void> => {
    const index = timeline.after(Math.min(position, to));
    // There is no way back but to begin anew: everything up to there is written at once.
    if (index < next) {
      await show(`${modes.undo()}\x1bc`);
      next = 0;
    }
    await show(timeline.written(next, index));
    next = index;
  };
  const seek = async (wanted: number): Promise<void> => {
    const goal = Math.min(Math.max(wanted, 0), Math.min(to, timeline.length));
    await showUntil(goal);
    moveTo(goal);
  };
  const obey = async (key: PlayKey): Promise<void> => {
    if (typeof key === "object") return seek(here() + key.seek);
    if (key === "pause") {
      moveTo(here());
      paused = !paused;
    } else if (key === "step") {
      moveTo(here());
      paused = true;
      const event = timeline.events[next];
      if (event !== undefined && event.at <= to) await seek(event.at);
    } else ended = key;
  };
  /** Until something is typed, the signal is aborted, or so many milliseconds are over. */
  const wait = (ms: number): Promise<void> =>
    new Promise((done) => {
      const timer = ms < 2 ** 31 ? setTimeout(done, ms) : undefined;
      wake = () => {
        clearTimeout(timer);
        done();
      };
    });
  const onAbort = (): void => wake();

  terminal.setRaw(true);
  stdin.on("data", onData);
  stdin.resume();
  signal.addEventListener("abort", onAbort);
  try {
    await seek(from);
    while (ended === undefined) {
      signal.throwIfAborted();
      const key = keys.shift();
      const event = timeline.events[next];
      const position = here();
      if (key !== undefined) await obey(key);
      else if (paused) await wait(Number.POSITIVE_INFINITY);
      else if (event === undefined || event.at > to) ended = "end";
      else if (event.at > position) await wait((event.at - position) / speed);
      // A terminal that is slow has more waiting for it: it comes at once.
      else await showUntil(position);
    }
    return ended;
  } finally {
    signal.removeEventListener("abort", onAbort);
    stdin.off("data", onData);
    stdin.pause();
    terminal.setRaw(false);
    // Who was cut off, or is left, may have switched on what nobody switches off any more.
    stdout.write(`${modes.undo()}${ended === "end" ? "" : "\r\n"}`);
  }
}
