/** Files: `put` and `get` over one small sh program each, so that they work as whichever user the programs run as. */
import { randomBytes } from "node:crypto";
import { Readable, Transform, type TransformCallback } from "node:stream";
import type { Argv } from "../argv.ts";
import { AmiError, asAmiError } from "../errors.ts";
import { type Host, type PutOptions, type Running, exitStatus } from "../host.ts";
import { visible } from "../visible.ts";
import { type StartProgram, whenBroken } from "./exec.ts";
import { createAfterMark, newMark } from "./marks.ts";

/**
 * Makes a Host's `put`. The content is followed by a mark that only we know; the target renames only when it has
 * seen the mark, so a cut connection never passes for the end of a file.
 */
export function createPut(host: string, start: StartProgram): Host["put"] {
  return async (source, path, options = {}) => {
    const endMark = randomBytes(markLength / 2).toString("hex");
    const content = source instanceof Readable ? source : Readable.from([Buffer.from(source)], { objectMode: false });
    const cut = new AbortController();
    const signal = options.signal === undefined ? cut.signal : AbortSignal.any([cut.signal, options.signal]);
    let running: Running;
    try {
      running = await start(putArgv(path, endMark, options), { signal });
    } catch (error) {
      content.destroy();
      throw error;
    }
    const said = words(running.stderr);
    running.stdout.resume();
    // A source that breaks off ends the program, and the mark is never sent. A program that ended early says why itself.
    whenBroken(content, (error) => cut.abort(fileError(host, path, `the content broke off: ${error.message}`, error)));
    content.pipe(withEndMark(endMark, options.onProgress)).pipe(running.stdin);
    try {
      const exit = await running.exit;
      if (exitStatus(exit) !== 0) throw fileError(host, path, said() || `sh ended with ${exitStatus(exit)}`);
    } finally {
      content.destroy();
    }
  };
}

/** Makes a Host's `get`. The stream ends only when the target said that it read everything. */
export function createGet(host: string, start: StartProgram): Host["get"] {
  return async (path, options = {}) => {
    const mark = newMark();
    const content = createAfterMark(mark);
    const running = await start(["sh", "-c", getProgram, "sh", rooted(path), mark], { signal: options.signal });
    running.stdin.end();
    const said = words(running.stderr);
    const verdict = async (): Promise<void> => {
      const exit = await running.exit;
      if (exitStatus(exit) !== 0) throw fileError(host, path, said() || `cat ended with ${exitStatus(exit)}`);
    };
    const stream = new Transform({
      transform: (chunk: Buffer, _encoding, done: TransformCallback) => done(null, content(chunk)),
      flush(done: TransformCallback) {
        verdict().then(() => done(), done);
      },
    });
    running.stdout.pipe(stream);
    // An abort or a lost connection: `exit` knows which.
    running.exit.catch((error: unknown) => stream.destroy(asAmiError(error)));
    // A reader who leaves early.
    stream.once("close", () => void running.kill().catch(() => undefined));
    return stream;
  };
}

const markLength = 32;

function putArgv(path: string, endMark: string, options: PutOptions): Argv {
  const target = rooted(path);
  const folder = target.slice(0, target.lastIndexOf("/") + 1);
  const temp = `${folder}.ami-${randomBytes(8).toString("hex")}`;
  const mode = options.mode === undefined ? "" : (options.mode & 0o7777).toString(8).padStart(4, "0");
  return ["sh", "-c", putProgram, "sh", temp, target, endMark, mode, options.owner ?? "", options.group ?? ""];
}

/** No path may look like an option. */
function rooted(path: string): string {
  return path.startsWith("/") ? path : `./${path}`;
}

/**
 * $1 temp, $2 target, $3 end mark, $4 mode, $5 owner, $6 group. Private until renamed. An existing plain file keeps its
 * owner where that is allowed, and its mode; special bits only together with the owner they were meant for.
 * Only GNU `mv -T` replaces a link to a folder by rename; elsewhere (busybox 1.35 follows it, BSD has no -T) such a link
 * is removed first, or `mv` would move into the folder.
 * No single quote, backslash, newline or exclamation mark in here.
 */
const putProgram = [
  "LC_ALL=C; export LC_ALL; umask 077; t=$1; p=$2; k=",
  'x() { rm -f "$t"; [ -z "$1" ] || echo "$1" >&2; exit 1; }',
  'trap "x interrupted" HUP INT TERM PIPE',
  'if [ -h "$p" ]; then :; elif [ -d "$p" ]; then x "it is a directory"; fi',
  'cat >"$t" || x',
  `n=$(($(wc -c <"$t") - ${markLength}))`,
  `[ "$n" -ge 0 ] && [ "$(tail -c ${markLength} "$t" 2>/dev/null)" = "$3" ] || x "the content was cut off"`,
  'dd if=/dev/null of="$t" bs=1 seek="$n" count=0 2>/dev/null || x "cannot shorten the temporary file"',
  'if [ -h "$p" ]; then :; elif [ -f "$p" ]; then s=$(stat -c "%a %u:%g" "$p" 2>/dev/null || stat -f "%Mp%Lp %u:%g" "$p"); k=${s%% *}',
  'chown "${s#* }" "$t" 2>/dev/null || case $k in ????) k=${k#?};; esac; fi',
  '[ -z "$5" ] || chown "$5" "$t" || x; [ -z "$6" ] || chgrp "$6" "$t" || x',
  'chmod "${4:-${k:-0644}}" "$t" || x',
  'mv -fT "$t" "$p" 2>/dev/null || { if [ -h "$p" ] && [ -d "$p" ]; then rm -f "$p"; fi; [ -d "$p" ] && x "it is a directory"; mv -f "$t" "$p" || x; }',
].join("; ");

/** $1 the file, $2 the mark its content follows. */
const getProgram =
  'LC_ALL=C; export LC_ALL; [ -d "$1" ] && { echo "it is a directory" >&2; exit 1; }; printf "%s" "$2"; exec cat <"$1"';

function withEndMark(endMark: string, onProgress: PutOptions["onProgress"]): Transform {
  let total = 0;
  return new Transform({
    transform(chunk: Buffer, _encoding, done: TransformCallback) {
      total += chunk.length;
      onProgress?.(total);
      done(null, chunk);
    },
    flush: (done: TransformCallback) => done(null, endMark),
  });
}

/** Collects what a program says on stderr, up to a few lines' worth. */
function words(stderr: Readable): () => string {
  let text = "";
  stderr.on("error", () => undefined);
  stderr.on("data", (chunk: Buffer) => {
    if (text.length < 4096) text += chunk.toString("utf8");
  });
  return () => text.trim();
}

function fileError(host: string, path: string, said: string, cause?: unknown): AmiError {
  // "sh: 1: cannot create /x/.ami-12: Permission denied": the temp name helps nobody.
  const why = visible(said)
    .replace(/^sh: (line )?(\d+: )?/, "")
    .replaceAll(/[^\s:'"]*\.ami-[0-9a-f]{16}/g, "a temporary file beside it");
  return new AmiError("host.file", `${path}: ${why}`, { host, cause, hint: hintFor(why) });
}

function hintFor(why: string): string | undefined {
  if (/permission denied|not permitted/i.test(why)) return "become a user who may: --become";
  if (/no such file|nonexistent|not a directory/i.test(why)) return "look at the path; folders are not made on the way";
  if (/no space|quota/i.test(why)) return "make room on the target";
  return undefined;
}
