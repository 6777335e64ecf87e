/** Process: what the operating system tells us (signals, a reader that left) and how we leave. */
import { exitCodes } from "../core/errors.ts";
import { whenWritten } from "../core/runtime-compat.ts";
import type { World } from "./main.ts";

/** Aborts on the first SIGINT, SIGTERM or SIGHUP, and when nobody reads stdout any more. The second SIGINT ends at once. */
export function listen(): Pick<World, "signal" | "interrupt" | "hasReaderLeft"> {
  const controller = new AbortController();
  let hasReaderLeft = false;
  for (const name of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
    process.on(name, () => {
      if (controller.signal.aborted && name === "SIGINT") process.exit(exitCodes.interrupted);
      controller.abort();
    });
  }
  for (const stream of [process.stdout, process.stderr]) {
    stream.on("error", (error: NodeJS.ErrnoException) => {
      // `| head` has seen enough: stop working for it, and say nothing.
      if (error.code !== "EPIPE" && error.code !== "EOF") throw error;
      hasReaderLeft = true;
      controller.abort();
    });
  }
  return { signal: controller.signal, interrupt: () => controller.abort(), hasReaderLeft: () => hasReaderLeft };
}

/** Ends the process when what was written has arrived; sockets or timers left open by a library do not hold us. */
export async function leave(code: number): Promise<never> {
  await Promise.all([process.stdout, process.stderr].map(flushed));
  process.exit(code);
}

function flushed(stream: NodeJS.WriteStream): Promise<void> {
  return new Promise((resolve) => {
    if (stream.destroyed) return resolve();
    stream.once("close", resolve).once("error", () => resolve());
    whenWritten(stream, resolve);
  });
}
