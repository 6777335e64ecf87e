/** Words: the sources and the destination of a transfer, as scp writes them. Pure. */
import { AmiError } from "../../errors.ts";

export type Word =
  | { readonly at: "here"; readonly path: string }
  /** `target` is read as --target is; an empty path is the home there. */
  | { readonly at: "there"; readonly target: string; readonly path: string };

/**
 * `path`, `host:path`, `user@host:path`, `[v6]:path`, `user@[v6]:path`, `ssh://user@host:port/path` (also scp:, sftp:),
 * `host,host:path`, `@group:path`. A colon after a slash belongs to a file: `./a:b`. Throws `usage.input`.
 */
export function readWord(word: string): Word {
  if (word === "") throw new AmiError("usage.input", "a source or destination is empty");
  const url = /^(?:ssh|scp|sftp):\/\/([^/]*)(.*)$/s.exec(word);
  if (url !== null) {
    // As scp and curl have it: one slash ends the host, `//` begins at the root, `/~/` at home.
    const path = (url[2] ?? "")
      .replace(/^\/~(?=\/|$)/, "~")
      .replace(/^\/(?!\/)/, "")
      .replace(/^\/\//, "/");
    return there(word, url[1] ?? "", path);
  }
  if (isDrive(word)) return { at: "here", path: word };
  const bracketed = /^([^/:]*\[[^\]/]*\]):(.*)$/s.exec(word);
  const plain = /^([^/:]+):(.*)$/s.exec(word);
  const found = bracketed ?? plain;
  if (found !== null) return there(word, found[1] ?? "", found[2] ?? "");
  if (word.startsWith(":")) {
    throw new AmiError("usage.input", `${word}: the name of a host is missing before the colon`, {
      hint: `a file of that name is ./${word}`,
    });
  }
  return { at: "here", path: word };
}

function there(word: string, target: string, path: string): Word {
  if (target === "" || target.startsWith("-"))
    throw new AmiError("usage.input", `${word}: ${JSON.stringify(target)} is no name of a host`);
  return target === "local" ? { at: "here", path: path === "" ? "." : path } : { at: "there", target, path };
}

function isDrive(word: string): boolean {
  return process.platform === "win32" && /^[A-Za-z]:(?:[\\/]|$)/.test(word);
}

/** Does a path hold what a shell would look for files with? */
export function isGlob(path: string): boolean {
  return /(?<!\\)[*?[]/.test(path);
}

/** The name a source has where it arrives: `dir/.` and the home have none, what is in them arrives instead. */
export function nameOf(path: string): string {
  const name = path.replace(/\/+$/, "").split("/").at(-1) ?? "";
  return name === "." || name === ".." || name === "~" ? "" : name;
}
