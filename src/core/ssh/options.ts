/** What the ssh client is told from outside: settings of the user, and somebody who can answer questions. */
import type { Secret } from "../secret.ts";

export interface SshOptions {
  /** Read in place of `~/.ssh/config` (`--ssh-config`); `none` reads no file at all. */
  readonly configFile?: string | undefined;
  /** Private key files tried before all others (`--identity`). */
  readonly identities?: readonly string[] | undefined;
  /** Unknown host keys are written down and accepted without a question. Changed ones never are. */
  readonly acceptNew?: boolean | undefined;
  /** Absent: nobody can answer, and what needs an answer fails with a hint. Asked one question at a time. */
  readonly ask?: Ask | undefined;
  /** What is kept somewhere for an encrypted key file: tried before anybody is asked. */
  readonly passphrase?: ((file: string) => Promise<Secret | undefined>) | undefined;
  /** Things worth saying that are no errors: a key was written down, the server's banner, an option not supported. */
  readonly note?: ((note: Note) => void) | undefined;
  /** Who logs in: we, or the ssh of this machine. Default: we, unless the config asks for what we lack. */
  readonly transport?: Transport | undefined;
  /**
   * Milliseconds to be connected and logged in, time spent on questions not counted. A ConnectTimeout of the ssh
   * config comes first; without both 30 s, of which the TCP connection may take 15.
   */
  readonly connectTimeout?: number | undefined;
  /** Handshakes at once over all hosts. Default 50. */
  readonly handshakes?: number | undefined;
  /** Where `~` is. Default: the user's home. */
  readonly home?: string | undefined;
  /** A ProxyCommand runs there, and with `env`; relative paths of the ssh config are from there. Default: where we are, with what we have. */
  readonly cwd?: string | undefined;
  /** Where SSH_AUTH_SOCK and what SendEnv names are looked up. Default: `process.env`. */
  readonly env?: Readonly<Record<string, string | undefined>> | undefined;
}

/** We log in, or the ssh of this machine does. */
export const transports = ["ssh2", "system"] as const;
export type Transport = (typeof transports)[number];

export interface Question {
  /**
   * `password`: the account's password, whichever way the server wants it.
   * `challenge`: another question of the server (a one-time code); `passphrase`: of a key file; `host-key`: answered
   * with `yes` or the fingerprint.
   */
  readonly kind: "password" | "challenge" | "passphrase" | "host-key";
  /** Target the question is about; a key's passphrase is asked once for all targets. */
  readonly host: string;
  readonly text: string;
  /** May the answer be seen while it is typed? */
  readonly echo: boolean;
  /** 1 for the first time, more after a wrong answer. */
  readonly attempt: number;
}

/** Undefined: no answer (no terminal, or the user gave up). */
export type Ask = (question: Question) => Promise<Secret | undefined>;

export interface Note {
  readonly host: string;
  readonly level: "info" | "warn";
  readonly text: string;
}

/** Asks one question at a time, whoever comes first. */
export function oneAtATime(ask: Ask): Ask {
  let last: Promise<unknown> = Promise.resolve();
  return (question) => {
    const answer = last.then(() => ask(question));
    last = answer.catch(() => undefined);
    return answer;
  };
}
