/** Ping: a question that every ssh server answers and that does nothing: what a round trip takes, without any program. */
import { AmiError } from "../errors.ts";
import type { Connection } from "./connection.ts";
import { inside } from "./inside.ts";
import { cancelled } from "./patience.ts";

/**
 * Milliseconds until the answer (to `keepalive@openssh.com`, whichever it is). Rejects with `ssh.lost` when the
 * connection goes first or nothing comes for `patience` milliseconds, and when aborted.
 */
export async function ping(
  connection: Connection,
  name: string,
  { patience, signal }: { patience: number; signal: AbortSignal },
): Promise<number> {
  signal.throwIfAborted();
  const { _protocol: protocol, _callbacks: callbacks } = inside(connection.client);
  const answered = Promise.withResolvers<void>();
  const onAbort = (): void => answered.reject(cancelled(name, signal.reason));
  const silent = (): void =>
    answered.reject(
      new AmiError("ssh.lost", `the connection is open, but nothing came back for ${patience / 1000} s`, {
        host: name,
        hint: "the machine hangs, or packets are lost on the way: ami-node ssh diagnose tells which",
        retry: "unknown",
      }),
    );
  signal.addEventListener("abort", onAbort, { once: true });
  const timer = setTimeout(silent, patience);
  const from = performance.now();
  try {
    if (connection.isOpen) {
      callbacks.push(() => answered.resolve());
      protocol.ping();
    }
    await connection.during(answered.promise);
    return performance.now() - from;
  } finally {
    clearTimeout(timer);
    signal.removeEventListener("abort", onAbort);
  }
}
