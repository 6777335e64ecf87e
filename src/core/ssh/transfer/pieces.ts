/**
 * Pieces: a file that is read or written at many places at once, here or over several sftp sessions. One session of
 * OpenSSH moves at most a window (2 MiB) in a round trip, so a far machine gets more of them than a near one.
 */
import type { Buffer } from "node:buffer";
import { type FileHandle, lstat, open, rename, rm, stat } from "node:fs/promises";
import { AmiError } from "../../errors.ts";
import { type OpenFiles, openFlags, pieceSize } from "../../files.ts";
import type { End } from "./end.ts";
import { secondsOf } from "./entry.ts";
import { pour } from "./pour.ts";

/** Bytes of a file through one session. */
export interface Reader {
  /** Fills `into` from `at` on; fewer bytes only at the end of the file. */
  read(into: Buffer, at: number): Promise<number>;
}

export interface Writer {
  write(piece: Buffer, at: number): Promise<void>;
}

interface Meta {
  readonly size: number;
  readonly mode: number;
  readonly mtime: number;
}

export interface SourceFile extends Meta {
  /** It takes less room than its size; not known of far ones. */
  readonly hasHoles?: boolean;
  /** The first is there at once; further ones come when the machine is far away. */
  readonly lanes: readonly Promise<Reader>[];
  close(): Promise<void>;
}

export interface SinkFile {
  readonly lanes: readonly Promise<Writer>[];
  /**
   * Present where all of it in order goes faster than pieces. Each piece is done with before the next is asked for.
   * Resolves with false when it has to go in pieces after all, and nothing was taken.
   */
  pour?(pieces: AsyncIterable<Buffer>): Promise<boolean>;
  /** Reads what an earlier run left. */
  read(into: Buffer, at: number): Promise<number>;
  size(): Promise<number>;
  truncate(size: number): Promise<void>;
  /** Gives it its owner, mode and time and its real name. */
  finish(meta: Pick<Meta, "mode" | "mtime">): Promise<void>;
  remove(): Promise<void>;
  close(): Promise<void>;
}

/** Milliseconds of a round trip from which on a further session pays. */
const far = 5;
const veryFar = 20;

/** What one session carries in a round trip; less is there before another session would be. */
const oneSession = 2 * 1024 * 1024;

/** A TCP connection has its limit too (4 MiB of send buffer on Linux), but making another takes several round trips. */
const oneConnection = 32 * 1024 * 1024;

/**
 * To a machine at 40 ms four sessions on four connections carried a third more than eight on them, from it eight half
 * as much again as four.
 */
const spread = {
  up: { sessions: 4, together: 1 },
  down: { sessions: 8, together: 2 },
} as const;

function sessionsFor(roundTrip: number, size: number): number {
  const most = roundTrip > veryFar ? 8 : roundTrip > far ? 4 : 1;
  return Math.max(1, Math.min(most, Math.ceil(size / oneSession)));
}

/** `size`: about how much will be read. */
export async function openSource(end: End, path: string, size: number, signal: AbortSignal): Promise<SourceFile> {
  if (end.host === undefined) return localSource(path);
  const sessions = await openSessions(end, "down", size, signal);
  try {
    const lanes = sessions.all.map(async (opening) => {
      const files = await opening;
      const handle = await files.open(path, openFlags.read);
      return { files, handle, read: (into: Buffer, at: number) => readWhole(files, handle, into, at) };
    });
    silence(lanes);
    const first = await lanes[0];
    if (first === undefined) throw new Error("no session");
    const found = await first.files.fstat(first.handle);
    return { size: found.size, mode: found.mode & 0o777, mtime: found.mtime, lanes, close: async () => sessions.end() };
  } catch (error) {
    sessions.end();
    throw fileError(end, path, error);
  }
}

async function localSource(path: string): Promise<SourceFile> {
  const file = await open(path);
  const { size, mode, mtimeMs, blocks } = await file.stat();
  const lane = { read: (into: Buffer, at: number) => readHere(file, into, at) };
  return {
    size,
    hasHoles: blocks * 512 < size - pieceSize,
    mode: mode & 0o777,
    mtime: secondsOf(mtimeMs),
    lanes: [Promise.resolve(lane)],
    close: () => file.close(),
  };
}

export interface SinkWish {
  /** The file it becomes. */
  readonly path: string;
  /** What it is called until it is whole. */
  readonly temp: string;
  /** About how much will be written. */
  readonly size: number;
  /** Go on with what is there. */
  readonly goesOn: boolean;
  readonly signal: AbortSignal;
}

export async function openSink(end: End, wish: SinkWish): Promise<SinkFile> {
  return end.host === undefined ? localSink(wish) : farSink(end, wish);
}

async function farSink(end: End, { path, temp, size, goesOn, signal }: SinkWish): Promise<SinkFile> {
  const sessions = await openSessions(end, "up", size, signal);
  try {
    const first = await sessions.first;
    const { write, read, create, exclusive } = openFlags;
    const how = write | read | create | (goesOn ? 0 : exclusive);
    const [handle, old] = await Promise.all([
      first.open(temp, how, 0o600),
      first.lstat(path).catch(() => undefined), // there is none
    ]);
    if (old?.isDirectory() === true) {
      if (!goesOn) await first.unlink(temp);
      throw new Error("it is a folder");
    }
    const lanes = sessions.all.map(async (opening, index) => {
      const files = await opening;
      const own = index === 0 ? handle : await files.open(temp, write, 0o600);
      return { write: (piece: Buffer, at: number) => files.write(own, piece, at) };
    });
    silence(lanes);
    const { host } = end;
    const isNear = lanes.length === 1 && size > oneSession;
    return {
      lanes,
      ...(host !== undefined && isNear && !goesOn ? { pour: (pieces) => pour(host, temp, pieces, signal) } : {}),
      read: (into, at) => readWhole(first, handle, into, at),
      size: async () => (await first.fstat(handle)).size,
      truncate: (length) => first.truncate(handle, length),
      async finish({ mode, mtime }) {
        const own = await first.fstat(handle);
        // Whose it was, if we may give it away.
        if (old?.isFile() === true && (old.uid !== own.uid || old.gid !== own.gid))
          await first.chown(handle, old.uid, old.gid).catch(() => undefined);
        await first.chmod(handle, mode);
        await first.times(handle, mtime, mtime);
        await first.close(handle);
        await first.rename(temp, path);
      },
      remove: () => first.unlink(temp),
      close: async () => sessions.end(),
    };
  } catch (error) {
    sessions.end();
    throw fileError(end, path, error);
  }
}

