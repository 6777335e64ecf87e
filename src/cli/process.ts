/** Process: what the operating system tells us (signals, a reader that left, a full disk) and how we leave. */
import { exitCodes } from "../core/errors.ts";
import { interruption } from "../core/interrupt.ts";
import { whenWritten } from "../core/runtime-compat.ts";
import { whyUnreadable } from "../core/unreadable.ts";
import type { World } from "./main.ts";

export interface Heard extends Pick<World, "signal" | "interrupt" | "hasReaderLeft"> {
  /** Ends the process when what was written has arrived; sockets or timers left open by a library do not hold us. */
  leave(code: number): Promise<never>;
}

/**
 * Aborts on the first SIGINT, SIGTERM or SIGHUP, and when what we print is not taken any more: nobody reads it, or the
 * disk is full. The second SIGINT ends at once.
 */
export function listen(): Heard {
  const controller = new AbortController();
  /** The first of each stream. */
  const losses = new Map<Loss["name"], Loss>();
  for (const name of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
    process.on(name, () => {
      if (controller.signal.aborted && name === "SIGINT") process.exit(exitCodes.interrupted);
      controller.abort(interruption(name));
    });
  }
  for (const name of ["stdout", "stderr"] as const) {
    process[name].on("error", (error: NodeJS.ErrnoException) => {
      if (!losses.has(name)) losses.set(name, { name, error });
      controller.abort();
    });
  }
  return {
    signal: controller.signal,
    interrupt: () => controller.abort(interruption("SIGINT")),
    hasReaderLeft: () => losses.size > 0,
    async leave(code) {
      await flushed("stdout", losses);
      const failed = [...losses.values()].map(tellLoss).includes(true);
      await flushed("stderr", losses);
      process.exit(failed ? exitCodes.failed : code);
    },
  };
}

export interface Loss {
  readonly name: "stdout" | "stderr";
  readonly error: NodeJS.ErrnoException;
}

/** Says what became of our output. false: `| head` has seen enough, of which nothing is said. */
export function tellLoss({ name, error }: Loss): boolean {
  if (error.code === "EPIPE" || error.code === "EOF") return false;
  if (name === "stdout") process.stderr.write(`error: stdout cannot be written: ${whyUnreadable(error)}\n`);
  return true;
}

/** One that has failed is not waited for: nobody would ever say that it is done. */
function flushed(name: Loss["name"], losses: ReadonlyMap<Loss["name"], Loss>): Promise<void> {
  const stream = process[name];
  return new Promise((resolve) => {
    if (stream.destroyed || losses.has(name)) return resolve();
    stream.once("close", resolve).once("error", () => resolve());
    whenWritten(stream, resolve);
  });
}
