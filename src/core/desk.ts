/** Desk: the user's own terminal, while it shows that of another machine. */
import { PassThrough, Writable } from "node:stream";
import type { Context } from "./command.ts";
import { createEscapes, escapeHelp } from "./escape.ts";
import type { Terminal } from "./host.ts";
import { createModes } from "./terminal-modes.ts";

export interface Desk {
  /** What the far side talks to. */
  readonly terminal: Terminal;
  /** Resolves when `~.` is typed. */
  readonly left: Promise<undefined>;
  /** Gives the terminal back to this machine. */
  leave(orderly: boolean): void;
}

/** Takes the user's terminal: keys go out as they are typed, but for the escapes, which begin with `key`. */
export function sitDown(real: NonNullable<Context["terminal"]>, key: string | undefined): Desk {
  const keys = new PassThrough();
  const modes = createModes();
  const escapes = createEscapes(key);
  const { promise: left, resolve } = Promise.withResolvers<undefined>();
  const onData = (bytes: Buffer): void => {
    const { send, asks } = escapes(bytes);
    if (send.length > 0) keys.write(send);
    if (asks === "help") real.stdout.write(`\r\n${escapeHelp(key)}\r\n`);
    if (asks === "close") resolve(undefined);
  };
  const onEnd = (): void => void keys.end();
  const screen = new Writable({
    write(bytes: Buffer, _encoding, done) {
      modes.see(bytes);
      real.stdout.write(bytes, () => done());
    },
  });
  real.setRaw(true);
  real.stdin.on("data", onData).once("end", onEnd);
  real.stdin.resume();
  return {
    terminal: {
      stdin: keys,
      stdout: screen,
      columns: real.columns,
      rows: real.rows,
      term: real.term,
      onResize: (listener) => real.onResize(listener),
    },
    left,
    leave(orderly) {
      real.stdin.off("data", onData).off("end", onEnd);
      real.stdin.pause();
      real.setRaw(false);
      if (!orderly) real.stdout.write(`${modes.undo()}\r\n`);
    },
  };
}
