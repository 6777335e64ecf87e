/**
 * File cache: small local files that are looked at once for every host (ssh_config, known_hosts), read and parsed once
 * for the life of the process. Read synchronously: they are small, and a fleet asks for them hundreds of times.
 */
import { type BigIntStats, closeSync, fstatSync, openSync, readFileSync } from "node:fs";

interface Cached<T> {
  readonly stamp: string;
  readonly value: T;
}

/** A reader that parses a file again only when it changed. undefined: no such file. Other failures are thrown as they come. */
export function cachedReader<T>(parse: (text: string, file: string) => T): (file: string) => CachedFile<T> | undefined {
  const cache = new Map<string, Cached<T>>();
  return (file) => {
    let fd: number;
    try {
      fd = openSync(file, "r");
    } catch (error) {
      if (isMissing(error)) return undefined;
      throw error;
    }
    try {
      const stat = fstatSync(fd, { bigint: true });
      const stamp = [stat.dev, stat.ino, stat.size, stat.mtimeNs, stat.ctimeNs].join(":");
      const known = cache.get(file);
      if (known?.stamp === stamp) return { value: known.value, stat };
      // A directory that an Include pattern happens to match counts as empty, as it does for ssh.
      const value = parse(stat.isDirectory() ? "" : readFileSync(fd, "utf8"), file);
      // One that has just been written may be written again within the same tick of the clock: not kept.
      if (Date.now() - Number(stat.ctimeMs) > 2000) cache.set(file, { stamp, value });
      return { value, stat };
    } finally {
      closeSync(fd);
    }
  };
}

export interface CachedFile<T> {
  readonly value: T;
  readonly stat: BigIntStats;
}

function isMissing(error: unknown): boolean {
  return error instanceof Error && "code" in error && (error.code === "ENOENT" || error.code === "ENOTDIR");
}
