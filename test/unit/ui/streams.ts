/** Streams as the screen sees them, kept as text. */
import { clearLine, cursorTo, moveCursor } from "node:readline";
import { Writable } from "node:stream";
import type { Event, EventBody, Listener } from "../../../src/core/events.ts";
import { createEvents } from "../../../src/core/events.ts";
import type { Write } from "../../../src/ui/lines.ts";

export interface Paper {
  readonly write: Write;
  readonly stdout: () => string;
  readonly stderr: () => string;
}

export function paper(): Paper {
  const said = { stdout: [] as Buffer[], stderr: [] as Buffer[] };
  return {
    write: (stream, data) => void said[stream].push(Buffer.from(data)),
    stdout: () => Buffer.concat(said.stdout).toString(),
    stderr: () => Buffer.concat(said.stderr).toString(),
  };
}

/** Tells a listener a story, as one run. */
export function tell(listener: Listener, story: readonly EventBody[]): Event[] {
  const events = createEvents("run1", () => 0);
  const seen: Event[] = [];
  events.subscribe(listener);
  events.subscribe((event) => seen.push(event));
  for (const event of story) events.emit(event);
  return seen;
}

export interface FakeTerminal {
  readonly stream: NodeJS.WriteStream;
  /** Everything written, escape codes too. */
  readonly written: () => string;
}

/** What libraries use of a terminal: `write`, its size, and that it says it is one. */
export function fakeTerminal(columns = 80, rows = 24, isTTY = true): FakeTerminal {
  const chunks: string[] = [];
  const stream = new Writable({
    decodeStrings: false,
    write(chunk: unknown, _encoding, done) {
      chunks.push(String(chunk));
      done();
    },
  });
  const terminal = Object.assign(stream, {
    isTTY,
    columns,
    rows,
    fd: 1,
    cursorTo: (x: number) => cursorTo(stream, x),
    moveCursor: (dx: number, dy: number) => moveCursor(stream, dx, dy),
    clearLine: (direction: -1 | 0 | 1) => clearLine(stream, direction),
  });
  if (!passesFor(terminal)) throw new Error("not a terminal");
  return { stream: terminal, written: () => chunks.join("") };
}

function passesFor(stream: unknown): stream is NodeJS.WriteStream {
  return stream instanceof Writable;
}
