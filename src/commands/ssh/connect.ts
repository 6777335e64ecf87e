/** ssh connect: a terminal on a target. */
import { PassThrough, Writable } from "node:stream";
import { z } from "zod";
import { shellLine } from "../../core/argv.ts";
import { type Context, defineCommand } from "../../core/command.ts";
import { AmiError, exitCodes } from "../../core/errors.ts";
import { createEscapes, escapeHelp } from "../../core/escape.ts";
import { type Exit, type Terminal, exitStatus } from "../../core/host.ts";
import { createModes } from "../../core/terminal-modes.ts";

const input = z.strictObject({
  run: z.string().min(1).optional().describe("run this line there instead of the login shell, as in 'top -d 1'"),
});

const output = z.object({
  host: z.string(),
  exit: z.number().int().optional().describe("of the shell; absent when it was left by ~."),
});

export const command = defineCommand({
  name: "ssh connect",
  summary: "Open a terminal on a target",
  description: `The login shell of the user there, in this terminal: keys, colours, full-screen programs and changes of the window's size all pass. It ends with the shell, whose exit code becomes ours.

At the beginning of a line ~. closes the connection, also one that hangs; ~~ sends a tilde, ~? lists these keys.`,
  examples: [
    { line: "ami-node ssh connect user@host", says: "the login shell" },
    { line: "ami-node ssh connect web1 --become", says: "as root" },
    { line: "ami-node ssh connect web1 --run 'journalctl -f'", says: "one program" },
  ],
  input,
  args: { targetWord: true, values: { run: "LINE" } },
  output,
  effect: "change",
  shows: "events",
  interactive: true,
  targets: "settings",
  exits: { 130: "left by ~." },
  run: connect,
});

async function connect(
  wish: z.output<typeof input>,
  ctx: Context,
): Promise<{ output: z.output<typeof output>; exit: number }> {
  const { terminal, targets } = ctx;
  const [target, ...others] = targets;
  if (target === undefined || others.length > 0) {
    throw new AmiError("usage.target", `a terminal has room for one target, and ${targets.length} were given`, {
      hint: "for many use: ami-node ssh execute",
    });
  }
  if (terminal === undefined) {
    throw new AmiError("usage.input", "a terminal is needed on this side, and stdin or stdout is none", {
      hint: "to run something without one: ami-node ssh execute",
    });
  }
  const host = await ctx.hosts.open(target, { signal: ctx.signal });
  if (host.shell === undefined) {
    throw new AmiError("host.unsupported", "there is no way to open a terminal on it", {
      host: target.name,
      hint: "ami-node ssh execute --pty runs a single command under one",
    });
  }
  const desk = sitDown(terminal);
  let exit: Exit | undefined;
  try {
    const shell = host.shell(desk.terminal, wish.run === undefined ? undefined : shellLine(wish.run));
    exit = await Promise.race([shell, desk.left, whenAborted(ctx.signal)]);
  } finally {
    // After a program that ended by itself the terminal is as it wanted to leave it.
    desk.leave(exit !== undefined);
  }
  if (exit === undefined) {
    ctx.events.emit({ kind: "note", host: target.name, level: "info", text: "connection closed" });
    return { output: { host: target.name }, exit: exitCodes.interrupted };
  }
  return { output: { host: target.name, exit: exitStatus(exit) }, exit: exitStatus(exit) };
}

interface Desk {
  /** What the far side talks to. */
  readonly terminal: Terminal;
  /** Resolves when `~.` is typed. */
  readonly left: Promise<undefined>;
  /** Gives the terminal back to this machine. */
  leave(orderly: boolean): void;
}

/** Takes the user's terminal: keys go out as they are typed, but for the escapes. */
function sitDown(real: NonNullable<Context["terminal"]>): Desk {
  const keys = new PassThrough();
  const modes = createModes();
  const escapes = createEscapes();
  const { promise: left, resolve } = Promise.withResolvers<undefined>();
  const onData = (bytes: Buffer): void => {
    const { send, asks } = escapes(bytes);
    if (send.length > 0) keys.write(send);
    if (asks === "help") real.stdout.write(`\r\n${escapeHelp}\r\n`);
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

function whenAborted(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    const fail = (): void => reject(new AmiError("run.cancelled", "interrupted"));
    if (signal.aborted) fail();
    else signal.addEventListener("abort", fail, { once: true });
  });
}
