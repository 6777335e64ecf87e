/** Sftp: files over ssh's own file protocol: large pieces, many at once, written beside and renamed. */
import { randomBytes } from "node:crypto";
import { Readable } from "node:stream";
import { AmiError, asAmiError } from "../errors.ts";
import { type Files, type OpenFiles, type Stats, openFlags as flags, pieceSize } from "../files.ts";
import type { PutOptions } from "../host.ts";
import { visible } from "../visible.ts";
import { type SftpChannel, inside, isSftpChannel, stranger } from "./inside.ts";
import type { Connection } from "./connection.ts";
import type { Lent, LineOptions, Link } from "./link.ts";
import { cancelled } from "./patience.ts";
import { sftpFiles } from "./sftp-files.ts";

export interface Sftp {
  /** As `Host.put`; owner and group must be numbers. */
  put(source: Readable, path: string, options: PutOptions): Promise<void>;
  /** As `Host.get`. The session ends with the stream. */
  get(path: string, signal: AbortSignal | undefined): Promise<Readable>;
  /** Idempotent. */
  close(): void;
}

/**
 * A session of its own on a link. Undefined when the server has no sftp, or one that cannot replace a file by
 * renaming. Rejects with `ssh.*` or `run.cancelled`.
 */
export async function openSftp(link: Link, signal: AbortSignal | undefined): Promise<Sftp | undefined> {
  const opened = await openChannel(link, signal);
  return opened === undefined ? undefined : sftpOf(link.name, opened.channel, opened.lent);
}

/** The same session call by call. */
export async function openSftpFiles(
  link: Link,
  { signal, apart }: Pick<LineOptions, "signal" | "apart">,
): Promise<OpenFiles | undefined> {
  const opened = await openChannel(link, signal, apart);
  if (opened === undefined) return undefined;
  const { channel, lent } = opened;
  const files = { ...sftpFiles(channel, lent.connection), end: () => channel.end() };
  channels.set(files, { channel, connection: lent.connection });
  return files;
}

const channels = new WeakMap<OpenFiles, { readonly channel: SftpChannel; readonly connection: Connection }>();

/** What a session of `openSftpFiles` runs on, for who speaks sftp in words of its own. */
export function channelOf(files: OpenFiles): { readonly channel: SftpChannel; readonly connection: Connection } {
  const found = channels.get(files);
  if (found === undefined) throw new Error("no session of ours");
  return found;
}

async function openChannel(
  link: Link,
  signal: AbortSignal | undefined,
  apart?: number,
): Promise<{ channel: SftpChannel; lent: Lent } | undefined> {
  return link.withRoom(
    async (lent) => {
      const channel = await startSftp(lent);
      if (channel === undefined || channel._extensions["posix-rename@openssh.com"] === undefined) {
        channel?.end();
        lent.release();
        return undefined;
      }
      channel.once("close", lent.release);
      const stop = lent.connection.onGone(lent.release);
      channel.once("close", stop);
      channel.on("error", () => undefined); // a session that breaks tells each request that was under way
      return { channel, lent };
    },
    { signal, apart },
  );
}

async function startSftp({ connection }: Lent): Promise<SftpChannel | undefined> {
  const channel = await connection.channel("sftp");
  if (!isSftpChannel(channel)) throw stranger();
  const { promise, resolve } = Promise.withResolvers<boolean>();
  channel._callbacks.push((refused) => {
    if (refused !== false) resolve(false);
  });
  channel.once("ready", () => resolve(true));
  for (const event of ["error", "close", "exit"]) channel.once(event, () => resolve(false));
  inside(connection.client)._protocol.subsystem(channel.outgoing.id, "sftp", true);
  channel._init(); // travels along with the request
  const isReady = await connection.during(promise);
  if (isReady) return channel;
  channel.on("error", () => undefined);
  channel.end();
  return undefined;
}

/** Four megabytes under way: more than the window of a channel. */
const piecesAtOnce = 16;

