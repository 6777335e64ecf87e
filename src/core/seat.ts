/** Seat: the user's terminal, given to a program of a host for as long as that runs. */
import type { Argv } from "./argv.ts";
import type { Context } from "./command.ts";
import { sitDown } from "./desk.ts";
import { AmiError } from "./errors.ts";
import type { Exit, Host, Terminal } from "./host.ts";
import type { Target } from "./targets.ts";

export interface Seat {
  readonly target: Target;
  readonly terminal: NonNullable<Context["terminal"]>;
  /** Whoever listens in: what the program there gets instead. */
  readonly through?: ((terminal: Terminal) => Terminal) | undefined;
}

/** Rejects with `usage.target` and `usage.input` where there is no terminal, or not one target for it. */
export function takeSeat({ terminal, targets }: Context): Seat {
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
  return { target, terminal };
}

/** The login shell there, or a program. Resolves with undefined when the user left it by `~.`. */
export async function sit(ctx: Context, seat: Seat, host: Host, argv?: Argv): Promise<Exit | undefined> {
  if (host.shell === undefined) {
    throw new AmiError("host.unsupported", "there is no way to open a terminal on it", {
      host: host.name,
      hint: "ami-node ssh execute --pty runs a single command under one",
    });
  }
  const desk = sitDown(seat.terminal, host.escapeKey);
  const seen = seat.through?.(desk.terminal) ?? desk.terminal;
  let exit: Exit | undefined;
  try {
    exit = await Promise.race([host.shell(seen, argv), desk.left, whenAborted(ctx.signal)]);
  } finally {
    // After a program that ended by itself the terminal is as it wanted to leave it.
    desk.leave(exit !== undefined);
  }
  if (exit === undefined) ctx.events.emit({ kind: "note", host: host.name, level: "info", text: "connection closed" });
  return exit;
}

export function whenAborted(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    const fail = (): void => reject(new AmiError("run.cancelled", "interrupted"));
    if (signal.aborted) fail();
    else signal.addEventListener("abort", fail, { once: true });
  });
}
