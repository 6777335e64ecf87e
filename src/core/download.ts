/** Download: where files of other machines go on this one, and how they get there whole. */
import { randomBytes } from "node:crypto";
import { createWriteStream } from "node:fs";
import { chmod, realpath, rename, rm, stat } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { type Readable, Transform, type TransformCallback } from "node:stream";
import { pipeline } from "node:stream/promises";
import { AmiError } from "./errors.ts";
import { makeFolder } from "./folder.ts";
import { whyUnreadable } from "./unreadable.ts";

/**
 * The place of each host's file, by host. One host: LOCAL itself, or LOCAL/name when it is a directory. Several: always
 * LOCAL/host/name. Throws `usage.input` when LOCAL cannot be that.
 */
export async function destinations(
  local: string,
  name: string,
  hosts: readonly string[],
): Promise<Map<string, string>> {
  const found = await stat(local).catch(() => undefined);
  const isFolder = found?.isDirectory() === true;
  const [only] = hosts;
  if (hosts.length === 1 && only !== undefined) {
    if (!isFolder && /[/\\]$/.test(local))
      throw new AmiError("usage.input", `there is no directory ${local}`, { hint: `make it: mkdir -p ${local}` });
    // Renaming a file over a device would take the device away.
    if (found !== undefined && !isFolder && !found.isFile())
      throw new AmiError("usage.input", `${local} is not a plain file`, {
        hint: "to see a file: ami-node ssh execute 'cat FILE'",
      });
    return new Map([[only, isFolder ? join(local, name) : local]]);
  }
  if (found !== undefined && !isFolder) {
    throw new AmiError("usage.input", `${local} is a file, and ${hosts.length} targets give ${hosts.length} files`, {
      hint: `name a directory; each file goes to DIRECTORY/HOST/${name}`,
    });
  }
  const places = new Map(hosts.map((host) => [host, join(local, folderOf(host), name)]));
  if (new Set(places.values()).size < hosts.length)
    throw new AmiError("usage.input", "two of the targets would write to one file", {
      hint: "get them one after the other",
    });
  return places;
}

/** A host's name as the name of a folder: `ssh://user@host:22` holds characters that would lead elsewhere. */
export function folderOf(host: string): string {
  const tame = host.replaceAll(/[/\\:\0]/g, "_");
  return /^\.+$/.test(tame) ? `_${tame}` : tame;
}

export interface ReceiveOptions {
  /** Permission bits of a new file; an existing one keeps its own. */
  readonly mode?: number | undefined;
  readonly onProgress?: ((bytes: number) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Writes a stream to a file: beside it under another name, readable to nobody else, then renamed. Folders are made;
 * a link is followed. On any error the old file stays and the new one is removed. Resolves with the bytes written.
 */
export async function receive(source: Readable, path: string, options: ReceiveOptions = {}): Promise<number> {
  try {
    makeFolder(dirname(path), 0o777);
    const real = await realpath(path).catch(() => path);
    const old = await stat(real).catch(() => undefined);
    if (old?.isDirectory() === true) throw new Error("it is a directory");
    const temp = join(dirname(real), `.${basename(real)}.ami-${randomBytes(8).toString("hex")}`);
    try {
      let bytes = 0;
      const count = new Transform({
        transform(chunk: Buffer, _encoding, done: TransformCallback) {
          bytes += chunk.length;
          options.onProgress?.(bytes);
          done(null, chunk);
        },
      });
      await pipeline(source, count, createWriteStream(temp, { mode: 0o600, flags: "wx" }), { signal: options.signal });
      const mode = old?.mode ?? (options.mode ?? 0o644) & ~process.umask();
      await chmod(temp, mode & 0o777);
      await rename(temp, real);
      return bytes;
    } catch (error) {
      await rm(temp, { force: true });
      throw error;
    }
  } catch (error) {
    source.destroy();
    if (error instanceof AmiError || options.signal?.aborted === true) throw error;
    throw new AmiError("run.failed", `${path}: ${whyUnreadable(error)}`, {
      cause: error,
    });
  }
}
