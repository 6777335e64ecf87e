/** Read: one thing of this machine: what it is, and what is in it. */
import type { Buffer } from "node:buffer";
import {
  type BigIntStats,
  accessSync,
  constants,
  createReadStream,
  lstatSync,
  readFileSync,
  readlinkSync,
} from "node:fs";
import { AmiError } from "../../errors.ts";
import { systemCode, whyUnreadable } from "../../unreadable.ts";
import type { Entry } from "../transfer/entry.ts";
import type { Item } from "./item.ts";

/** Undefined: it is gone. */
export function itemOf(path: string, stats: BigIntStats): Item | undefined {
  const common = {
    size: Number(stats.size),
    mode: Number(stats.mode) & 0o777,
    mtime: Number(stats.mtimeNs / 1_000_000_000n),
    stamp: `${stats.dev}:${stats.ino}:${stats.mtimeNs}:${stats.ctimeNs}:${stats.size}`,
  };
  if (stats.isDirectory()) return { ...common, type: "folder", stamp: `${stats.dev}:${stats.ino}:${common.mode}` };
  if (stats.isFile()) return { ...common, type: "file" };
  if (!stats.isSymbolicLink()) return { ...common, type: "other" };
  try {
    return { ...common, type: "symlink", leadsTo: readlinkSync(path) };
  } catch {
    return undefined;
  }
}

const small = 64 * 1024;

/** What is there now, as it travels; undefined: it is gone, another kind of thing, or may not be read, and then why. */
export function entryOf(file: string, path: string, barred: (why: string) => void): Entry | undefined {
  try {
    const stats = lstatSync(file);
    const common = { path, mode: stats.mode & 0o777, mtime: Math.floor(stats.mtimeMs / 1000) };
    if (stats.isDirectory()) return { ...common, type: "folder" };
    if (stats.isSymbolicLink()) return { ...common, type: "symlink", leadsTo: readlinkSync(file) };
    if (!stats.isFile()) return undefined;
    accessSync(file, constants.R_OK);
    if (stats.size > small) return { ...common, type: "file", size: stats.size, content: piecesOf(file, stats.size) };
    const content = readFileSync(file);
    return { ...common, type: "file", size: content.length, content };
  } catch (error) {
    if (["ENOENT", "ENOTDIR", "EISDIR", "EINVAL"].includes(systemCode(error) ?? "")) return undefined;
    if (systemCode(error) === "EACCES" || systemCode(error) === "EPERM") {
      barred(whyUnreadable(error));
      return undefined;
    }
    throw new AmiError("run.failed", `${path}: ${whyUnreadable(error)}`, { cause: error });
  }
}

/** So many bytes and no more, should it grow meanwhile. */
async function* piecesOf(file: string, size: number): AsyncGenerator<Buffer> {
  for await (const piece of createReadStream(file, { end: size - 1, highWaterMark: 256 * 1024 })) yield piece as Buffer;
}
