/** What ssh2-sftp-client 12.1 (no types of its own) offers of use here. */
declare module "ssh2-sftp-client" {
  import type { EventEmitter } from "node:events";
  import type { SFTPWrapper } from "ssh2";

  export default class SftpClient {
    /** Without callbacks it prints what happens to its connection. */
    constructor(name: string, callbacks: { error(): void; end(): void; close(): void });
    /** A client of its own, of no use to who sets `sftp`. */
    readonly client: EventEmitter;
    /** What it speaks through; `connect` sets it. */
    sftp: SFTPWrapper | undefined;
    realPath(path: string): Promise<string>;
    stat(path: string): Promise<SftpStats>;
    lstat(path: string): Promise<SftpStats>;
    list(path: string): Promise<SftpListed[]>;
    mkdir(path: string): Promise<string>;
    rmdir(path: string): Promise<string>;
    delete(path: string): Promise<string>;
    rename(from: string, to: string): Promise<string>;
    posixRename(from: string, to: string): Promise<string>;
    chmod(path: string, mode: number): Promise<string>;
  }

  export interface SftpStats {
    mode: number;
    uid: number;
    gid: number;
    size: number;
    /** Milliseconds. */
    modifyTime: number;
  }

  export interface SftpListed {
    name: string;
    size: number;
    /** Milliseconds. */
    modifyTime: number;
    owner: number;
    group: number;
    /** As the server lists it: `-rw-r--r--    1 root     adm   12 Nov  4 10:00 name`. */
    longname: string;
  }
}
