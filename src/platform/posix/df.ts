/** Df: sizes of mounted file systems from `df -kP`, which POSIX, coreutils, busybox and macOS print alike. */

export interface Space {
  device: string;
  size: number;
  used: number;
  available: number;
}

/** By mount point. Device and mount point may hold blanks; the four columns between them tell where they end. */
export function readDf(text: string): Map<string, Space> {
  const spaces = new Map<string, Space>();
  for (const line of text.split("\n")) {
    const row = /^(.+?)\s+(\d+)\s+(-?\d+)\s+(-?\d+)\s+(?:\d+%|-)\s+(\/.*)$/.exec(line);
    if (row === null) continue;
    const [, device = "", size, used, available, mount = ""] = row;
    // More than is there can be used: space kept for root makes "available" negative on some systems.
    const kib = (column: string | undefined): number => Math.max(0, Number(column)) * 1024;
    spaces.set(mount, { device, size: kib(size), used: kib(used), available: kib(available) });
  }
  return spaces;
}
