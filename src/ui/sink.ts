/**
 * Sink: the streams that are printed to, and how much of that nobody has taken yet. Counted here, because Bun's stdout
 * always says that nothing waits (writableLength 0, writableNeedDrain false); its callbacks and return values are right.
 */
import type { Write } from "./lines.ts";

export interface Sink {
  readonly write: Write;
  /** Resolves when little waits, or when nobody will ever take it. */
  caughtUp(): Promise<void>;
}

type Stream = "stdout" | "stderr";

export function openSink(streams: Readonly<Record<Stream, NodeJS.WritableStream>>): Sink {
  const waiting: Record<Stream, number> = { stdout: 0, stderr: 0 };
  let behind: (() => void)[] = [];
  const check = (): void => {
    if (waiting.stdout > most || waiting.stderr > most) return;
    const all = behind;
    behind = [];
    for (const resolve of all) resolve();
  };
  for (const name of ["stdout", "stderr"] as const) {
    const gone = (): void => {
      waiting[name] = -Infinity;
      check();
    };
    streams[name].once("error", gone).once("close", gone);
  }
  return {
    write(name, data) {
      const size = typeof data === "string" ? Buffer.byteLength(data) : data.length;
      waiting[name] += size;
      streams[name].write(data, () => {
        waiting[name] -= size;
        check();
      });
    },
    caughtUp() {
      if (waiting.stdout <= most && waiting.stderr <= most) return Promise.resolve();
      return new Promise((resolve) => behind.push(resolve));
    },
  };
}

/** Bytes. Enough to keep a pipe busy. */
const most = 2 ** 20;
