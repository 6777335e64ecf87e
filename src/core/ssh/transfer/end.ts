/** End: one side of a transfer, this machine or another, and what stands at the paths that were named there. */
import { statSync } from "node:fs";
import { homedir } from "node:os";
import { dirname, resolve } from "node:path";
import { AmiError } from "../../errors.ts";
import type { OpenFiles } from "../../files.ts";
import { type Host, exitStatus } from "../../host.ts";
import { readListing } from "../../place.ts";
import { globFiles } from "../config/glob.ts";
import { isGlob } from "./words.ts";

export interface End {
  /** What it is called. */
  readonly name: string;
  /** Absent: this machine. */
  readonly host?: Host | undefined;
  /** A session for files that is open already. */
  readonly files?: OpenFiles | undefined;
}

export const here: End = { name: "local" };

export interface Spot {
  /** Absolute. */
  readonly path: string;
  /** `other`: a device, a socket, a pipe. A link counts as what it leads to, one that leads nowhere as absent. */
  readonly type: "file" | "folder" | "other" | "absent";
  /** Of a file. */
  readonly size: number;
  /** Is there a folder it is in, or could be? */
  readonly hasFolder: boolean;
}

export interface Look {
  /** For each path asked for, what it stands for: several when it is a pattern, always at least one. */
  readonly spots: readonly (readonly Spot[])[];
  /** Which of the programs that help are there. */
  readonly tools: ReadonlySet<string>;
}

/** One round trip. Rejects with `host.file`, `ssh.*`, `run.cancelled`. */
export async function look(end: End, paths: readonly string[], signal: AbortSignal): Promise<Look> {
  if (end.host === undefined) return { spots: paths.map(spotsHere), tools: new Set() };
  const { exit, stdout, stderr } = await end.host.exec(["sh", "-c", lookProgram, "sh", ...paths], {
    signal,
    onlyLooks: true,
  });
  if (exitStatus(exit) !== 0) {
    throw new AmiError("host.file", `${paths.join(", ")}: cannot be looked at: ${stderr.toString("utf8").trim()}`, {
      host: end.name,
    });
  }
  const fields = stdout.toString("utf8").split("\0");
  const tools = new Set((fields.pop() ?? "").trim().split("\n"));
  const spots: Spot[][] = paths.map(() => []);
  for (let at = 0; at + 4 < fields.length; at += 5) {
    const [index = "", type = "", hasFolder, listing = "", path = ""] = fields.slice(at, at + 5);
    const { size = 0 } = readListing(listing);
    const known = type === "file" || type === "folder" || type === "other" ? type : "absent";
    spots[Number(index)]?.push({ path, type: known, size, hasFolder: hasFolder === "yes" });
  }
  return { spots, tools };
}

/**
 * $@ paths or patterns. Five fields for each thing found, ended by NUL: which path, type, has it a folder, how `ls` lists
 * it, where it is; then the tools. A trailing slash asks for a folder. In sh a pattern is expanded where it is not quoted; with an
 * empty IFS nothing is split.
 */
const lookProgram = `
LC_ALL=C; export LC_ALL; i=0; IFS=
for a do
  p=$a
  case $p in ""|"~") p=$HOME;; /*) ;; "~/"*) p=$HOME/\${p#??};; *) p=$PWD/$p;; esac
  if [ -e "$p" ] || [ -h "$p" ]; then set -- "$p"; else set -- $p; fi
  for p do
    while case $p in */./*) :;; *) false;; esac; do p=\${p%%/./*}/\${p#*/./}; done
    s=; case $p in */) s=1; p=\${p%/};; */.) s=1; p=\${p%/.};; esac
    while case $p in ?*/) :;; *) false;; esac; do p=\${p%/}; done
    [ -n "$p" ] || p=/
    if [ -d "$p" ]; then t=folder; elif [ -f "$p" ]; then t=file; elif [ -e "$p" ]; then t=other; else t=absent; fi
    [ -z "$s" ] || [ $t = folder ] || t=absent
    d=\${p%/*}; f=no; if [ -d "\${d:-/}" ] && [ -z "$s" -o $t = folder ]; then f=yes; fi
    l=; if [ $t = file ]; then IFS=" "; set -f; l=$(ls -lnLd "$p"); l=$(set -- $l; echo "$1 $5"); set +f; IFS=; fi
    printf '%s\\0%s\\0%s\\0%s\\0%s\\0' $i $t $f "$l" "$p"
  done
  i=$((i + 1))
done
for t in tar gzip zstd sha256sum shasum perl python3; do command -v $t >/dev/null 2>&1 && echo $t; done; :`;

function spotsHere(path: string): Spot[] {
  const full = resolve(path.replace(/^~(?=\/|$)/, homedir()));
  const plain = spotHere(full, path);
  if (plain.type !== "absent" || !isGlob(path)) return [plain];
  const found = globFiles(full);
  return found.length === 0 ? [plain] : found.map((each) => spotHere(each, each));
}

function spotHere(path: string, asked: string): Spot {
  const found = statSync(path, { throwIfNoEntry: false });
  const type = found === undefined ? "absent" : found.isDirectory() ? "folder" : found.isFile() ? "file" : "other";
  const folder = statSync(dirname(path), { throwIfNoEntry: false });
  const isOff = type !== "folder" && /[/\\]\.?$/.test(asked);
  return {
    path,
    type: isOff ? "absent" : type,
    size: type === "file" ? (found?.size ?? 0) : 0,
    hasFolder: folder?.isDirectory() === true && !isOff,
  };
}
