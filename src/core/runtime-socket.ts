/**
 * Runtime socket: a unix socket by the quickest means of the runtime. Part of what runtime-compat.ts is for, and apart
 * from it because a warm `ssh execute` loads little else: under Bun node:net alone costs as much as the whole start.
 */

export interface Line {
  /** Queued without limit: whoever sends much waits until it is asked for more. */
  write(bytes: Uint8Array): void;
  /** Nothing more is heard until `resume`. */
  pause(): void;
  resume(): void;
  /** Idempotent. What was written before still goes out. */
  end(): void;
}

export interface LineEvents {
  data(bytes: Uint8Array): void;
  /** Once, when the other side is gone, for whatever reason. */
  closed(): void;
}

/** Resolves when connected. Rejects with what the system says, or with what Bun makes of it. */
export async function dialSocket(path: string, events: LineEvents): Promise<Line> {
  return process.versions["bun"] === undefined ? dialByNode(path, events) : dialByBun(path, events);
}

async function dialByNode(path: string, { data, closed }: LineEvents): Promise<Line> {
  const { connect } = await import("node:net");
  const socket = connect(path);
  await new Promise<void>((resolve, reject) => socket.once("connect", resolve).once("error", reject));
  socket.on("error", () => undefined).on("data", data);
  socket.once("close", closed);
  return {
    write: (bytes) => void socket.write(bytes),
    pause: () => void socket.pause(),
    resume: () => void socket.resume(),
    end: () => void socket.end(),
  };
}

/** As much of Bun as is used here; Node has none. */
declare const Bun: {
  connect(options: {
    readonly unix: string;
    readonly socket: {
      data(socket: BunSocket, bytes: Uint8Array): void;
      drain(): void;
      close(): void;
      error(): void;
    };
  }): Promise<BunSocket>;
};

interface BunSocket {
  /** How many bytes were taken; the rest has to come again. */
  write(bytes: Uint8Array): number;
  pause(): void;
  resume(): void;
  end(): void;
}

async function dialByBun(path: string, events: LineEvents): Promise<Line> {
  const waiting: Uint8Array[] = [];
  let isEnding = false;
  let isClosed = false;
  const send = (): void => {
    for (let [next] = waiting; next !== undefined; [next] = waiting) {
      const taken = Math.max(0, socket.write(next));
      if (taken < next.length) {
        waiting[0] = next.subarray(taken);
        return;
      }
      waiting.shift();
    }
    if (isEnding) socket.end();
  };
  const close = (): void => {
    if (!isClosed) events.closed();
    isClosed = true;
  };
  const socket = await Bun.connect({
    unix: path,
    // Bytes are only lent: a copy is kept.
    socket: { data: (_, bytes) => events.data(bytes.slice()), drain: () => send(), close, error: () => undefined },
  });
  return {
    write(bytes) {
      if (isClosed || isEnding) return;
      waiting.push(bytes);
      if (waiting.length === 1) send();
    },
    pause: () => socket.pause(),
    resume: () => socket.resume(),
    end() {
      isEnding = true;
      if (!isClosed && waiting.length === 0) socket.end();
    },
  };
}
