/**
 * Local tree: folders of this machine as entries, and entries as folders of this machine. Small files are read and
 * written by the synchronous calls: for thousands of them those take a fifth of the time.
 */
import { Buffer } from "node:buffer";
import {
  chmodSync,
  closeSync,
  fchmodSync,
  futimesSync,
  linkSync,
  lstatSync,
  lutimesSync,
  mkdirSync,
  openSync,
  readFileSync,
  readdirSync,
  readlinkSync,
  renameSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeSync,
} from "node:fs";
import { open } from "node:fs/promises";
import { dirname, join } from "node:path";
import { setImmediate as turn } from "node:timers/promises";
import { AmiError } from "../../errors.ts";
import { type Entries, type Entry, bytesOf, secondsOf } from "./entry.ts";
import type { Filter } from "./filter.ts";
import type { Move } from "./plan.ts";

const small = 64 * 1024;
/** The event loop gets its turn after so many files. */
const breath = 64;

export interface LocalOptions {
  readonly filter: Filter;
  /** false: further names of a file come as files of their own. */
  readonly hasHardlinks: boolean;
  skipped(path: string, why: string): void;
}

export async function* localEntries(moves: readonly Move[], options: LocalOptions): AsyncGenerator<Entry> {
  const { filter } = options;
  const firstNames = new Map<string, string>();
  let count = 0;
  for (const move of moves) {
    // The one that was named is followed, the links in it are not.
    for (const at of walk(move.from, "", filter)) {
      const path = at.below === "" ? move.to : move.to === "" ? at.below : `${move.to}/${at.below}`;
      const entry = entryOf(at.path, path, at.below === "", firstNames, options);
      if (entry !== undefined) yield entry;
      if (++count % breath === 0) await turn();
    }
  }
}

interface At {
  readonly path: string;
  readonly below: string;
}

function* walk(path: string, below: string, filter: Filter): Generator<At> {
  yield { path, below };
  const list = below === "" ? readdirOrNone(path) : readdirSync(path, { withFileTypes: true });
  if (list === undefined) return;
  for (const found of list.toSorted((a, b) => (a.name < b.name ? -1 : 1))) {
    const further = below === "" ? found.name : `${below}/${found.name}`;
    if (!filter.wants(further, found.isDirectory())) continue;
    if (found.isDirectory()) yield* walk(join(path, found.name), further, filter);
    else yield { path: join(path, found.name), below: further };
  }
}

function readdirOrNone(path: string): import("node:fs").Dirent[] | undefined {
  try {
    return readdirSync(path, { withFileTypes: true });
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOTDIR") return undefined;
    throw error;
  }
}

function entryOf(
  file: string,
  path: string,
  isTop: boolean,
  firstNames: Map<string, string>,
  { hasHardlinks, skipped }: LocalOptions,
): Entry | undefined {
  const found = isTop ? statSync(file) : lstatSync(file);
  const common = { path, mode: found.mode & 0o777, mtime: secondsOf(found.mtimeMs) };
  if (found.isDirectory()) return { ...common, type: "folder" };
  if (found.isSymbolicLink()) return { ...common, type: "symlink", leadsTo: readlinkSync(file) };
  if (!found.isFile()) {
    skipped(path, "it is neither file, folder nor link");
    return undefined;
  }
  if (hasHardlinks && found.nlink > 1) {
    const key = `${found.dev}:${found.ino}`;
    const first = firstNames.get(key);
    if (first !== undefined) return { ...common, type: "hardlink", leadsTo: first };
    firstNames.set(key, path);
  }
  if (found.size > small) return { ...common, type: "file", size: found.size, content: contentOf(file, found.size) };
  const content = readFileSync(file);
  return { ...common, type: "file", size: content.length, content };
}

/** So many bytes and no more, should it grow meanwhile. */
async function* contentOf(file: string, size: number): AsyncGenerator<Buffer> {
  const handle = await open(file);
  try {
    for (let at = 0; at < size;) {
      const piece = Buffer.allocUnsafe(Math.min(256 * 1024, size - at));
      const { bytesRead } = await handle.read(piece, 0, piece.length, at);
      if (bytesRead === 0) return;
      at += bytesRead;
      yield piece.subarray(0, bytesRead);
    }
  } finally {
    await handle.close();
  }
}

/**
 * Writes all of it below `folder`, which is new and ours. Links are made last: nothing is ever written through one that
 * the other side sent.
 */
export async function writeTree(entries: Entries, folder: string): Promise<void> {
  const later: (() => void)[] = [];
  const folders: Entry[] = [];
  const mask = process.umask();
  let count = 0;
  for await (const entry of entries) {
    const path = join(folder, entry.path);
    if (++count % breath === 0) await turn();
    if (entry.type === "folder") {
      mkdirSync(path, { recursive: true, mode: 0o700 });
      folders.push(entry);
    } else if (entry.type === "symlink") {
      later.push(() => {
        inFolder(path, () => symlinkSync(entry.leadsTo, path));
        lutimesSync(path, entry.mtime, entry.mtime);
      });
    } else if (entry.type === "hardlink") {
      later.unshift(() => inFolder(path, () => linkSync(join(folder, entry.leadsTo), path)));
    } else {
      const file = inFolder(path, () => openSync(path, "wx", entry.mode | 0o200));
      try {
        for await (const bytes of bytesOf(entry.content)) writeAll(file, bytes);
        if ((entry.mode & mask) !== 0 || (entry.mode & 0o200) === 0) fchmodSync(file, entry.mode);
        futimesSync(file, entry.mtime, entry.mtime);
      } finally {
        closeSync(file);
      }
    }
  }
  for (const make of later) make();
  for (const { path, mode, mtime } of folders.toReversed()) {
    if (path === "") continue;
    chmodSync(join(folder, path), mode);
    utimesSync(join(folder, path), mtime, mtime);
  }
}

function writeAll(file: number, bytes: Buffer): void {
  for (let at = 0; at < bytes.length;) at += writeSync(file, bytes, at);
}

/** Not every stream names the folders before what is in them. */
function inFolder<T>(path: string, make: () => T): T {
  try {
    return make();
  } catch (error) {
    if (!(error instanceof Error && "code" in error && error.code === "ENOENT")) throw error;
    mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
    return make();
  }
}

/** Moves everything in `from` into `into`, each file by rename; folders that are there stay, new ones move whole. */
export function mergeTree(from: string, into: string): void {
  for (const found of readdirSync(from, { withFileTypes: true })) {
    const [old, fresh] = [join(into, found.name), join(from, found.name)];
    const there = lstatSync(old, { throwIfNoEntry: false });
    const isFolder = statSync(old, { throwIfNoEntry: false })?.isDirectory() === true;
    if (found.isDirectory() && isFolder) mergeTree(fresh, old);
    else if (there?.isDirectory() === true)
      throw new AmiError("run.failed", `${old} is a folder, and a file is to go there`);
    else if (found.isDirectory() && there !== undefined)
      throw new AmiError("run.failed", `${old} is a file, and a folder is to go there`);
    else renameSync(fresh, old);
  }
}
