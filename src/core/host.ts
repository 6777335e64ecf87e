/**
 * Host: whatever can run a command. Local machine, ssh login, container, pod, guest.
 * Everything that acts on a machine is written against this treaty only; `test/contract/host.ts` is its exam.
 */
import type { Duplex, Readable, Writable } from "node:stream";
import type { Argv } from "./argv.ts";
import type { AmiError } from "./errors.ts";
import type { OpenFiles } from "./files.ts";
import type { Secret } from "./secret.ts";

export interface Host {
  /** The name people use for it: inventory name, ssh alias, `local`. */
  readonly name: string;
  readonly family: "posix" | "windows";
  readonly limits: HostLimits;

  /**
   * Starts a program. Resolves when the target accepted the request.
   * Rejects with AmiError `host.spawn` or `ssh.*` when nothing could be started, `host.cwd` when there is no such
   * folder, `host.become` when the user switch failed. A missing program is not an error: it exits with 127.
   * May be called any number of times at once; calls beyond the host's capacity wait their turn.
   */
  spawn(argv: Argv, options?: SpawnOptions): Promise<Running>;

  /** `spawn` with stdin given and both outputs collected. Never rejects for a non-zero exit. */
  exec(argv: Argv, options?: ExecOptions): Promise<ExecResult>;

  /**
   * Writes a file atomically: temp name in the same folder, mode and owner, rename. Interrupted at any moment the
   * old content stays and no reader ever sees a part. Without `mode` an existing file keeps its mode and a new one
   * gets 0644. Follows no symlink at `path`: the link itself is replaced. Rejects with `host.file`.
   */
  put(source: Buffer | string | Readable, path: string, options?: PutOptions): Promise<void>;

  /** Streams a file's bytes. Rejects, or the stream errors, with `host.file` (missing, not readable, a directory). */
  get(path: string, options?: { signal?: AbortSignal | undefined }): Promise<Readable>;

  /**
   * The same machine become another user; every member works as that user, put and get included.
   * `password` goes over stdin or an answered prompt, never in argv. Nothing is contacted until it is used.
   * The result shares the connection: closing it closes nothing; close the original.
   */
  as(user: string, options?: BecomeOptions): Host;

  /**
   * Present when files can be read and written in pieces, at any place of them and many at once. Each call opens a
   * session of its own and waits its turn for it; undefined: the server has none. Rejects with `ssh.*`, `run.cancelled`.
   * `apart`: on a connection with fewer sessions than that, where one can be had.
   */
  files?(signal?: AbortSignal, apart?: number): Promise<OpenFiles | undefined>;

  /** Present when the host can open an interactive terminal (the user's login shell, or `argv`). */
  shell?(terminal: Terminal, argv?: Argv): Promise<Exit>;

  /**
   * Present when the host can carry connections: to what it can reach, and from those who can reach it; always as the
   * user who logged in. Opens a way, which belongs to one connection to the host and ends with it; called again after
   * that it makes another. Rejects with `ssh.*`.
   */
  forward?(signal?: AbortSignal): Promise<Way>;

  /** What begins an escape (`~.`) in its terminals, where its settings say; `none`: nothing does. */
  readonly escapeKey?: string | undefined;

  /** Idempotent; running programs are ended. */
  close(): Promise<void>;
}

export interface HostLimits {
  /** false: the far side cannot be told that stdin ended. */
  readonly stdinEof: boolean;
  /** Most programs at once on one connection; more wait in line. */
  readonly parallel: number;
}

export interface SpawnOptions {
  /** Added to the target's own environment. Values never appear in any process list. */
  env?: Readonly<Record<string, string>> | undefined;
  /** `~` and `~/x` begin at the home of the user there. */
  cwd?: string | undefined;
  /** Run under a terminal of this size; stderr is then merged into stdout by the terminal. */
  pty?: { columns: number; rows: number; term?: string | undefined } | undefined;
  /** Abort ends the whole remote process group (TERM, then KILL after 2 s) and rejects with `run.cancelled`. */
  signal?: AbortSignal | undefined;
}

