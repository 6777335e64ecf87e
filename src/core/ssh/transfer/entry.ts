/** Entry: one file, folder or link on its way. A tree is a stream of them, a folder before what is in it. */
import type { Buffer } from "node:buffer";

export type Entry =
  | (Common & { readonly type: "file"; readonly size: number; readonly content: Content })
  | (Common & { readonly type: "folder" })
  | (Common & { readonly type: "symlink"; readonly leadsTo: string })
  /** Another name of a file that came before. */
  | (Common & { readonly type: "hardlink"; readonly leadsTo: string });

interface Common {
  /** Below the folder that everything arrives in: `src/a.c`; that folder itself is "". No `.`, no `..`, no slash first. */
  readonly path: string;
  /** Permission bits, 0-0777: special bits were meant for the owner at the other end. */
  readonly mode: number;
  /** Seconds, not negative. */
  readonly mtime: number;
}

/** Whole when it is small; else to be read once, to its end, before the next entry is asked for. */
export type Content = Buffer | AsyncIterable<Buffer>;

export type Entries = AsyncIterable<Entry>;

export async function* bytesOf(content: Content): AsyncGenerator<Buffer> {
  if (Symbol.asyncIterator in content) yield* content;
  else if (content.length > 0) yield content;
}

/** What sftp can say: no time before 1970. */
export function secondsOf(milliseconds: number): number {
  return Math.max(0, Math.floor(milliseconds / 1000));
}
