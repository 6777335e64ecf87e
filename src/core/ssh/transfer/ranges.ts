/**
 * Ranges: one file in pieces, many under way at once, in any order. It is written under another name and renamed when it
 * is whole. With `resume` that name is always the same one, and behind the content stands a map of the pieces that have
 * arrived, so that a run that was cut can go on; it goes away with the last piece.
 */
import { Buffer } from "node:buffer";
import { createHash, randomBytes } from "node:crypto";
import { AmiError } from "../../errors.ts";
import { pieceSize } from "../../files.ts";
import { cancelled } from "../patience.ts";
import type { End } from "./end.ts";
import { type Pace, orAbort, within } from "./pace.ts";
import { type Reader, type SinkFile, type SourceFile, type Writer, fileError, openSink, openSource } from "./pieces.ts";
import { join } from "./plan.ts";
import { sha256Of } from "./sums.ts";

export interface RangesWish {
  readonly from: End;
  readonly source: string;
  /** As it was when it was looked at. */
  readonly size: number;
  /** How the source is opened, when others read it too. */
  readonly open?: (() => Promise<SourceFile>) | undefined;
  readonly to: End;
  /** Folder and name it arrives at. */
  readonly base: string;
  readonly name: string;
  readonly resume: boolean;
  readonly checksum: boolean;
  readonly pace: Pace;
  readonly signal: AbortSignal;
  onBytes(total: number): void;
}

/** Resolves with the bytes that travelled and, where they were compared, the sha256 of both ends. */
export async function moveInRanges(wish: RangesWish): Promise<{ bytes: number; size: number; sha256?: string }> {
  const { from, to, base, name, resume, signal } = wish;
  const path = join(base, name);
  const temp = join(base, resume ? partialName(name) : `.ami-${randomBytes(8).toString("hex")}.partial`);
  const source = await (wish.open ?? (() => openSource(from, wish.source, wish.size, signal)))();
  try {
    const sink = await openSink(to, { path, temp, size: source.size, goesOn: resume, signal }).catch(
      (error: unknown) => {
        throw fileError(to, path, error);
      },
    );
    let isWhole = false;
    try {
      const arrived = resume ? await mapOf(sink, source) : undefined;
      const bytes = await copy(source, sink, arrived, wish).catch(async (error: unknown) => {
        await arrived?.save().catch(() => undefined); // the connection may be what broke
        throw error;
      });
      await sink.truncate(source.size);
      const sha256 = wish.checksum || (arrived?.before ?? 0) > 0 ? await compare(wish, temp, source.size) : undefined;
      if (sha256 === "different") {
        await sink.truncate(0);
        throw new AmiError("run.failed", `${path}: what arrived differs from its source; it was thrown away`, {
          retry: "yes",
          hint: "did the source change meanwhile? Try again",
        });
      }
      await sink.finish(source);
      isWhole = true;
      return { bytes, size: source.size, ...(sha256 === undefined ? {} : { sha256 }) };
    } catch (error) {
      throw signal.aborted ? cancelled(to.name, signal.reason) : fileError(to, path, error);
    } finally {
      if (!isWhole && !resume) await within(2000, sink.remove());
      await sink.close();
    }
  } finally {
    await source.close();
  }
}

/** 255 bytes is the longest name most file systems take. */
export function partialName(name: string): string {
  const isLong = Buffer.byteLength(name) > 200;
  const short = isLong ? createHash("sha256").update(name).digest("hex") : name;
  return `.${short}.ami-partial`;
}

async function copy(
  source: SourceFile,
  sink: SinkFile,
  arrived: Arrived | undefined,
  wish: RangesWish,
): Promise<number> {
  if (sink.pour !== undefined && source.lanes.length === 1 && arrived === undefined && source.hasHoles !== true) {
    const pouring = sink.pour(inOrder(source, wish));
    try {
      if (await orAbort(pouring, wish.signal)) return source.size;
    } catch (error) {
      await within(2000, pouring);
      throw error;
    }
  }
  const { signal, pace } = wish;
  const pieces = Math.ceil(source.size / pieceSize);
  let next = 0;
  let travelled = 0;
  let done = (arrived?.before ?? 0) * pieceSize;
  let isOver = false;
  wish.onBytes(Math.min(done, source.size));

  const work = async (reader: Reader, writer: Writer): Promise<void> => {
    const buffer = Buffer.allocUnsafe(pieceSize);
    while (!isOver) {
      while (next < pieces && arrived?.has(next) === true) next++;
      if (next >= pieces) return;
      const index = next++;
      const at = index * pieceSize;
      const piece = buffer.subarray(0, Math.min(pieceSize, source.size - at));
      const got = await reader.read(piece, at);
      if (got < piece.length) throw shorter(wish);
      // Where nothing was written the new file has a hole, which reads as zeros.
      if (arrived !== undefined || !isZero(piece)) {
        if (pace !== undefined) await pace(got, signal);
        await writer.write(piece, at);
        travelled += got;
      }
      done += got;
      wish.onBytes(Math.min(done, source.size));
      await arrived?.add(index);
    }
  };
  const lanes = Math.max(source.lanes.length, sink.lanes.length);
  const depth = lanes > 1 ? 9 : 16;
  const working: Promise<unknown>[] = [];
  /** Those that open late join in; one that does not open is no reason to stop, but for the first. */
  const joinIn = async (index: number): Promise<void> => {
    const pair = Promise.all([source.lanes[index % source.lanes.length], sink.lanes[index % sink.lanes.length]]);
    const [reader, writer] = await (index === 0 ? pair : pair.catch(() => []));
    if (reader === undefined || writer === undefined) return;
    const all = Promise.all(Array.from({ length: depth }, () => work(reader, writer)));
    working.push(all);
    await all;
  };
  const others = Array.from({ length: lanes - 1 }, (_, index) => joinIn(index + 1));
  const failure = Promise.withResolvers<never>();
  failure.promise.catch(() => undefined); // raced
  for (const other of others) other.catch(failure.reject);
  try {
    // When the first has nothing left to take, all is taken.
    await orAbort(Promise.race([joinIn(0).then(() => Promise.all(working)), failure.promise]), signal);
    return travelled;
  } finally {
    isOver = true;
  }
}

