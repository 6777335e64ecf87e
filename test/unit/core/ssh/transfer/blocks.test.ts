import { Buffer } from "node:buffer";
import { createHash } from "node:crypto";
import { mkdtemp, open, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { blockFor, gapsOf, joined, matchesIn, readSignatures } from "../../../../../src/core/ssh/transfer/blocks.ts";

let dir = "";
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), "ami-blocks-"));
});
afterEach(() => rm(dir, { recursive: true, force: true }));

const block = 2048;
const noise = (size: number, seed: string): Buffer =>
  createHash("shake256", { outputLength: size }).update(seed).digest();

function sign(bytes: Buffer): Buffer {
  const parts: Buffer[] = [];
  for (let at = 0; at + block <= bytes.length; at += block) {
    const one = bytes.subarray(at, at + block);
    parts.push(one.subarray(0, 4), createHash("md5").update(one).digest());
  }
  return Buffer.concat(parts);
}

async function find(old: Buffer, fresh: Buffer): Promise<string[]> {
  await writeFile(join(dir, "f"), fresh);
  const file = await open(join(dir, "f"));
  try {
    const found: string[] = [];
    for await (const { at, index } of matchesIn(file, readSignatures(sign(old), block))) found.push(`${at}:${index}`);
    return found;
  } finally {
    await file.close();
  }
}

it("finds blocks where they are, where they went, and none that changed", async () => {
  const old = noise(4 * block, "a");
  expect(await find(old, old)).toEqual(["0:0", "2048:1", "4096:2", "6144:3"]);
  expect(await find(old, Buffer.concat([Buffer.from("x"), old]))).toEqual(["1:0", "2049:1", "4097:2", "6145:3"]);
  const changed = Buffer.from(old);
  changed.writeUInt8(changed.readUInt8(3000) ^ 1, 3000);
  expect(await find(old, changed)).toEqual(["0:0", "4096:2", "6144:3"]);
  expect(await find(old, noise(20_000, "b"))).toEqual([]);
  expect(await find(old, Buffer.alloc(10))).toEqual([]);
});

it("finds them on both sides of what is read at once, and among zeros", async () => {
  const old = noise(6 * 1024 * 1024, "large");
  const fresh = Buffer.concat([noise(777, "first"), old]);
  expect((await find(old, fresh)).length).toBe(old.length / block);
  const zeros = Buffer.alloc(10 * block);
  expect((await find(zeros, zeros)).length).toBe(10);
});

it("gaps are what is not covered; neighbours are joined", () => {
  const covered = [
    { at: 10, length: 5 },
    { at: 15, length: 5 },
  ];
  expect(gapsOf(covered, 30)).toEqual([
    { at: 0, length: 10 },
    { at: 20, length: 10 },
  ]);
  expect(gapsOf([], 3)).toEqual([{ at: 0, length: 3 }]);
  expect(gapsOf([{ at: 0, length: 3 }], 3)).toEqual([]);
  expect(
    joined([
      { at: 0, length: 5, from: 5 },
      { at: 5, length: 5, from: 10 },
      { at: 10, length: 5, from: 0 },
    ]),
  ).toEqual([
    { at: 0, length: 10, from: 5 },
    { at: 10, length: 5, from: 0 },
  ]);
});

it("blocks grow with the file", () => {
  expect([0, 1e6, 2 ** 30, 2 ** 40].map(blockFor)).toEqual([2048, 2048, 32_768, 131_072]);
});
