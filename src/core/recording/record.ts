/**
 * Record: writes a recording while it happens. Every event is a line and is written at once, so that whatever ends us
 * leaves a file that can be played. Readable to its owner only (0600); an existing file is never touched.
 */
import { closeSync, openSync, writeSync } from "node:fs";
import { StringDecoder } from "node:string_decoder";
import { AmiError } from "../errors.ts";
import { systemCode, whyUnreadable } from "../unreadable.ts";
import { type CastHeader, createEventLines, headerLine } from "./cast.ts";

export interface Recorder {
  readonly file: string;
  output(bytes: Buffer): void;
  input(bytes: Buffer): void;
  resize(columns: number, rows: number): void;
  /** Idempotent. `exit`: the code of what was recorded, where it has one. */
  end(exit?: number): void;
  /** Rejects with `recording.file` when it cannot be written any more; never resolves. Nothing is written after that. */
  readonly failed: Promise<never>;
}

/** Throws `recording.file`; `exists` tells one that is there already. */
export function startRecorder(file: string, header: CastHeader, now: () => number = () => performance.now()): Recorder {
  let fd: number | undefined;
  try {
    fd = openSync(file, "wx", 0o600);
    const { columns, rows } = header;
    // A serial line, or what runs us under a terminal of no size: nobody could play that.
    writeSync(fd, headerLine(3, isSize(columns, rows) ? header : { ...header, columns: 80, rows: 24 }));
  } catch (cause) {
    if (fd !== undefined) closeSync(fd);
    throw new AmiError("recording.file", `${file} cannot be written: ${whyUnreadable(cause)}`, {
      hint: systemCode(cause) === "EEXIST" ? "name another file, or move that one away" : undefined,
      cause,
    });
  }
  const started = now();
  const line = createEventLines(3);
  // A character may come in two pieces: each of the two streams keeps its half until the rest is there.
  const decoders = { o: new StringDecoder("utf8"), i: new StringDecoder("utf8") };
  const { promise: failed, reject } = Promise.withResolvers<never>();
  failed.catch(() => undefined);

  const stop = (): void => {
    if (fd !== undefined) closeSync(fd);
    fd = undefined;
  };
  const write = (code: string, data: string): void => {
    if (fd === undefined) return;
    try {
      writeAll(fd, Buffer.from(line({ at: now() - started, code, data })));
    } catch (cause) {
      stop();
      reject(new AmiError("recording.file", `the recording ${file} breaks off: ${whyUnreadable(cause)}`, { cause }));
    }
  };
  const bytes = (code: "o" | "i", piece: Buffer): void => {
    const text = decoders[code].write(piece);
    if (text !== "") write(code, text);
  };
  return {
    file,
    output: (piece) => bytes("o", piece),
    input: (piece) => bytes("i", piece),
    resize(columns, rows) {
      if (isSize(columns, rows)) write("r", `${columns}x${rows}`);
    },
    end(exit) {
      for (const code of ["o", "i"] as const) {
        const rest = decoders[code].end();
        if (rest !== "") write(code, rest);
      }
      if (exit !== undefined) write("x", String(exit));
      stop();
    },
    failed,
  };
}

function isSize(columns: number, rows: number): boolean {
  return columns > 0 && rows > 0;
}

function writeAll(fd: number, bytes: Buffer): void {
  for (let at = 0; at < bytes.length;) at += writeSync(fd, bytes, at);
}