const zeros = Buffer.alloc(pieceSize);

function isZero(piece: Buffer): boolean {
  return piece[0] === 0 && piece.equals(zeros.subarray(0, piece.length));
}

function shorter({ source }: RangesWish): AmiError {
  return new AmiError("run.failed", `${source} became shorter while it was read`, { retry: "yes" });
}

/** How many pieces are read ahead. */
const ahead = 4;

async function* inOrder(source: SourceFile, wish: RangesWish): AsyncGenerator<Buffer> {
  const reader = await source.lanes[0];
  if (reader === undefined) throw new Error("no lane");
  // Who shares what is read agrees with the others on where pieces begin.
  const size = wish.open === undefined && wish.pace === undefined ? 4 * pieceSize : pieceSize;
  const memory = Array.from({ length: ahead }, () => Buffer.allocUnsafe(size));
  const pieces = Math.ceil(source.size / size);
  const read = async (index: number): Promise<Buffer> => {
    const at = index * size;
    const piece = (memory[index % ahead] ?? Buffer.alloc(0)).subarray(0, Math.min(size, source.size - at));
    if ((await reader.read(piece, at)) < piece.length) throw shorter(wish);
    return piece;
  };
  const reading: Promise<Buffer>[] = [];
  let begun = 0;
  let done = 0;
  for (let index = 0; index < pieces; index++) {
    // One less than there is memory for: the piece before may just be on its way.
    for (; begun < Math.min(pieces, index + ahead - 1); begun++) {
      const next = read(begun);
      next.catch(() => undefined); // looked at when its turn comes
      reading.push(next);
    }
    const piece = await reading.shift();
    if (piece === undefined) return;
    if (wish.pace !== undefined) await wish.pace(piece.length, wish.signal);
    yield piece;
    done += piece.length;
    wish.onBytes(done);
  }
}

/** Which pieces are there. */
interface Arrived {
  /** How many there were before. */
  readonly before: number;
  has(index: number): boolean;
  add(index: number): Promise<void>;
  save(): Promise<void>;
}

/** Written again after so many pieces: 16 MiB. */
const saved = 64;

async function mapOf(sink: SinkFile, source: SourceFile): Promise<Arrived> {
  const pieces = Math.ceil(source.size / pieceSize);
  const identity = createHash("sha256")
    .update(JSON.stringify([source.size, source.mtime, pieceSize]))
    .digest();
  const map = Buffer.alloc(identity.length + Math.ceil(pieces / 8));
  const size = await sink.size();
  let before = 0;
  if (size === source.size + map.length) {
    const old = Buffer.alloc(map.length);
    await sink.read(old, source.size);
    if (old.subarray(0, identity.length).equals(identity)) old.copy(map);
  } else if (size > 0) await sink.truncate(0);
  identity.copy(map);
  const bits = map.subarray(identity.length);
  const has = (index: number): boolean => ((bits[index >> 3] ?? 0) & (1 << (index & 7))) !== 0;
  for (let index = 0; index < pieces; index++) if (has(index)) before++;
  const lane = await sink.lanes[0];
  const save = async (): Promise<void> => lane?.write(Buffer.from(map), source.size);
  await save();
  let unsaved = 0;
  return {
    before,
    has,
    save,
    async add(index) {
      bits[index >> 3] = (bits[index >> 3] ?? 0) | (1 << (index & 7));
      if (++unsaved < saved) return;
      unsaved = 0;
      await save();
    },
  };
}

async function compare(wish: RangesWish, temp: string, size: number): Promise<string> {
  const [there, back] = await Promise.all([
    sha256Of(wish.from, wish.source, size, wish.signal),
    sha256Of(wish.to, temp, size, wish.signal),
  ]);
  return there === back ? there : "different";
}
