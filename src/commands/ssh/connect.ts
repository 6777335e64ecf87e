/** ssh connect: a terminal on a target. */
import { z } from "zod";
import { shellLine } from "../../core/argv.ts";
import { type Context, defineCommand } from "../../core/command.ts";
import { sitDown } from "../../core/desk.ts";
import { AmiError, exitCodes } from "../../core/errors.ts";
import { type Exit, exitStatus } from "../../core/host.ts";

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

At the beginning of a line ~. closes the connection, also one that hangs; ~~ sends a tilde, ~? lists these keys. EscapeChar and RemoteCommand of the ssh config are heeded.`,
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
  const desk = sitDown(terminal, host.escapeKey);
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

function whenAborted(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    const fail = (): void => reject(new AmiError("run.cancelled", "interrupted"));
    if (signal.aborted) fail();
    else signal.addEventListener("abort", fail, { once: true });
  });
}
