/**
 * Command: one declaration read by the terminal, `--help`, the reference docs, shell completion and later HTTP.
 * A command knows neither commander nor HTTP: it gets validated input and a context, emits events, returns output.
 */
import type { z } from "zod";
import type { Deed, Listener } from "./deed.ts";
import type { Events } from "./events.ts";
import type { Host, Terminal } from "./host.ts";
import type { Secret } from "./secret.ts";
import type { Target } from "./targets.ts";
import type { Vault } from "./vault.ts";
import type { Answering } from "./visit.ts";

export interface Command<I extends z.ZodObject = z.ZodObject, O extends z.ZodType = z.ZodType> {
  /** Words as typed: `ssh execute`. */
  readonly name: string;
  readonly summary: string;
  readonly description?: string;
  readonly examples: readonly Example[];
  /** Field descriptions (`.describe`) are the help texts; camelCase fields become kebab-case flags. */
  readonly input: I;
  readonly args: ArgsSpec<keyof z.input<I> & string>;
  readonly output: O;
  readonly effect: "read" | "change" | "destroy";
  /** `answers`: prints one document at the end. `acts`: prints its events. */
  readonly shows: "answer" | "events";
  /** Asked to go on until it is interrupted, a verb that answers prints its events instead. */
  live?(input: z.output<I>): boolean;
  /** Passes on what programs say, as it is: nothing is drawn around that. */
  readonly passesOutput?: boolean;
  /** Needs a terminal; cannot be run over HTTP. */
  readonly interactive?: boolean;
  readonly route?: { readonly method: "GET" | "POST" | "DELETE"; readonly path: string };
  /** Exit codes beyond the common ones, with their meaning. */
  readonly exits?: Readonly<Record<number, string>>;
  /**
   * Where it acts when no target is given. `words`: its own words name the targets (`resolve`), --target is no flag of
   * it. `none`: takes no targets at all.
   */
  readonly targets: "local" | "settings" | "words" | "none";
  /** Takes no targets and reads the ssh config all the same: `--ssh-config` names another one. */
  readonly readsSshConfig?: boolean;
  /**
   * Whose programs it runs on targets. `user`: what the user says, judged and written down word by word. `own`: ours
   * only, which do what the verb says; then the verb is judged. Without it: `own` for verbs that read, else `user`.
   */
  readonly programs?: "own" | "user";
  /** What it is going to do on each target, as far as its words tell: judged before anything is contacted. */
  announces?(input: z.output<I>): readonly Deed[];
  run(input: z.output<I>, ctx: Context): Promise<Result<z.output<O>>>;
  /** The answer for a terminal; pure. Only for `shows: "answer"`. */
  text?(output: z.output<O>, look: { readonly columns: number; readonly verbose?: boolean }): string;
}

export interface Example {
  readonly line: string;
  readonly says: string;
}

export interface ArgsSpec<F extends string> {
  /**
   * The first word is a target, as if --target stood before it: `ssh connect user@host`. It may be left out. `many`: all
   * words are targets, and there are no positional inputs.
   */
  readonly targetWord?: true | "many";
  /** Inputs taken from positional words, in order; the last may be variadic (its schema is an array). */
  readonly positional?: readonly F[];
  /** Short flags: `{ check: "C" }`. */
  readonly short?: Partial<Record<F, string>>;
  /** Flags whose value may be left out, with what they mean then; otherwise it is attached: `--watch=5s`. */
  readonly alone?: Partial<Record<F, string>>;
  /**
   * Everything after the first positional belongs to the remote program, dashes included. With `targetWord`: all after
   * the first word that is no flag of ours and no target, and after `--`.
   */
  readonly passThrough?: boolean;
  /** Placeholder shown in help: `{ blueprint: "FILE" }`. */
  readonly values?: Partial<Record<F, string>>;
}

export interface Result<O> {
  readonly output: O;
  /** Exit code when it is not 0. */
  readonly exit?: number;
}

