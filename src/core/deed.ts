/** Deed: what is about to be done on a host, in the words of the user: what a policy judges and the audit log keeps. */
import type { Argv } from "./argv.ts";
import type { Exit, Terminal } from "./host.ts";

export type Deed =
  /** Log in, for what the verb does. */
  | { readonly does: "open" }
  | { readonly does: "become"; readonly user: string }
  /** `pty`: under a terminal of the far side, which nobody here records. */
  | { readonly does: "run"; readonly argv: readonly string[]; readonly pty?: boolean | undefined }
  /** A terminal on it: of the login shell, or of a program. */
  | { readonly does: "terminal"; readonly argv?: readonly string[] | undefined };

const meanings = new WeakMap<readonly string[], readonly string[]>();

/** Notes what the user said where the argv is of our making. No words at all: it carries none of the user's. */
export function meaning<A extends Argv>(argv: A, words: readonly string[]): A {
  meanings.set(argv, words);
  return argv;
}

/** The words of the user in it; undefined: none. */
export function meant(argv: readonly string[]): readonly string[] | undefined {
  const words = meanings.get(argv) ?? argv;
  return words.length === 0 ? undefined : words;
}

/** What a line for a shell is judged as: its words, when they mean the same to every shell; else a shell that runs it. */
export function lineWords(line: string): readonly string[] {
  const isPlain =
    /^\s*[A-Za-z0-9_./+-][A-Za-z0-9_./+@%:,-]*(?:[ \t]+[A-Za-z0-9_./+@%:,-][A-Za-z0-9_./+@%:,=-]*)*\s*$/.test(line);
  return isPlain && !/[\n\r]/.test(line.trim()) ? line.trim().split(/[ \t]+/) : ["sh", "-c", line];
}

/** Whoever has to hear what a terminal says. `over` is called with its end, and `broken` rejects when it must end. */
export interface Listener {
  readonly terminal: Terminal;
  over(exit: Exit | undefined): void;
  readonly broken: Promise<never>;
}
