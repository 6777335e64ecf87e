/** Runtime compat: what Node and Bun (which the standalone binary runs on) do differently, told apart nowhere else. */
import { readFileSync } from "node:fs";
import { homedir, userInfo } from "node:os";

export interface LocalUser {
  readonly name: string;
  /** Of the password file, whatever HOME says. */
  readonly home: string;
}

/**
 * Who runs this process, by its user id. Bun 1.4's `os.userInfo()` repeats USER and HOME instead ("unknown" without
 * them, as under cron), so the password file is asked first. A user id without a name is its own name.
 */
export function localUser(env: NodeJS.ProcessEnv = process.env): LocalUser {
  const uid = process.getuid?.();
  const entry = uid === undefined ? undefined : passwordEntry((fields) => fields[2] === String(uid));
  if (entry !== undefined) return entry;
  try {
    const { username, homedir: home } = userInfo();
    return { name: username, home };
  } catch {
    // Node throws for a user id that has no name, as containers like to have.
    return { name: env["USER"] ?? env["LOGNAME"] ?? String(uid), home: homedir() };
  }
}

/** The home folder of a user by name; undefined: there is no such user, or no password file to ask. */
export function homeOf(name: string): string | undefined {
  return passwordEntry((fields) => fields[0] === name)?.home;
}

function passwordEntry(isWanted: (fields: readonly string[]) => boolean): LocalUser | undefined {
  let text: string;
  try {
    text = readFileSync("/etc/passwd", "utf8");
  } catch {
    // Windows has none; then nobody is found in it.
    return undefined;
  }
  const fields = text
    .split("\n")
    .map((line) => line.split(":"))
    .find((line) => line.length >= 7 && isWanted(line));
  const [name, home] = [fields?.[0], fields?.[5]];
  return name === undefined || home === undefined ? undefined : { name, home };
}
