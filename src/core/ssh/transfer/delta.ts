/**
 * Delta: a file that replaces an older one of itself. What both have in common is copied where the old one is; only the
 * rest travels. At the other end perl or python3 signs blocks and copies stretches; neither is ours or stays there.
 */
import { Buffer } from "node:buffer";
import { randomBytes } from "node:crypto";
import { type FileHandle, open, stat } from "node:fs/promises";
import type { Argv } from "../../argv.ts";
import { AmiError } from "../../errors.ts";
import { pieceSize } from "../../files.ts";
import { type Host, exitStatus } from "../../host.ts";
import { cancelled } from "../patience.ts";
import { type Copy, type Stretch, blockFor, gapsOf, joined, matchesIn, readSignatures } from "./blocks.ts";
import type { End } from "./end.ts";
import { orAbort, within } from "./pace.ts";
import { type Reader, type SinkFile, type SourceFile, type Writer, fileError, openSink, openSource } from "./pieces.ts";
import { join } from "./plan.ts";
import type { RangesWish } from "./ranges.ts";
import { sha256Of } from "./sums.ts";

export interface DeltaWish extends RangesWish {
  readonly tools: ReadonlySet<string>;
}

interface Moved {
  readonly bytes: number;
  readonly size: number;
  readonly sha256: string;
}

/** Words why not, where there is nothing to gain or nobody to help: then it has to travel whole. */
export async function moveDelta(wish: DeltaWish): Promise<Moved | string> {
  const { from, to, base, name, signal } = wish;
  const path = join(base, name);
  const program = wish.tools.has("perl") ? perl : wish.tools.has("python3") ? python : undefined;
  if (program === undefined) return "the other end has neither perl nor python3 to compare by";
  const host = from.host ?? to.host;
  if (host === undefined || (from.host !== undefined && to.host !== undefined)) return "one end has to be this machine";
  const old = await sizeOf(to, path);
  if (old === undefined) return "there is no old file to compare with";
  const source = await openSource(from, wish.source, 0, signal);
  try {
    const block = blockFor(from.host === undefined ? old : source.size);
    if (Math.min(old, source.size) < 2 * block) return "it is too small to compare";
    const far = from.host === undefined ? path : wish.source;
    const { exit, stdout, stderr } = await host.exec(program.sign(far, block), { signal });
    if (exitStatus(exit) !== 0) return `it cannot be compared there: ${stderr.toString("utf8").trim().split("\n")[0]}`;
    const signatures = readSignatures(stdout, block);
    const searched = await open(from.host === undefined ? wish.source : path);
    try {
      const copies: Copy[] = [];
      for await (const { at, index } of matchesIn(searched, signatures)) {
        signal.throwIfAborted();
        const place = index * block;
        copies.push({ length: block, ...(from.host === undefined ? { at, from: place } : { at: place, from: at }) });
      }
      const common = joined(copies.toSorted((a, b) => a.at - b.at));
      const missing = gapsOf(common, source.size);
      const temp = join(base, `.ami-${randomBytes(8).toString("hex")}.partial`);
      const sink = await openSink(to, { path, temp, size: 0, goesOn: false, signal });
      let isWhole = false;
      try {
        if (to.host === undefined) await copyHere(common, searched, await laneOf(sink));
        else await copyThere(to.host, program.copy(path, temp), common, signal);
        const bytes = await fill(missing, source, sink, wish);
        await sink.truncate(source.size);
        const [sent, came] = await Promise.all([
          sha256Of(from, wish.source, source.size, signal),
          sha256Of(to, temp, source.size, signal),
        ]);
        if (sent !== came)
          throw new AmiError("run.failed", `${path}: what arrived differs from its source`, { retry: "yes" });
        await sink.finish(source);
        isWhole = true;
        return { bytes: bytes + stdout.length, size: source.size, sha256: sent };
      } catch (error) {
        throw signal.aborted ? cancelled(to.name, signal.reason) : fileError(to, path, error);
      } finally {
        if (!isWhole) await within(2000, sink.remove());
        await sink.close();
      }
    } finally {
      await searched.close();
    }
  } finally {
    await source.close();
  }
}

async function sizeOf({ host, files, name }: End, path: string): Promise<number | undefined> {
  if (host === undefined) {
    const found = await stat(path).catch(() => undefined);
    return found?.isFile() === true ? found.size : undefined;
  }
  if (files === undefined) throw new AmiError("host.unsupported", "there is no sftp there", { host: name });
  const found = await files.lstat(path).catch(() => undefined);
  return found?.isFile() === true ? found.size : undefined;
}

async function laneOf({ lanes: [first] }: SinkFile): Promise<Writer> {
  if (first === undefined) throw new Error("no lane");
  return first;
}

