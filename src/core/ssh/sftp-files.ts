/** Sftp files: the calls of ssh2's SFTP client we use, with promises. */
import type { Buffer } from "node:buffer";
import type { Connection } from "./connection.ts";
import type { SftpChannel } from "./inside.ts";

/** Rejects with ssh2's errors, whose `code` is the number of the protocol, and with `ssh.lost`. */
export interface Files {
  open(path: string, how: number, mode?: number): Promise<Buffer>;
  close(handle: Buffer): Promise<void>;
  /** How many bytes came; 0 at the end of the file. */
  read(handle: Buffer, into: Buffer, offset: number, at: number): Promise<number>;
  write(handle: Buffer, piece: Buffer, at: number): Promise<void>;
  lstat(path: string): Promise<Stats>;
  fstat(handle: Buffer): Promise<Stats>;
  chown(handle: Buffer, uid: number, gid: number): Promise<void>;
  chmod(handle: Buffer, mode: number): Promise<void>;
  unlink(path: string): Promise<void>;
  /** Replaces `to`. */
  rename(from: string, to: string): Promise<void>;
}

export interface Stats {
  mode: number;
  uid: number;
  gid: number;
  isDirectory(): boolean;
  isFile(): boolean;
}

/** ssh2's SFTP client with promises; each rejects when the connection is gone, which ssh2 does not always tell. */
export function sftpFiles(channel: SftpChannel, connection: Connection): Files {
  type Done<T> = (error: Error | null | undefined, value: T) => void;
  const lost = Promise.withResolvers<never>();
  lost.promise.catch(() => undefined); // raced
  const stop = connection.onGone(lost.reject);
  channel.once("close", () => {
    stop();
    lost.reject(new Error("the server ended the sftp session"));
  });
  const call = <T>(start: (done: Done<T>) => void): Promise<T> =>
    Promise.race([
      lost.promise,
      new Promise<T>((resolve, reject) => {
        start((error, value) => {
          if (error === undefined || error === null) resolve(value);
          else reject(error);
        });
      }),
    ]);
  return {
    open: (path: string, how: number, mode = 0o600) => call<Buffer>((done) => channel.open(path, how, { mode }, done)),
    close: (handle: Buffer) => call<void>((done) => channel.close(handle, (error) => done(error, undefined))),
    read: (handle: Buffer, into: Buffer, offset: number, at: number) =>
      call<number>((done) => channel.read(handle, into, offset, into.length - offset, at, done)),
    write: (handle: Buffer, piece: Buffer, at: number) =>
      call<void>((done) => channel.write(handle, piece, 0, piece.length, at, (error) => done(error, undefined))),
    lstat: (path: string) => call<Stats>((done) => channel.lstat(path, done)),
    fstat: (handle: Buffer) => call<Stats>((done) => channel.fstat(handle, done)),
    chown: (handle: Buffer, uid: number, gid: number) =>
      call<void>((done) => channel.fchown(handle, uid, gid, (error) => done(error, undefined))),
    chmod: (handle: Buffer, mode: number) =>
      call<void>((done) => channel.fchmod(handle, mode, (error) => done(error, undefined))),
    unlink: (path: string) => call<void>((done) => channel.unlink(path, (error) => done(error, undefined))),
    rename: (from: string, to: string) =>
      call<void>((done) => channel.ext_openssh_rename(from, to, (error) => done(error, undefined))),
  };
}
