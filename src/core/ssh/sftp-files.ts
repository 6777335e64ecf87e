/** Sftp files: the calls of ssh2's SFTP client we use, with promises. */
import type { Buffer } from "node:buffer";
import type { FileEntryWithStats } from "ssh2";
import type { Files, Stats } from "../files.ts";
import type { Connection } from "./connection.ts";
import type { SftpChannel } from "./inside.ts";

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
  const done = (start: (done: (error?: Error | null) => void) => void): Promise<void> =>
    call<void>((settle) => start((error) => settle(error, undefined)));
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
    times: (handle: Buffer, accessed: number, modified: number) =>
      done((settle) => channel.futimes(handle, accessed, modified, settle)),
    truncate: (handle: Buffer, size: number) => done((settle) => channel.fsetstat(handle, { size }, settle)),
    settle: (path: string, mode: number, modified: number) =>
      done((settle) => channel.setstat(path, { mode, atime: modified, mtime: modified }, settle)),
    mkdir: (path: string, mode: number) => done((settle) => channel.mkdir(path, { mode }, settle)),
    rmdir: (path: string) => done((settle) => channel.rmdir(path, settle)),
    list: async (path: string) => {
      const entries = await call<FileEntryWithStats[]>((settle) => channel.readdir(path, settle));
      return entries
        .filter(({ filename }) => filename !== "." && filename !== "..")
        .map(({ filename, attrs }) => ({ name: tame(filename), stats: attrs }));
    },
    readlink: (path: string) => call<string>((settle) => channel.readlink(path, settle)),
    symlink: (leadsTo: string, path: string) => done((settle) => channel.symlink(leadsTo, path, settle)),
    unlink: (path: string) => call<void>((done) => channel.unlink(path, (error) => done(error, undefined))),
    rename: (from: string, to: string) =>
      call<void>((done) => channel.ext_openssh_rename(from, to, (error) => done(error, undefined))),
  };
}

/** What a server lists is what a stranger says: no name may lead out of its folder. */
function tame(name: string): string {
  if (name === "" || name.includes("/") || name.includes("\0"))
    throw new Error(`the server lists ${JSON.stringify(name)}, which is no name of a file`);
  return name;
}