async function copyHere(copies: readonly Copy[], old: FileHandle, writer: Writer): Promise<void> {
  const buffer = Buffer.allocUnsafe(1024 * 1024);
  for (const copy of copies) {
    for (let done = 0; done < copy.length;) {
      const { bytesRead } = await old.read(buffer, 0, Math.min(buffer.length, copy.length - done), copy.from + done);
      if (bytesRead === 0) throw new Error("the old file became shorter while it was read");
      await writer.write(buffer.subarray(0, bytesRead), copy.at + done);
      done += bytesRead;
    }
  }
}

async function copyThere(host: Host, argv: Argv, copies: readonly Copy[], signal: AbortSignal): Promise<void> {
  const stdin = copies.map(({ from, at, length }) => `${from} ${at} ${length}\n`).join("");
  const { exit, stderr } = await host.exec(argv, { stdin, signal });
  if (exitStatus(exit) !== 0) throw new Error(stderr.toString("utf8").trim().split("\n")[0]);
}

/** Sends what is missing, several pieces at once. */
async function fill(missing: readonly Stretch[], source: SourceFile, sink: SinkFile, wish: DeltaWish): Promise<number> {
  const { signal, pace } = wish;
  const [reader, writer] = await Promise.all([source.lanes[0], laneOf(sink)]);
  if (reader === undefined) throw new Error("no lane");
  let total = source.size - missing.reduce((sum, { length }) => sum + length, 0);
  let travelled = 0;
  const pieces = cut(missing);
  const work = async (from: Reader): Promise<void> => {
    const buffer = Buffer.allocUnsafe(pieceSize);
    for (const { at, length } of pieces) {
      signal.throwIfAborted();
      const piece = buffer.subarray(0, length);
      if ((await from.read(piece, at)) < length)
        throw new AmiError("run.failed", `${wish.source} became shorter while it was read`, { retry: "yes" });
      if (pace !== undefined) await pace(length, signal);
      await writer.write(piece, at);
      travelled += length;
      total += length;
      wish.onBytes(total);
    }
  };
  // They share one iterator, so each piece is taken once.
  await orAbort(Promise.all(Array.from({ length: 16 }, () => work(reader))), signal);
  return travelled;
}

function* cut(stretches: readonly Stretch[]): Generator<Stretch> {
  for (const { at, length } of stretches) {
    for (let done = 0; done < length; done += pieceSize)
      yield { at: at + done, length: Math.min(pieceSize, length - done) };
  }
}

interface Program {
  /** Prints for each whole block its first four bytes and its md5. */
  sign(path: string, block: number): Argv;
  /** Reads `FROM AT LENGTH` a line, and copies that from the old file into the new one. */
  copy(old: string, temp: string): Argv;
}

const perl: Program = {
  sign: (path, block) => ["perl", "-MDigest::MD5=md5", "-e", perlSign, path, String(block)],
  copy: (old, temp) => ["perl", "-e", perlCopy, old, temp],
};

const perlSign = `
open(F, "<:raw", $ARGV[0]) or die "$!\\n"; binmode(STDOUT);
while ((read(F, $b, $ARGV[1]) || 0) == $ARGV[1]) { print substr($b, 0, 4), md5($b) }`;

const perlCopy = `
open(O, "<:raw", $ARGV[0]) or die "$!\\n"; open(T, "+<:raw", $ARGV[1]) or die "$!\\n";
while (<STDIN>) {
  ($s, $d, $n) = split; seek(O, $s, 0); seek(T, $d, 0);
  while ($n > 0) {
    $m = $n > 1048576 ? 1048576 : $n;
    (read(O, $b, $m) || 0) == $m or die "the old file became shorter\\n";
    print T $b or die "$!\\n"; $n -= $m;
  }
}
close(T) or die "$!\\n"`;

const python: Program = {
  sign: (path, block) => ["python3", "-c", pythonSign, path, String(block)],
  copy: (old, temp) => ["python3", "-c", pythonCopy, old, temp],
};

const pythonSign = `
import sys, hashlib
f = open(sys.argv[1], "rb"); n = int(sys.argv[2]); o = sys.stdout.buffer
while True:
    b = f.read(n)
    if len(b) < n: break
    o.write(b[:4] + hashlib.md5(b).digest())`;

const pythonCopy = `
import sys
o = open(sys.argv[1], "rb"); t = open(sys.argv[2], "r+b")
for line in sys.stdin:
    s, d, n = map(int, line.split()); o.seek(s); t.seek(d)
    while n > 0:
        b = o.read(min(n, 1048576))
        if not b: sys.exit("the old file became shorter")
        t.write(b); n -= len(b)
t.close()`;
