/** Far tar: folders of another machine as entries and entries as folders there, by the tar of that machine. */
import { Buffer } from "node:buffer";
import { randomBytes } from "node:crypto";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import type { Argv } from "../../argv.ts";
import { AmiError } from "../../errors.ts";
import { type Host, type Running, exitStatus } from "../../host.ts";
import type { Packing } from "./compress.ts";
import type { Entries, Entry } from "./entry.ts";
import type { Filter } from "./filter.ts";
import type { Move } from "./plan.ts";
import { entriesOf } from "./tar-read.ts";
import { tarOf } from "./tar-write.ts";

export interface FarOptions {
  readonly packing: Packing | undefined;
  readonly signal: AbortSignal;
}

/** Rejects with `host.file` in the words of the tar there. */
export async function* farEntries(
  host: Host,
  moves: readonly Move[],
  options: FarOptions & { readonly filter: Filter; skipped(path: string, why: string): void },
): AsyncGenerator<Entry> {
  for (const { argv, arrives } of tarsFor(moves, options)) {
    let left: string | undefined;
    for await (const entry of entriesOf(unpacked(host, argv, options), options.skipped)) {
      // A folder that is left out is left out with all that is in it.
      if (left !== undefined && entry.path.startsWith(left)) continue;
      const { path, below } = arrives(entry.path);
      if (!options.filter.wants(below, entry.type === "folder")) {
        left = entry.type === "folder" ? `${entry.path}/` : undefined;
        continue;
      }
      yield entry.type === "hardlink" ? { ...entry, path, leadsTo: arrives(entry.leadsTo).path } : { ...entry, path };
    }
  }
}

/** What a tar there says. It ends only when that tar says that all went well. */
async function* unpacked(host: Host, argv: Argv, { packing, signal }: FarOptions): AsyncGenerator<Buffer> {
  const running = await host.spawn(argv, { signal });
  running.stdin.end();
  const said = wordsOf(running.stderr);
  const { stdout } = running;
  // A lost connection is told at once, however much is still waiting to be read.
  running.exit.catch((error: Error) => stdout.destroy(error));
  try {
    yield* packing === undefined ? (stdout as AsyncIterable<Buffer>) : packing.unpack(stdout);
    const status = exitStatus(await running.exit);
    if (status !== 0 || said().includes(failMark)) throw tarError(host, said().replace(failMark, ""), status);
  } finally {
    stdout.destroy();
    await running.kill().catch(() => undefined); // who leaves early leaves nothing running
  }
}

/** The exit of a pipe is that of its last program; what tar thought of it is said in words. */
const failMark = "[tar failed]";

interface TarRun {
  readonly argv: Argv;
  arrives(path: string): { readonly path: string; readonly below: string };
}

/** A folder has a tar of its own, files of one folder share one. */
function* tarsFor(moves: readonly Move[], { filter, packing }: FarOptions & { filter: Filter }): Generator<TarRun> {
  const run = (folder: string, flags: string, words: readonly string[]): Argv => {
    const tar = `tar ${flags} "$@"`;
    const all = packing === undefined ? tar : `{ ${tar} || echo "${failMark}" >&2; } | ${packing.packs.join(" ")}`;
    const program = `cd "$1" || exit; shift; ${all}`;
    return ["sh", "-c", program, "sh", folder, ...words];
  };
  for (const move of moves.filter(({ type }) => type === "folder")) {
    const excludes = filter.names.map((name) => `--exclude=${name}`);
    yield {
      argv: run(move.from, "cf -", [...excludes, "."]),
      arrives: (below) => ({ below, path: below === "" ? move.to : move.to === "" ? below : `${move.to}/${below}` }),
    };
  }
  const files = Map.groupBy(
    moves.filter(({ type }) => type === "file"),
    ({ from }) => from.slice(0, from.lastIndexOf("/")) || "/",
  );
  for (const [folder, all] of files) {
    for (let at = 0; at < all.length; at += 500) {
      const batch = all.slice(at, at + 500);
      const names = new Map(batch.map((move) => [move.from.slice(move.from.lastIndexOf("/") + 1), move.to]));
      // h: a link that was named is followed.
      const words = [...names.keys()].map((name) => `./${name}`);
      yield { argv: run(folder, "chf -", words), arrives: (path) => ({ path: names.get(path) ?? path, below: "" }) };
    }
  }
}

/**
 * Unpacks into a folder of its own inside `base`, then moves each thing to its place by rename: folders that are not
 * there yet whole, into others file by file. Whatever happens before that leaves everything as it was.
 */
