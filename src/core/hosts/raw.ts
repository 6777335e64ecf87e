/**
 * RawTransport: the little a way to a machine has to offer; `posixHost` makes a whole Host of it.
 * Ssh, local processes, containers and become-another-user are transports.
 */
import type { Readable, Writable } from "node:stream";
import { type Argv, quoteArgv } from "../argv.ts";
import type { Exit, Host, SpawnOptions } from "../host.ts";

export interface RawTransport {
  /** The name people use for the machine. */
  readonly name: string;
  /**
   * Most programs at once; posixHost keeps the rest in line. One start more must still be possible: `kill` uses a
   * second channel while all others are taken.
   */
  readonly parallel: number;
  /** `shared`: its programs take the places of the transport beneath it. Default: a queue of its own. */
  readonly queue?: "shared";
  /** Who programs run as, when that is certain (the login name). `as` wraps nothing for this user. */
  readonly user?: string | undefined;
  /**
   * How words get there. `shell`: they pass a login shell of any kind, so posixHost only hands over argv whose quoted
   * form is any-shell-safe and sends everything else, env and cwd over stdin. `kernel`: argv, env and cwd arrive as
   * they are (not under a pty), and RawProcess has `group`.
   */
  readonly words: "shell" | "kernel";
  /**
   * Is the started program the leader of a process group of its own, without having forked? True for sshd (it makes
   * a session for each command, and the login shell is told to exec) and for detached local children; false when
   * something stands between, such as sudo.
   */
  readonly leads: boolean;
  /**
   * Starts a program; resolves when the far side accepted. Rejects with `ssh.*` or `host.spawn`.
   * Called at most `parallel` + 1 times at once.
   */
  start(argv: Argv, options: RawStart): Promise<RawProcess>;
  /** Present when a terminal can be opened. Becomes the Host's `shell`. */
  readonly shell?: Host["shell"];
  readonly escapeKey?: Host["escapeKey"];
  /** Idempotent. posixHost has ended the programs before. */
  close(): Promise<void>;
}

export interface RawStart {
  readonly pty?: SpawnOptions["pty"];
  /** Only for `words: "kernel"` without a pty. */
  readonly env?: Readonly<Record<string, string>> | undefined;
  readonly cwd?: string | undefined;
  /** Ends programs: must not wait behind them when every place is taken. Transports without a line need not care. */
  readonly urgent?: boolean | undefined;
  /** Stops waiting for the start; once started posixHost ends programs itself. */
  readonly signal?: AbortSignal | undefined;
  /**
   * What the program says first on stderr (on stdout under a pty) as soon as it runs as who it should.
   * Transports that pass bytes on need not care.
   */
  readonly mark: string;
}

export interface RawProcess {
  readonly stdin: Writable;
  readonly stdout: Readable;
  readonly stderr: Readable;
  /** How it ended; the outputs may still hold bytes. Rejects with `ssh.lost` when the connection went first. */
  readonly exit: Promise<Exit>;
  /**
   * Present when a start can turn out to have failed later than `start` resolves: rejects with `host.become`,
   * resolves when the program runs.
   */
  readonly started?: Promise<void>;
  /** The process group, where it is known from the start; `kill` learns it from the program itself otherwise. */
  readonly group?: number;
  /** Gives it up: closes the channel or the pipes without waiting; `exit` may then never settle. Idempotent. */
  abandon(): void;
}

/** An argv as the command string of an ssh exec request: the login shell, whichever it is, becomes the program. */
export function loginLine(argv: Argv): string {
  return `exec ${quoteArgv(argv)}`;
}
