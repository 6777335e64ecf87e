/** Aliases: the names an ssh config gives to machines, for completion. Patterns are no names. */
import { readFileSync } from "node:fs";
import { homedir } from "node:os";
import { isAbsolute, join } from "node:path";
import { globFiles } from "./glob.ts";
import { parseSshConfig } from "./parse.ts";

/** In the order written. `file` absent: `~/.ssh/config`. Files that cannot be read have no aliases. */
export function sshAliases(file?: string, home: string = process.env["HOME"] ?? homedir()): string[] {
  const names = new Set<string>();
  const read = (path: string, depth: number): void => {
    for (const line of linesOf(path)) {
      if (line.kind === "host") for (const name of line.patterns) if (!/[*?!]/.test(name)) names.add(name);
      if (line.kind !== "include" || depth >= maxDepth) continue;
      for (const word of line.paths) {
        const whole = word.startsWith("~/") ? join(home, word.slice(2)) : word;
        for (const found of globFiles(isAbsolute(whole) ? whole : join(home, ".ssh", whole))) read(found, depth + 1);
      }
    }
  };
  read(file ?? join(home, ".ssh", "config"), 0);
  return [...names];
}

/** As deep as ssh itself follows. */
const maxDepth = 16;

function linesOf(path: string): ReturnType<typeof parseSshConfig> {
  try {
    return parseSshConfig(readFileSync(path, "utf8"));
  } catch {
    // A key press is no moment to complain; the next command that needs the file says what is wrong with it.
    return [];
  }
}
