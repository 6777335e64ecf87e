/** Argv: commands as arrays of words. This file is the only one that quotes. */
import { lineWords, meaning } from "./deed.ts";

export type Argv = readonly [program: string, ...args: string[]];

/**
 * One word for a POSIX shell. Safe in sh, bash, dash, busybox ash, zsh and ksh whatever the word holds
 * (NUL excepted, which no argv can carry).
 */
export function quote(word: string): string {
  // Not first: zsh takes =x for the path of the program x.
  if (/^[A-Za-z0-9_@%+:,./-][A-Za-z0-9_@%+=:,./-]*$/.test(word)) return word;
  return `'${word.replaceAll("'", `'\\''`)}'`;
}

/** A whole argv as one shell line. */
export function quoteArgv(argv: readonly string[]): string {
  return argv.map(quote).join(" ");
}

/**
 * A line that any login shell (fish and csh included) passes on unharmed to `sh`: one that holds no newline,
 * `!`, backslash or quote outside plain single-quoted words. Used for constant programs only.
 */
export function isAnyShellSafe(line: string): boolean {
  return !/[\n\r!\\]/.test(line);
}

/**
 * The argv that runs a shell line as the user would type it: in their own login shell. Accounts of services have one
 * that only says no; whoever became such a user has a line to run all the same. With a path: the PATH may be one that
 * was set for the line, and lead nowhere.
 */
export function shellLine(line: string): Argv {
  return meaning(["/bin/sh", "-c", `${loginShell}; exec "$SHELL" -c "$1"`, "sh", line], lineWords(line));
}

const loginShell = 'case ${SHELL-} in ""|*/nologin|*/false) SHELL=/bin/sh;; esac';
