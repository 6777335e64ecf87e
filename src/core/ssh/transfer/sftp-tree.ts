/** Sftp tree: folders of another machine as entries, and entries as folders there, where there is no tar for it. */
import { Buffer } from "node:buffer";
import { randomBytes } from "node:crypto";
import { AmiError } from "../../errors.ts";
import { type OpenFiles, type Stats, openFlags, pieceSize } from "../../files.ts";
import type { End } from "./end.ts";
import { type Entries, type Entry, bytesOf } from "./entry.ts";
import type { Filter } from "./filter.ts";
import { orAbort, within } from "./pace.ts";
import { type Move, join } from "./plan.ts";

/** So many files are under way at once. */
const atOnce = 32;

interface SourceOptions {
  readonly filter: Filter;
  readonly signal: AbortSignal;
  skipped(path: string, why: string): void;
  /** false: only what there is, not what is in it. */
  readonly contents?: boolean;
}

export async function* sftpEntries(end: End, moves: readonly Move[], options: SourceOptions): AsyncGenerator<Entry> {
  const files = await openFiles(end, options.signal);
  try {
    // Small files are read ahead while others travel on.
    const ahead: Promise<Entry | undefined>[] = [];
    const found = walkAll(files, moves, options);
    for await (const { from, path, stats } of found) {
      const entry = entryOf(files, from, path, stats, options);
      entry.catch(() => undefined); // looked at when its turn comes
      ahead.push(entry);
      if (ahead.length < atOnce) continue;
      const first = await ahead.shift();
      if (first !== undefined) yield first;
    }
    for (const waiting of ahead) {
      const entry = await waiting;
      if (entry !== undefined) yield entry;
    }
  } finally {
    files.end();
  }
}

interface At {
  readonly from: string;
  readonly path: string;
  readonly stats: Stats;
}

async function* walkAll(files: OpenFiles, moves: readonly Move[], { filter }: SourceOptions): AsyncGenerator<At> {
  for (const move of moves) {
    const handle = move.type === "file" ? await files.open(move.from, openFlags.read) : undefined;
    // The one that was named is followed: what it leads to has been looked at already.
    const stats = handle === undefined ? await files.lstat(`${move.from}/.`) : await files.fstat(handle);
    if (handle !== undefined) await files.close(handle);
    yield { from: move.from, path: move.to, stats };
    if (move.type === "folder") yield* walk(files, move.from, move.to, "", filter);
  }
}

async function* walk(files: OpenFiles, from: string, to: string, below: string, filter: Filter): AsyncGenerator<At> {
  for (const { name, stats } of await files.list(from)) {
    const further = below === "" ? name : `${below}/${name}`;
    if (!filter.wants(further, stats.isDirectory())) continue;
    const path = to === "" ? name : `${to}/${name}`;
    yield { from: join(from, name), path, stats };
    if (stats.isDirectory()) yield* walk(files, join(from, name), path, further, filter);
  }
}

async function entryOf(
  files: OpenFiles,
  from: string,
  path: string,
  stats: Stats,
  { skipped, contents = true }: SourceOptions,
): Promise<Entry | undefined> {
  const { size, mtime } = stats;
  const common = { path, mode: stats.mode & 0o777, mtime };
  if (stats.isDirectory()) return { ...common, type: "folder" };
  if (stats.isSymbolicLink()) return { ...common, type: "symlink", leadsTo: await files.readlink(from) };
  if (!stats.isFile()) {
    skipped(path, "it is neither file, folder nor link");
    return undefined;
  }
  if (!contents) return { ...common, type: "file", size, content: Buffer.alloc(0) };
  if (size > pieceSize) return { ...common, type: "file", size, content: contentOf(files, from, size) };
  const pieces = [];
  for await (const piece of contentOf(files, from, size)) pieces.push(piece);
  const content = Buffer.concat(pieces);
  return { ...common, type: "file", size: content.length, content };
}

async function* contentOf(files: OpenFiles, path: string, size: number): AsyncGenerator<Buffer> {
  const handle = await files.open(path, openFlags.read);
  try {
    const ahead: Promise<Buffer>[] = [];
    for (let at = 0; at < size || ahead.length > 0;) {
      while (at < size && ahead.length < 8) {
        const reading = readPiece(files, handle, at, Math.min(pieceSize, size - at));
        reading.catch(() => undefined); // looked at when its turn comes
        ahead.push(reading);
        at += pieceSize;
      }
      const piece = await ahead.shift();
      if (piece === undefined || piece.length === 0) return;
      yield piece;
    }
  } finally {
    files.close(handle).catch(() => undefined); // nothing was written
  }
}

async function readPiece(files: OpenFiles, handle: Buffer, at: number, size: number): Promise<Buffer> {
  const piece = Buffer.allocUnsafe(size);
  let length = 0;
  while (length < size) {
    const got = await files.read(handle, piece, length, at + length);
    if (got === 0) break;
    length += got;
  }
  return piece.subarray(0, length);
}

/**
 * Folders that are not there yet arrive under another name and are renamed at the end; into others each file is written
 * beside its place and renamed. What was under way when it fails is taken away.
 */