async function localSink({ path, temp, goesOn }: SinkWish): Promise<SinkFile> {
  const found = await lstat(path).catch(() => undefined);
  if (found?.isDirectory() === true) throw new AmiError("usage.input", `${path}: it is a folder`);
  const old = found?.isFile() === true ? found : undefined;
  const file = await open(temp, goesOn ? await modeOfOpening(temp) : "wx+", 0o600);
  const lane = {
    async write(piece: Buffer, at: number): Promise<void> {
      for (let done = 0; done < piece.length;) {
        done += (await file.write(piece, done, piece.length - done, at + done)).bytesWritten;
      }
    },
  };
  return {
    lanes: [Promise.resolve(lane)],
    read: (into, at) => readHere(file, into, at),
    size: async () => (await file.stat()).size,
    truncate: (size) => file.truncate(size),
    async finish({ mode, mtime }) {
      const own = await file.stat();
      if (old !== undefined && (old.uid !== own.uid || old.gid !== own.gid))
        await file.chown(old.uid, old.gid).catch(() => undefined);
      await file.chmod(mode);
      await file.utimes(mtime, mtime);
      await rename(temp, path);
    },
    remove: () => rm(temp, { force: true }),
    close: () => file.close().catch(() => undefined),
  };
}

async function modeOfOpening(temp: string): Promise<string> {
  return (await stat(temp).catch(() => undefined)) === undefined ? "wx+" : "r+";
}

interface Sessions {
  readonly first: Promise<OpenFiles>;
  /** Those that come later may never come, on a server that allows few. */
  readonly all: readonly Promise<OpenFiles>[];
  end(): void;
}

async function openSessions(
  { host, name, files: open }: End,
  way: keyof typeof spread,
  size: number,
  signal: AbortSignal,
): Promise<Sessions> {
  const over = new AbortController();
  const both = AbortSignal.any([signal, over.signal]);
  const openOne = async (apart?: number): Promise<OpenFiles> => {
    const files = await host?.files?.(both, apart);
    if (files === undefined)
      throw new AmiError("host.unsupported", "there is no sftp, or one that cannot replace a file", {
        host: name,
      });
    // Ended while it was being opened.
    if (over.signal.aborted) files.end();
    return files;
  };
  const first = open ?? (await openOne());
  const roundTrip = size <= oneSession ? 0 : await roundTripOf(first);
  const { sessions, together } =
    roundTrip > veryFar && size > oneConnection
      ? spread[way]
      : { sessions: sessionsFor(roundTrip, size), together: undefined };
  const further = Array.from({ length: sessions - 1 }, () => openOne(together));
  silence(further);
  return {
    first: Promise.resolve(first),
    all: [Promise.resolve(first), ...further],
    end() {
      over.abort();
      for (const opening of [Promise.resolve(first), ...further])
        void opening.then(
          (files) => files.end(),
          () => undefined,
        );
    },
  };
}

/** Asks again when it took long: a near machine that was busy for a moment is not far. */
async function roundTripOf(files: OpenFiles): Promise<number> {
  let least = Infinity;
  for (let asked = 0; asked < 2 && least > far; asked++) {
    const begun = performance.now();
    await files.lstat("/").catch(() => undefined); // an answer is an answer
    least = Math.min(least, performance.now() - begun);
  }
  return least;
}

/** What fails is noticed by whoever uses it. */
function silence(promises: readonly Promise<unknown>[]): void {
  for (const promise of promises) promise.catch(() => undefined);
}

async function readWhole(files: OpenFiles, handle: Buffer, into: Buffer, at: number): Promise<number> {
  let length = 0;
  while (length < into.length) {
    const got = await files.read(handle, into, length, at + length);
    if (got === 0) break;
    length += got;
  }
  return length;
}

async function readHere(file: FileHandle, into: Buffer, at: number): Promise<number> {
  let length = 0;
  while (length < into.length) {
    const { bytesRead } = await file.read(into, length, into.length - length, at + length);
    if (bytesRead === 0) break;
    length += bytesRead;
  }
  return length;
}

export function fileError(end: End, path: string, error: unknown): AmiError {
  if (error instanceof AmiError) return error;
  const words = error instanceof Error ? error.message : String(error);
  const code = error instanceof Error && "code" in error ? error.code : undefined;
  // The protocol has one word for most of what can go wrong.
  const why = words === "Failure" ? "it cannot be read or written (a full disk?)" : words.replace(/, \w+( '.*)?$/, "");
  const hint =
    code === 3 || code === "EACCES"
      ? "become a user who may: --become"
      : code === 2
        ? "look at the path; folders are not made on the way"
        : undefined;
  if (end.host === undefined) return new AmiError("run.failed", `${path}: ${why}`, { hint, cause: error });
  return new AmiError("host.file", `${path}: ${why}`, { host: end.name, hint, cause: error });
}
