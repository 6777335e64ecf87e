/** Unreadable: what the system says of a file that cannot be read or written, in words: `ENOENT` is no word. */

/** Fits behind "cannot be read: " and "cannot be written: ". What has no words of ours keeps its own. */
export function whyUnreadable(error: unknown): string {
  const code = systemCode(error);
  if (code !== undefined && Object.hasOwn(words, code)) return words[code] ?? code;
  return error instanceof Error ? error.message : String(error);
}

/** `ENOENT`, as Node and Bun put it into errors of the system. */
export function systemCode(error: unknown): string | undefined {
  return error instanceof Error && "code" in error && typeof error.code === "string" ? error.code : undefined;
}

const words: Readonly<Record<string, string>> = {
  ENOENT: "there is no such file",
  ENOTDIR: "a part of its path is no directory",
  EISDIR: "it is a directory",
  EEXIST: "something else has its name",
  EACCES: "permission denied",
  EPERM: "permission denied",
  ELOOP: "its links lead in a circle",
  ENAMETOOLONG: "its name is too long",
  EROFS: "the file system is read-only",
  ENOSPC: "no space left on device",
  EDQUOT: "the disk quota is used up",
  EFBIG: "the file would be too large",
  EIO: "the device failed",
  EMFILE: "too many files are open",
  ENFILE: "too many files are open",
};
