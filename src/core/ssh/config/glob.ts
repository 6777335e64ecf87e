/** Glob: the files an Include names, as glob(3) finds them: `*`, `?`, `[a-z]`, backslash; no hidden files, no `**`. */
import { lstatSync, readdirSync } from "node:fs";
import { join } from "node:path";

/** Absolute path or pattern in, existing paths out, sorted. */
export function globFiles(pattern: string): readonly string[] {
  let found = ["/"];
  for (const part of pattern.split("/").filter((name) => name !== "")) {
    const exact = literalOf(part);
    found =
      exact === undefined
        ? found.flatMap((folder) => namesIn(folder, regExpOf(part)).map((name) => join(folder, name)))
        : found.map((folder) => join(folder, exact));
  }
  return found.filter(exists);
}

/** The name itself, escapes taken off, when there is nothing to be guessed in it. */
function literalOf(part: string): string | undefined {
  const plain = part.replace(/\\(.)/gs, "$1");
  return /(?<!\\)(?:\\\\)*[*?]|(?<!\\)(?:\\\\)*\[.+\]/s.test(part) ? undefined : plain;
}

function namesIn(folder: string, pattern: RegExp): string[] {
  try {
    return readdirSync(folder)
      .filter((name) => pattern.test(name))
      .sort();
  } catch {
    // Missing, no folder, or closed to us: glob(3) passes these over too.
    return [];
  }
}

function regExpOf(part: string): RegExp {
  let source = part.startsWith(".") ? "" : "(?!\\.)";
  for (let at = 0; at < part.length; at++) {
    const char = part[at] ?? "";
    const bracket = char === "[" ? /^\[([!^]?)(\]?[^\]]*)\]/s.exec(part.slice(at)) : null;
    if (char === "*") source += ".*";
    else if (char === "?") source += ".";
    else if (bracket !== null) {
      source += `[${bracket[1] === "" ? "" : "^"}${(bracket[2] ?? "").replace(/[\\\]^[]/g, "\\$&")}]`;
      at += bracket[0].length - 1;
    } else {
      const literal = char === "\\" ? (part[++at] ?? "\\") : char;
      source += literal.replace(/[.*+?^${}()|[\]\\/]/g, "\\$&");
    }
  }
  return new RegExp(`^${source}$`, "su");
}

function exists(path: string): boolean {
  try {
    return lstatSync(path, { throwIfNoEntry: false }) !== undefined;
  } catch {
    // Below a file, or below a folder closed to us: passed over as above.
    return false;
  }
}
