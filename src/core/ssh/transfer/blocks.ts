/**
 * Blocks: which blocks of one file are found in another, wherever they stand there. The other end only signs blocks at
 * fixed places (first four bytes and md5 of each); looking for them at every byte is done here, whichever way the file
 * travels, so that nothing has to be installed there. A wrong find is found out by the sum of the whole file.
 */
import { Buffer } from "node:buffer";
import { createHash } from "node:crypto";
import type { FileHandle } from "node:fs/promises";

export interface Signatures {
  /** Bytes of a block; what is left at the end of the file is not signed. */
  readonly block: number;
  readonly count: number;
  /** By the first four bytes, then by sum: the number of the block. */
  find(first: number, sum: () => string): number | undefined;
}

/** Bytes of one signature. */
const signed = 20;

/** About as many blocks as each has bytes, as rsync does it. */
export function blockFor(size: number): number {
  return Math.min(128 * 1024, Math.max(2048, Math.ceil(Math.sqrt(size) / 1024) * 1024));
}

export function readSignatures(bytes: Buffer, block: number): Signatures {
  const count = Math.floor(bytes.length / signed);
  const byFirst = new Map<number, Map<string, number>>();
  /** Most places are ruled out by one look here. */
  const seen = new Uint8Array(2 ** 20);
  for (let index = 0; index < count; index++) {
    const first = bytes.readUInt32LE(index * signed);
    const sum = bytes.toString("latin1", index * signed + 4, (index + 1) * signed);
    const sums = byFirst.get(first) ?? new Map<string, number>();
    byFirst.set(first, sums);
    if (!sums.has(sum)) sums.set(sum, index);
    seen[placeOf(first)] = 1;
  }
  return {
    block,
    count,
    find(first, sum) {
      if (seen[placeOf(first)] === 0) return undefined;
      return byFirst.get(first)?.get(sum());
    },
  };
}

function placeOf(first: number): number {
  return Math.imul(first, 0x9e3779b1) >>> 12;
}

export interface Match {
  /** In the file that was searched. */
  readonly at: number;
  readonly index: number;
}

/** So many blocks may look right and be wrong before only aligned ones are looked at. */
const patience = 20_000;
const window = 4 * 1024 * 1024;

/** Blocks of `signatures` that stand in a file of this machine, in order and without overlaps. */
export async function* matchesIn(file: FileHandle, signatures: Signatures): AsyncGenerator<Match> {
  const { block, find } = signatures;
  const buffer = Buffer.allocUnsafe(window + block);
  let base = 0;
  let have = 0;
  let at = 0;
  let disappointed = 0;
  for (;;) {
    have = buffer.copy(buffer, 0, at, have);
    base += at;
    at = 0;
    const { bytesRead } = await file.read(buffer, have, buffer.length - have, base + have);
    have += bytesRead;
    if (have < block) return;
    while (at + block <= have) {
      const here = at;
      let isLookedAt = false;
      const index = find(buffer.readUInt32LE(here), () => {
        isLookedAt = true;
        return createHash("md5")
          .update(buffer.subarray(here, here + block))
          .digest()
          .toString("latin1");
      });
      if (index !== undefined) {
        yield { at: base + here, index };
        at += block;
        continue;
      }
      if (isLookedAt) disappointed++;
      at += disappointed < patience ? 1 : block - ((base + here) % block);
    }
    // The rest may be the beginning of a block.
    at = Math.min(at, have);
  }
}

/** A stretch of the new file. */
export interface Stretch {
  readonly at: number;
  readonly length: number;
}

/** What stands between `covered`, which is in order, in a file of `size` bytes. */
export function gapsOf(covered: readonly Stretch[], size: number): Stretch[] {
  const gaps: Stretch[] = [];
  let end = 0;
  for (const { at, length } of [...covered, { at: size, length: 0 }]) {
    if (at > end) gaps.push({ at: end, length: at - end });
    end = Math.max(end, at + length);
  }
  return gaps;
}

export interface Copy extends Stretch {
  /** In the old file. */
  readonly from: number;
}

/** Neighbours in both files are one. */
export function joined(copies: readonly Copy[]): Copy[] {
  const all: Copy[] = [];
  for (const copy of copies) {
    const last = all.at(-1);
    if (last !== undefined && last.at + last.length === copy.at && last.from + last.length === copy.from)
      all[all.length - 1] = { ...last, length: last.length + copy.length };
    else all.push(copy);
  }
  return all;
}