/** What a command may use. Built by `app.ts`; the same shape behind the terminal and behind HTTP. */
export interface Context {
  /** Resolved targets, at least one unless the command takes none or names them in its own words. */
  readonly targets: readonly Target[];
  /** Targets that stand in the command's own words, read as --target reads them. Rejects with `usage.target`. */
  resolve(word: string): Promise<readonly Target[]>;
  readonly hosts: Hosts;
  readonly events: Events;
  readonly settings: Settings;
  readonly options: GlobalOptions;
  readonly signal: AbortSignal;
  /** Answered by `--yes`, by the prompt, or refused (`run.refused`) where nobody can answer. */
  confirm(question: string): Promise<void>;
  /** The user's vault. Its passphrase is asked for when it is first needed. Absent behind HTTP. */
  vault?(options?: VaultWish): Promise<Vault>;
  /** A passphrase typed unseen; refused (`run.refused`) where nobody can answer. Absent behind HTTP. */
  secret?(question: string): Promise<Secret>;
  /**
   * Resolves when what was emitted has been taken by whoever reads it, but for a little. Awaited between pieces of
   * program output, so that a slow reader holds up the program and does not fill the memory. Absent behind HTTP.
   */
  caughtUp?(): Promise<void>;
  /** The terminal the user sits at; absent behind HTTP and in pipes. */
  readonly terminal?: import("./host.ts").Terminal & { setRaw(raw: boolean): void };
  /** Lets this process run the command lines of others of the same user (ssh broker). Absent behind HTTP. */
  answering?(): Promise<Answering>;
  /** Where raw program output and piped input go; absent behind HTTP. */
  readonly stdio?: { stdin: NodeJS.ReadStream; stdout: NodeJS.WriteStream; stderr: NodeJS.WriteStream };
}

/** Files that hold the passphrase of the vault, and the one it is to get. */
export interface VaultWish {
  readonly passphraseFile?: string | undefined;
  readonly newPassphraseFile?: string | undefined;
}

export interface Hosts {
  /**
   * Opens a target, become-user applied. Pooled: opening twice gives the same connection.
   * The pool owns the connection; hosts are closed when the command ends.
   */
  open(
    target: Target,
    options?: {
      signal?: AbortSignal | undefined;
      become?: Become | false | undefined;
      /**
       * A connection of its own, logged in with this key, whatever other keys there are; a password or code counts only
       * where the server wants one besides the key. Not pooled: the caller closes it. For ssh targets only
       * (`host.unsupported`).
       */
      only?: LoginKey | undefined;
    },
  ): Promise<Host>;
  /**
   * Rejects with `policy.denied` when one of these may not be done there; contacts nothing. For words of the user that
   * travel inside a program of ours. `as`: done by this user there, after becoming them. Absent: there is no policy.
   */
  permit?(target: Target, deeds: readonly Deed[], as?: string): Promise<void>;
  /**
   * For a terminal that is carried there by other means than `Host.shell`: who has to hear it, undefined when nobody
   * has. Rejects with `policy.denied`. Absent: there is no policy.
   */
  listen?(target: Target, terminal: Terminal): Promise<Listener | undefined>;
}

/** A private key to log in with. */
export interface LoginKey {
  readonly type: string;
  /** The public half as it goes over the wire. */
  readonly blob: Buffer;
  sign(data: Buffer, hash: "sha256" | "sha512" | undefined): Buffer | Promise<Buffer>;
}

export interface Become {
  readonly user: string;
  readonly method: "sudo" | "su" | "doas";
  readonly password?: Secret | undefined;
}

export interface Settings {
  get(key: string): unknown;
}

/** Flags every command has, validated. */
export interface GlobalOptions {
  readonly parallel: number;
  /** Milliseconds for each target; undefined: no deadline. */
  readonly timeout?: number | undefined;
  readonly become?: Become | undefined;
  /** How to become others where a blueprint asks for it, whether or not `--become` was given. */
  readonly becomeBy?: Omit<Become, "user"> | undefined;
  /** Read in place of the usual ssh config (`--ssh-config`, or the setting). */
  readonly sshConfig?: string | undefined;
  /** Key files named for this run (`--identity`, or the setting). */
  readonly identities?: readonly string[] | undefined;
  readonly json: boolean;
  readonly quiet: boolean;
  readonly verbose: boolean;
  readonly yes: boolean;
}

/** Gives a declaration its types and nothing else. */
export function defineCommand<I extends z.ZodObject, O extends z.ZodType>(command: Command<I, O>): Command<I, O> {
  return command;
}