export interface Running {
  readonly stdin: Writable;
  readonly stdout: Readable;
  readonly stderr: Readable;
  /** Resolves once, after both outputs have ended. Rejects with `ssh.lost` or `run.cancelled`. */
  readonly exit: Promise<Exit>;
  /** Ends the whole process group, root children under sudo included. Resolves when the request was delivered. */
  kill(signal?: "TERM" | "KILL" | "INT" | "HUP"): Promise<void>;
}

/** Exit code, or the signal that ended it. Under a shell a signal may also appear as code 128+n. */
export type Exit =
  | { readonly code: number; readonly signal?: undefined }
  | { readonly code?: undefined; readonly signal: string };

export interface ExecOptions extends SpawnOptions {
  stdin?: Buffer | string | Readable | undefined;
  /** Milliseconds; then the process group is ended and the call rejects with `run.timeout`. */
  timeout?: number | undefined;
  /** It changes nothing: run again when the connection was lost under it. Not with a stream as stdin. */
  onlyLooks?: boolean | undefined;
}

export interface ExecResult {
  readonly exit: Exit;
  readonly stdout: Buffer;
  readonly stderr: Buffer;
}

export interface PutOptions {
  mode?: number | undefined;
  /** Names or numeric ids. */
  owner?: string | undefined;
  group?: string | undefined;
  signal?: AbortSignal | undefined;
  /** Total bytes written so far. */
  onProgress?: ((bytes: number) => void) | undefined;
}

export interface BecomeOptions {
  method?: BecomeMethod | undefined;
  password?: Secret | undefined;
}
export type BecomeMethod = "sudo" | "su" | "doas";

export interface Terminal {
  readonly stdin: Readable;
  readonly stdout: Writable;
  readonly columns: number;
  readonly rows: number;
  readonly term: string;
  /** Calls back on every change of size; returns how to stop. */
  onResize(listener: (columns: number, rows: number) => void): () => void;
}

/** A TCP port, or a unix socket. As something to listen on: host `""` is every address, port 0 any free port. */
export type Endpoint = { readonly host: string; readonly port: number } | { readonly path: string };

/**
 * Its streams are sockets as far as one can see: ending one tells the other side and reading goes on, writes wait for a
 * slow reader, `destroy` closes both directions, `close` comes when both are over. They end when the way is lost.
 */
export interface Way {
  /** A connection made by the host. Rejects with `host.forward` or `ssh.lost`. */
  connect(to: Endpoint, signal?: AbortSignal): Promise<Duplex>;
  /** Listens on the host and hands over what is accepted there. Rejects with `host.forward` or `ssh.lost`. */
  listen(at: Endpoint, accept: (connection: Duplex) => void): Promise<Listening>;
  /** Resolves, with the reason, when the way is gone and its listeners with it. Never does for this machine. */
  readonly lost: Promise<AmiError>;
}

export interface Listening {
  /** As asked for, with the port that was chosen. */
  readonly at: Endpoint;
  /** Accepts nothing more; connections go on. Idempotent; never rejects. */
  close(): Promise<void>;
}

/** 0-255 for a code; 128+n for a signal, as shells say it. */
export function exitStatus(exit: Exit): number {
  return exit.code ?? 128 + (signalNumbers[exit.signal] ?? 0);
}

/** The name of a signal, as `exitStatus` counts them. */
export function signalOf(number: number): string | undefined {
  return Object.keys(signalNumbers).find((name) => signalNumbers[name] === number);
}

const signalNumbers: Record<string, number> = {
  HUP: 1,
  INT: 2,
  QUIT: 3,
  ILL: 4,
  TRAP: 5,
  ABRT: 6,
  BUS: 7,
  FPE: 8,
  KILL: 9,
  USR1: 10,
  SEGV: 11,
  USR2: 12,
  PIPE: 13,
  ALRM: 14,
  TERM: 15,
};
