/** Switch: the words that start a program as another user. Pure. */
import type { Argv } from "../argv.ts";
import type { BecomeMethod } from "../host.ts";
import type { Secret } from "../secret.ts";

export interface Switch {
  readonly user: string;
  readonly method: BecomeMethod;
  readonly password?: Secret | undefined;
}

/**
 * Pure: the argv that runs `argv` as another user. `prompt`: what sudo is to ask with.
 * sudo: with a password on stdin or not at all. It may not ask (NOPASSWD, or a recent answer), so the password is
 * only sent once it does.
 */
export function switchArgv({ user, method, password }: Switch, argv: Argv, prompt: string): Argv {
  switch (method) {
    case "sudo":
      return password === undefined
        ? ["sudo", "-n", "-H", "-u", user, "--", ...argv]
        : ["sudo", "-S", "-p", prompt, "-H", "-u", user, "--", ...argv];
    case "doas":
      return password === undefined ? ["doas", "-n", "-u", user, "--", ...argv] : ["doas", "-u", user, "--", ...argv];
    case "su":
      // The words after the user are the shell's: `$0`, then the program. -s: accounts without a login shell too.
      return ["su", "-s", "/bin/sh", "-c", `exec "$@"`, "--", user, "sh", ...argv];
  }
}

/** The same for a terminal where a person answers; without argv the user's login shell. */
export function loginArgv({ user, method }: Switch, argv: Argv | undefined): Argv {
  const run: Argv = argv ?? ["sh", "-c", `exec "\${SHELL:-/bin/sh}" -l`];
  switch (method) {
    case "sudo":
      return argv === undefined ? ["sudo", "-i", "-u", user] : ["sudo", "-H", "-u", user, "--", ...argv];
    case "doas":
      return ["doas", "-u", user, "--", ...run];
    case "su":
      return argv === undefined ? ["su", "-", user] : switchArgv({ user, method }, argv, "");
  }
}