function sftpOf(name: string, channel: SftpChannel, lent: Lent): Sftp {
  const close = (): void => channel.end();
  const files = sftpFiles(channel, lent.connection);
  return {
    close,
    async put(source, path, options) {
      const folder = path.slice(0, path.lastIndexOf("/") + 1);
      const temp = `${folder}.ami-${randomBytes(8).toString("hex")}`;
      const { signal } = options;
      const stop = (): void => void source.destroy(cancelled(name, signal?.reason));
      signal?.addEventListener("abort", stop, { once: true });
      const stopWatching = lent.connection.onGone((reason) => source.destroy(reason));
      let isThere = false;
      try {
        signal?.throwIfAborted();
        const [old, opened] = await Promise.allSettled([
          files.lstat(path).catch(ignoreMissing),
          files.open(temp, flags.write | flags.create | flags.exclusive, 0o600),
        ]);
        isThere = opened.status === "fulfilled";
        if (opened.status === "rejected") throw opened.reason;
        if (old.status === "rejected") throw old.reason;
        if (old.value?.isDirectory() === true) throw new Error("it is a directory");
        await sendAll(files, opened.value, source, options);
        await settleOwner(files, opened.value, old.value, options);
        await files.close(opened.value);
        signal?.throwIfAborted();
        await files.rename(temp, path);
        isThere = false;
      } catch (error) {
        source.destroy();
        if (isThere) await files.unlink(temp).catch(() => undefined); // the first error is the one that counts
        throw signal?.aborted === true ? cancelled(name, signal.reason) : fileError(name, path, error);
      } finally {
        stopWatching();
        signal?.removeEventListener("abort", stop);
      }
    },
    async get(path, signal) {
      try {
        signal?.throwIfAborted();
        const handle = await files.open(path, flags.read);
        const pieces = readAll(name, path, files, handle, signal);
        // The first piece is waited for, so that a directory is refused here and not in the middle of a stream.
        const first = await pieces.next();
        const stream = Readable.from(withFirst(first, pieces), { objectMode: false });
        const stop = (): void => void stream.destroy(cancelled(name, signal?.reason));
        signal?.addEventListener("abort", stop, { once: true });
        stream.once("close", () => {
          signal?.removeEventListener("abort", stop);
          close();
        });
        return stream;
      } catch (error) {
        close();
        throw signal?.aborted === true ? cancelled(name, signal.reason) : fileError(name, path, error);
      }
    },
  };
}

async function sendAll(files: Files, handle: Buffer, source: Readable, options: PutOptions): Promise<void> {
  const underWay = new Set<Promise<void>>();
  let failure: Error | undefined;
  let at = 0;
  let written = 0;
  const send = (piece: Buffer): void => {
    const writing: Promise<void> = files
      .write(handle, piece, at)
      .then(() => {
        written += piece.length;
        options.onProgress?.(written);
      })
      .catch((error: Error) => void (failure ??= error))
      .finally(() => underWay.delete(writing));
    underWay.add(writing);
    at += piece.length;
  };
  for await (const piece of inPieces(source)) {
    options.signal?.throwIfAborted();
    if (failure !== undefined) break;
    send(piece);
    if (underWay.size >= piecesAtOnce) await Promise.race(underWay);
  }
  await Promise.all(underWay);
  if (failure !== undefined) throw failure;
}

/** The bytes of a stream, cut or gathered to pieces of one size. */
async function* inPieces(source: Readable): AsyncGenerator<Buffer> {
  let held: Buffer[] = [];
  let size = 0;
  for await (const chunk of source) {
    let rest = Buffer.isBuffer(chunk) ? chunk : Buffer.from(String(chunk));
    while (size + rest.length >= pieceSize) {
      const cut = pieceSize - size;
      yield Buffer.concat([...held, rest.subarray(0, cut)], pieceSize);
      rest = rest.subarray(cut);
      held = [];
      size = 0;
    }
    if (rest.length > 0) held.push(rest);
    size += rest.length;
  }
  if (size > 0) yield Buffer.concat(held, size);
}

