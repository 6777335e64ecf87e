/**
 * Frames: what the broker and its clients say to each other over one socket: a letter, the length, the bytes. A hello
 * and its answer are the same in all versions, so that an old broker can be told to go.
 */

/** From the client. */
export const ask = {
  /** JSON `Hello`. */
  hello: "h",
  /** JSON `Go`: run it now. A client that lost patience never says so, and nothing has run. */
  go: "g",
  /** Bytes of stdin, as many as were wanted at most. */
  stdin: "i",
  stdinEnd: "e",
  /** JSON `Stop`: Ctrl-C, or nobody reads any more. */
  stop: "s",
  /** JSON `Answer` to the one question under way. */
  answer: "a",
} as const;

/** From the broker. */
export const say = {
  /** JSON: the answer to a hello that asks something; or, to one that wants to run, that it may. */
  yes: "y",
  /** JSON `No`: wrong key or other version; the socket is closed. */
  no: "n",
  /** This is not for the broker: run it yourself. Nothing was done. */
  declined: "d",
  stdout: "o",
  stderr: "x",
  /** A piece of stdin is wanted. */
  want: "w",
  /** JSON `Question` for the person at the client. */
  question: "q",
  /** JSON `Code`: how it ended. The last word. */
  code: "c",
} as const;

export interface Hello {
  readonly version: string;
  /** What only the owner of the folder can read. */
  readonly key: string;
  readonly wish: "run" | "list" | "close" | "retire";
  /** For `close`: whom; without it all. */
  readonly host?: string | undefined;
}

export interface No {
  readonly why: "key" | "version";
  readonly version: string;
}

export interface Go {
  readonly argv: readonly string[];
  readonly cwd: string;
  readonly env: Readonly<Record<string, string>>;
  readonly stdin: { readonly isTTY: boolean };
  readonly stdout: Look;
  readonly stderr: Look;
}

export interface Look {
  readonly isTTY: boolean;
  readonly columns?: number | undefined;
  readonly rows?: number | undefined;
}

export interface Stop {
  readonly hasReaderLeft: boolean;
}

export interface Question {
  readonly kind: "confirm" | "secret" | "line";
  readonly text: string;
}

/** Absent: it was not answered, and the reason is that of an error. */
export interface Answer {
  readonly text?: string;
  readonly refused?: { readonly code: string; readonly message: string; readonly hint?: string | undefined };
}

export interface Code {
  readonly exit: number;
}

export function frame(letter: string, body: Uint8Array | string = ""): Buffer {
  const bytes = typeof body === "string" ? Buffer.from(body) : body;
  const out = Buffer.allocUnsafe(5 + bytes.length);
  out.writeUInt8(letter.charCodeAt(0), 0);
  out.writeUInt32BE(bytes.length, 1);
  out.set(bytes, 5);
  return out;
}

/** What a frame says in JSON. Both sides are of one user and, once greeted, of one version. */
export function bodyOf<T>(body: Buffer): T {
  return JSON.parse(body.toString()) as T;
}

/** Cuts a stream of bytes into frames. Throws for a frame that nobody would send. */
export function frameReader(heard: (letter: string, body: Buffer) => void): (bytes: Uint8Array) => void {
  let held: Buffer = Buffer.alloc(0);
  return (bytes) => {
    held = held.length === 0 ? Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length) : Buffer.concat([held, bytes]);
    while (held.length >= 5) {
      const length = held.readUInt32BE(1);
      if (length > longest) throw new Error(`a frame of ${length} bytes`);
      if (held.length < 5 + length) return;
      const letter = String.fromCharCode(held.readUInt8(0));
      const body = held.subarray(5, 5 + length);
      held = held.subarray(5 + length);
      heard(letter, body);
    }
  };
}

/** An environment may be large; nothing else is. */
const longest = 16 * 2 ** 20;