export async function writeSftpTree(end: End, entries: Entries, base: string, signal: AbortSignal): Promise<void> {
  const files = await openFiles(end, signal);
  const writer = createWriter(files, base);
  try {
    // What waits for a server that does not answer must not keep us.
    for await (const entry of entries) await orAbort(writer.take(entry), signal);
    await orAbort(writer.finish(), signal);
  } catch (error) {
    await within(2000, writer.undo());
    throw error;
  } finally {
    files.end();
  }
}

function createWriter(files: OpenFiles, base: string) {
  const underWay = new Set<Promise<void>>();
  let failure: Error | undefined;
  /** New folders of the top, by their name: where they are until the end. */
  const beside = new Map<string, string>();
  const temps = new Set<string>();
  const folders: { readonly path: string; readonly mode: number; readonly mtime: number }[] = [];
  const made = new Set<string>();

  const placeOf = (path: string): string => {
    const slash = path.indexOf("/");
    const top = slash < 0 ? path : path.slice(0, slash);
    return join(beside.get(top) ?? join(base, top), slash < 0 ? "" : path.slice(slash + 1));
  };
  const isFolder = async (path: string): Promise<boolean> => {
    const found = await files.lstat(`${path}/.`).catch(() => undefined);
    return found?.isDirectory() === true;
  };
  const makeFolder = async (entry: Extract<Entry, { type: "folder" }>): Promise<void> => {
    const { path } = entry;
    if (path === "" || (await isFolder(placeOf(path)))) return;
    if (!path.includes("/")) beside.set(path, join(base, `.ami-${randomBytes(8).toString("hex")}.partial`));
    const place = placeOf(path);
    await files.mkdir(place, 0o700);
    made.add(place);
    folders.push({ ...entry, path: place });
  };
  const writeFile = async (entry: Extract<Entry, { type: "file" }>): Promise<void> => {
    const place = placeOf(entry.path);
    const temp = `${place.slice(0, place.lastIndexOf("/") + 1)}.ami-${randomBytes(8).toString("hex")}.partial`;
    temps.add(temp);
    const handle = await files.open(temp, openFlags.write | openFlags.create | openFlags.exclusive, 0o600);
    let at = 0;
    const writes: Promise<void>[] = [];
    for await (const bytes of bytesOf(entry.content)) {
      const writing = files.write(handle, bytes, at);
      writing.catch(() => undefined); // waited for below
      writes.push(writing);
      at += bytes.length;
      if (writes.length >= 16) await writes.shift();
    }
    await Promise.all(writes);
    if (at !== entry.size)
      throw new AmiError("run.failed", `${entry.path} changed while it was read`, { retry: "yes" });
    await Promise.all([
      files.chmod(handle, entry.mode),
      files.times(handle, entry.mtime, entry.mtime),
      files.close(handle),
    ]);
    await files.rename(temp, place);
    temps.delete(temp);
  };
  const makeLink = async (entry: Extract<Entry, { type: "symlink" }>): Promise<void> => {
    const place = placeOf(entry.path);
    const temp = `${place.slice(0, place.lastIndexOf("/") + 1)}.ami-${randomBytes(8).toString("hex")}.partial`;
    temps.add(temp);
    await files.symlink(entry.leadsTo, temp);
    await files.rename(temp, place);
    temps.delete(temp);
  };

  return {
    /** Large files are taken to their end, small ones and links go on beside. */
    async take(entry: Entry): Promise<void> {
      if (failure !== undefined) throw failure;
      if (entry.type === "folder") {
        await Promise.all(underWay);
        return makeFolder(entry);
      }
      if (entry.type === "hardlink")
        throw new AmiError("host.unsupported", `${entry.path} is a second name of a file, which only tar can carry`);
      if (entry.type === "file" && Symbol.asyncIterator in entry.content) return writeFile(entry);
      const work: Promise<void> = (entry.type === "file" ? writeFile(entry) : makeLink(entry))
        .catch((error: Error) => void (failure ??= error))
        .finally(() => underWay.delete(work));
      underWay.add(work);
      if (underWay.size >= atOnce) await Promise.race(underWay);
    },
    async finish(): Promise<void> {
      await Promise.all(underWay);
      if (failure !== undefined) throw failure;
      for (const { path, mode, mtime } of folders.toReversed()) await files.settle(path, mode, mtime);
      for (const [top, temp] of beside) await files.rename(temp, join(base, top));
    },
    /** The first error is the one that counts. */
    async undo(): Promise<void> {
      await Promise.all(underWay);
      for (const temp of temps) await files.unlink(temp).catch(() => undefined);
      for (const temp of beside.values()) await removeTree(files, temp).catch(() => undefined);
    },
  };
}

async function removeTree(files: OpenFiles, path: string): Promise<void> {
  for (const { name, stats } of await files.list(path)) {
    if (stats.isDirectory()) await removeTree(files, join(path, name));
    else await files.unlink(join(path, name));
  }
  await files.rmdir(path);
}

/** A session of its own: a source and a destination on one machine must not wait for each other. */
async function openFiles({ host, files: open, name }: End, signal: AbortSignal): Promise<OpenFiles> {
  const files = open ?? (await host?.files?.(signal));
  if (files === undefined)
    throw new AmiError("host.unsupported", "there is no sftp there for this user", { host: name });
  return files;
}
