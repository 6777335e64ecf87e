/** Place: what stands at a path of a host, and which path is really meant by it. */
import { randomBytes } from "node:crypto";
import { AmiError } from "./errors.ts";
import { type Host, exitStatus } from "./host.ts";
import { visible } from "./visible.ts";

export interface Place {
  /** Absolute. */
  readonly path: string;
  /** `other`: a device, a socket, a pipe. A link counts as what it leads to, one that leads nowhere as absent. */
  readonly type: "file" | "directory" | "other" | "absent";
  /** Of a file. */
  readonly size?: number;
  /** Of a file: its permission bits. */
  readonly mode?: number;
}

/**
 * Looks at a path in one round trip. `~` is the home of the user there, and relative paths begin where commands begin.
 * With `name`, a directory stands for the file of that name in it. Rejects with `host.file` when there cannot be a
 * file, because the folder it would be in does not exist.
 */
export async function lookAt(
  host: Host,
  path: string,
  options: { name?: string; signal: AbortSignal },
): Promise<Place> {
  const { name = "", signal } = options;
  // The answer follows a word nobody else can know: rc files of the login shell may have said something before.
  const mark = randomBytes(12).toString("hex");
  const { exit, stdout, stderr } = await host.exec(["sh", "-c", lookProgram, "sh", path, name, mark], { signal });
  const [, ...answer] = stdout.toString("utf8").split(mark);
  const [type = "", folder, listing = "", ...rest] = answer.join(mark).split("\n");
  const found = rest.join("\n");
  if (exitStatus(exit) !== 0 || !isType(type)) {
    throw new AmiError("host.file", `${path}: it cannot be looked at: ${visible(stderr.toString("utf8")).trim()}`, {
      host: host.name,
    });
  }
  if (type === "absent" && folder === "no") {
    throw new AmiError("host.file", `${found}: there is no folder it could be in`, {
      host: host.name,
      hint: "look at the path; folders are not made on the way",
    });
  }
  return { path: found, type, ...readListing(listing) };
}

function isType(word: string): word is Place["type"] {
  return ["file", "directory", "other", "absent"].includes(word);
}

/** `-rw-r----- 1234`: the first and the fifth word of what POSIX has `ls -ln` print. */
export function readListing(listing: string): { size?: number; mode?: number } {
  const [letters = "", size = ""] = listing.split(" ");
  if (!/^[-l][-rwxsStT]{9}/.test(letters) || !/^\d+$/.test(size)) return {};
  const bits = letters
    .slice(1, 10)
    .split("")
    .reduce((mode, letter) => mode * 2 + Number(/[rwxst]/.test(letter)), 0);
  return { size: Number(size), mode: bits };
}

/**
 * $1 path, $2 the name to take in a directory, or nothing, $3 the mark. Prints the mark, the type, whether the folder exists, how `ls` lists a
 * file, and the path. No single quote, backslash, newline or exclamation mark in here.
 */
const lookProgram = [
  'LC_ALL=C; export LC_ALL; printf "%s" "$3"; p=$1; case $p in /*) ;; "~") p=$HOME;; "~/"*) p=$HOME/${p#??};; *) p=$PWD/$p;; esac',
  'while case $p in */./*) :;; *) false;; esac; do p=${p%%/./*}/${p#*/./}; done; p=${p%/.}; p=${p%/}; [ -n "$p" ] || p=/',
  't() { if [ -d "$p" ]; then t=directory; elif [ -f "$p" ]; then t=file; elif [ -e "$p" ]; then t=other; else t=absent; fi; }; t',
  'case $1 in */) [ $t = directory ] || { echo absent; echo no; echo; printf "%s" "$p"; exit 0; };; esac',
  'if [ -n "$2" ] && [ $t = directory ]; then p=${p%/}/$2; t; fi',
  'd=${p%/*}; if [ -d "${d:-/}" ]; then f=yes; else f=no; fi; l=; if [ $t = file ]; then set -f; set -- $(ls -lnLd "$p"); l="$1 $5"; fi',
  'echo $t; echo $f; echo "$l"; printf "%s" "$p"',
].join("; ");