/** Mode and owner as `Host.put` promises: as asked for, else as the replaced file had them, else 0644 and ours. */
async function settleOwner(files: Files, handle: Buffer, old: Stats | undefined, options: PutOptions): Promise<void> {
  const kept = old?.isFile() === true ? old : undefined;
  const own = await files.fstat(handle);
  const uid = options.owner === undefined ? (kept?.uid ?? own.uid) : Number(options.owner);
  const gid = options.group === undefined ? (kept?.gid ?? own.gid) : Number(options.group);
  let keptMode = kept === undefined ? undefined : kept.mode & 0o7777;
  if (uid !== own.uid || gid !== own.gid) {
    try {
      await files.chown(handle, uid, gid);
    } catch (error) {
      if (options.owner !== undefined || options.group !== undefined) throw error;
      // Not ours to give away: then special bits, which were meant for the old owner, are not kept either.
      if (keptMode !== undefined) keptMode &= 0o777;
    }
  }
  await files.chmod(handle, options.mode === undefined ? (keptMode ?? 0o644) : options.mode & 0o7777);
}

/** Reads to the end, whatever size the file says it has: those of /proc say 0. */
async function* readAll(
  name: string,
  path: string,
  files: Files,
  handle: Buffer,
  signal: AbortSignal | undefined,
): AsyncGenerator<Buffer, void, undefined> {
  const ahead: Promise<Buffer>[] = [];
  let at = 0;
  const ask = (): void => {
    const reading = readPiece(files, handle, at);
    reading.catch(() => undefined); // looked at when its turn comes
    ahead.push(reading);
    at += pieceSize;
  };
  // One, then more: most files are small.
  let most = 1;
  try {
    for (;;) {
      while (ahead.length < most) ask();
      most = Math.min(piecesAtOnce, most * 2);
      signal?.throwIfAborted();
      const piece = await ahead.shift();
      if (piece !== undefined && piece.length > 0) yield piece;
      if (piece === undefined || piece.length < pieceSize) return;
    }
  } catch (error) {
    throw signal?.aborted === true ? cancelled(name, signal.reason) : fileError(name, path, error);
  } finally {
    files.close(handle).catch(() => undefined); // nothing was written
  }
}

/** Short at the end of the file only. */
async function readPiece(files: Files, handle: Buffer, at: number): Promise<Buffer> {
  const piece = Buffer.allocUnsafe(pieceSize);
  let length = 0;
  while (length < pieceSize) {
    const got = await files.read(handle, piece, length, at + length);
    if (got === 0) break;
    length += got;
  }
  return piece.subarray(0, length);
}

async function* withFirst(
  first: IteratorResult<Buffer, void>,
  rest: AsyncGenerator<Buffer, void, undefined>,
): AsyncGenerator<Buffer, void, undefined> {
  if (first.done === true) return;
  try {
    yield first.value;
    yield* rest;
  } finally {
    await rest.return();
  }
}

const noSuchFile = 2;

function ignoreMissing(error: unknown): undefined {
  if (statusOf(error) !== noSuchFile) throw error;
}

function statusOf(error: unknown): unknown {
  return typeof error === "object" && error !== null && "code" in error ? error.code : undefined;
}

function fileError(name: string, path: string, error: unknown): AmiError {
  if (error instanceof AmiError) return error;
  const words = visible(asAmiError(error).message);
  // The protocol has one word for most of what can go wrong.
  const why = words === "Failure" ? "it cannot be read or written (a directory, or a full disk?)" : lower(words);
  const hints: Readonly<Record<number, string>> = {
    2: "look at the path; folders are not made on the way",
    3: "become a user who may: --become",
    4: "is there room? ami-node ssh execute 'df -h' tells",
  };
  const code = statusOf(error);
  const hint = typeof code === "number" ? hints[code] : undefined;
  return new AmiError("host.file", `${path}: ${why}`, { host: name, hint, cause: error });
}

function lower(words: string): string {
  return words.slice(0, 1).toLowerCase() + words.slice(1);
}
