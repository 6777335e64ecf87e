/** Files: the calls of a file protocol, with promises. What the server says is kept as `code` of the error. */
import type { Buffer } from "node:buffer";

/** Rejects with errors whose `code` is the number of the sftp protocol (2: no such file), and with `ssh.lost`. */
export interface Files {
  /** `how`: the sum of `openFlags`. */
  open(path: string, how: number, mode?: number): Promise<Buffer>;
  close(handle: Buffer): Promise<void>;
  /** How many bytes came; 0 at the end of the file. */
  read(handle: Buffer, into: Buffer, offset: number, at: number): Promise<number>;
  write(handle: Buffer, piece: Buffer, at: number): Promise<void>;
  lstat(path: string): Promise<Stats>;
  fstat(handle: Buffer): Promise<Stats>;
  chown(handle: Buffer, uid: number, gid: number): Promise<void>;
  chmod(handle: Buffer, mode: number): Promise<void>;
  /** Whole seconds. */
  times(handle: Buffer, accessed: number, modified: number): Promise<void>;
  truncate(handle: Buffer, size: number): Promise<void>;
  /** As `chmod` and `times` together, for what cannot be opened. */
  settle(path: string, mode: number, modified: number): Promise<void>;
  unlink(path: string): Promise<void>;
  /** Replaces `to`. */
  rename(from: string, to: string): Promise<void>;
  mkdir(path: string, mode: number): Promise<void>;
  rmdir(path: string): Promise<void>;
  /** Without `.` and `..`. */
  list(path: string): Promise<readonly { readonly name: string; readonly stats: Stats }[]>;
  readlink(path: string): Promise<string>;
  symlink(leadsTo: string, path: string): Promise<void>;
}

/** A session of its own. */
export interface OpenFiles extends Files {
  /** Idempotent; what is under way is refused. */
  end(): void;
}

export interface Stats {
  mode: number;
  uid: number;
  gid: number;
  size: number;
  /** Seconds. */
  mtime: number;
  isDirectory(): boolean;
  isFile(): boolean;
  isSymbolicLink(): boolean;
}

export const openFlags = { read: 1, write: 2, create: 8, truncate: 16, exclusive: 32 } as const;

/** What fits beside its header into the largest packet of OpenSSH, as ssh2 cuts it. */
export const pieceSize = 254 * 1024;