export async function writeFarTree(host: Host, entries: Entries, base: string, options: FarOptions): Promise<void> {
  const key = randomBytes(8).toString("hex");
  const endMark = `.ami-end-${key}`;
  const { packing, signal } = options;
  const unpack = packing === undefined ? "" : packing.unpacks.join(" ");
  const argv = ["sh", "-c", unpackProgram, "sh", base, `.ami-${key}.partial`, endMark, unpack] as const;
  const running = await host.spawn(argv, { signal });
  const said = wordsOf(running.stderr);
  running.stdout.resume();
  const failed = send(running, tarOf(withEnd(entries, endMark)), packing, signal);
  const exit = await Promise.race([running.exit, failed.then(() => running.exit)]);
  if (exitStatus(exit) !== 0) throw tarError(host, said(), exitStatus(exit));
}

/** Rejects for a source that breaks off; a program that takes no more says itself why. */
async function send(
  running: Running,
  bytes: AsyncIterable<Buffer>,
  packing: Packing | undefined,
  signal: AbortSignal,
): Promise<void> {
  let broken: unknown;
  const source = (async function* () {
    try {
      yield* bytes;
    } catch (error) {
      broken = error;
      throw error;
    }
  })();
  try {
    const stream = Readable.from(source, { objectMode: false, highWaterMark: 1024 * 1024 });
    await (packing === undefined
      ? pipeline(stream, running.stdin, { signal })
      : pipeline(stream, packing.pack(), running.stdin, { signal }));
  } catch (error) {
    if (broken === undefined && !signal.aborted) return;
    // Its input ends without the mark: it tidies up, and is waited for.
    running.stdin.destroy();
    await running.exit.catch(() => undefined);
    throw broken ?? error;
  }
}

async function* withEnd(entries: Entries, endMark: string): AsyncGenerator<Entry> {
  yield* entries;
  yield { type: "file", path: endMark, mode: 0o600, mtime: 0, size: 0, content: Buffer.alloc(0) };
}

/**
 * $1 base, $2 name of the folder to unpack in, $3 the file that comes last, $4 what unpacks the stream first, or nothing.
 * Moves are made 200 at once, as most of their cost is starting `mv`.
 */
const unpackProgram = `
LC_ALL=C; export LC_ALL
b=$1 s=$1/$2 e=$3 z=$4
x() {
  [ -z "$1" ] || echo "$1" >&2
  chmod -R u+rwX "$s" 2>/dev/null; rm -rf "$s"; exit 1
}
trap "x interrupted" HUP INT TERM PIPE
mkdir -m 700 "$s" || exit 1
if [ -n "$z" ]; then (cd "$s" && $z | tar xpof -) || x; else (cd "$s" && tar xpof -) || x; fi
[ -f "$s/$e" ] && rm -f "$s/$e" || x "the stream was cut off"
w() { [ $# = 0 ] || mv -f "$@" "$d/"; }
m() (
  f=$1 d=$2
  set --
  for n in "$f"/* "$f"/.[!.]* "$f"/..?*; do
    [ -e "$n" ] || [ -h "$n" ] || continue
    o=$d/\${n##*/}
    if [ -d "$n" ] && [ ! -h "$n" ]; then
      if [ -d "$o" ]; then m "$n" "$o" || exit 1; continue; fi
      if [ -e "$o" ] || [ -h "$o" ]; then echo "$o: it is a file, and a folder is to go there" >&2; exit 1; fi
    elif [ -d "$o" ] && [ ! -h "$o" ]; then echo "$o: it is a folder, and a file is to go there" >&2; exit 1
    elif [ -d "$o" ]; then rm -f "$o" || exit 1
    fi
    set -- "$@" "$n"
    if [ $# -ge 200 ]; then w "$@" || exit 1; set --; fi
  done
  w "$@"
)
m "$s" "$b" || x
rm -rf "$s"`;

function wordsOf(stream: Readable): () => string {
  let text = "";
  stream.on("error", () => undefined);
  stream.on("data", (chunk: Buffer) => {
    if (text.length < 4096) text += chunk.toString("utf8");
  });
  return () => text.trim();
}

function tarError(host: Host, said: string, status: number): AmiError {
  const words = said.replaceAll(/^(?:tar|mkdir|mv|sh|cat): (?:\d+: )?/gm, "").split("\n");
  const shown = words.filter((line) => !/^(?:Exiting with failure|Child returned|Error is not rec)/.test(line));
  const why = shown.slice(0, 3).join("; ") || `tar ended with ${status}`;
  const hint = /permission denied|not permitted/i.test(why)
    ? "become a user who may: --become"
    : /no space|quota/i.test(why)
      ? "make room there"
      : undefined;
  return new AmiError("host.file", why, { host: host.name, hint });
}
