/**
 * Visit: a command line that another process of the same user has run here instead, and who answers it. What the visitor
 * sees is what it would have seen had it run the command itself.
 */
import type { Secret } from "./secret.ts";

export interface Visit {
  readonly argv: readonly string[];
  /** Where the visitor is: words that name files are read from there. */
  readonly cwd: string;
  readonly env: NodeJS.ProcessEnv;
  readonly stdio: { stdin: NodeJS.ReadStream; stdout: NodeJS.WriteStream; stderr: NodeJS.WriteStream };
  /** Aborted by the visitor's Ctrl-C, and when the visitor is gone. */
  readonly signal: AbortSignal;
  interrupt(): void;
  hasReaderLeft(): boolean;
  /** Questions go to the person at the visitor's terminal. Reject with `run.refused` or `run.cancelled`. */
  readonly prompter: {
    confirm(question: string): Promise<boolean>;
    secret(question: string): Promise<Secret>;
    line(question: string): Promise<string>;
  };
}

/** A process that answers visits, on connections that stay open between them. */
export interface Answering {
  /** Resolves with the exit code; undefined: not to be run here, and nothing was done. Never rejects. */
  answer(visit: Visit): Promise<number | undefined>;
  logins(): readonly HeldLogin[];
  /** Ends the connections of those logins. */
  close(logins: readonly HeldLogin[]): void;
  /** Ends the connections that nobody has used for so many milliseconds. */
  expire(ms: number): void;
}

export interface HeldLogin {
  /** What the target was called. */
  readonly host: string;
  readonly user: string;
  /** `host:port`. */
  readonly at: string;
  readonly connections: number;
  /** Channels and forwarded connections in use, or waited for. */
  readonly channels: number;
  /** Milliseconds since 1970. */
  readonly since: number;
  readonly lastUsed: number;
}
