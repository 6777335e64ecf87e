/** Tar against the real ones: what we write they unpack, what they pack we read. */
import { execFileSync } from "node:child_process";
import { Buffer } from "node:buffer";
import { chmod, link, lstat, mkdir, mkdtemp, readFile, rm, symlink, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { type Entry, bytesOf } from "../../../../../src/core/ssh/transfer/entry.ts";
import { createFilter } from "../../../../../src/core/ssh/transfer/filter.ts";
import { localEntries, mergeTree, writeTree } from "../../../../../src/core/ssh/transfer/local-tree.ts";
import { entriesOf } from "../../../../../src/core/ssh/transfer/tar-read.ts";
import { tarOf } from "../../../../../src/core/ssh/transfer/tar-write.ts";
import { has } from "../../../../servers/engines.ts";

const tars = [
  ["tar", ["tar"]],
  ["bsdtar", ["bsdtar"]],
  ["busybox", ["busybox", "tar"]],
].filter(([name]) => has(String(name))) as [string, string[]][];
const long = "l".repeat(120);
const deep = `${"d".repeat(90)}/${"e".repeat(90)}/${"f".repeat(110)}`;

let dir = "";
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), "ami-tar-"));
  const at = (name: string): string => join(dir, "src", name);
  await mkdir(at("sub/empty"), { recursive: true });
  await mkdir(join(at(deep), ".."), { recursive: true });
  await writeFile(at("small"), "hello\n");
  await writeFile(at("nothing"), "");
  await writeFile(at("large"), Buffer.alloc(700_001, "0123456789"));
  await writeFile(at(long), "long");
  await writeFile(at(deep), "deep");
  await writeFile(at("sub/ä b'\"\n$x"), "odd");
  await symlink(`${long}/${long}`, at("sub/link"));
  await link(at("small"), at("sub/hard"));
  await chmod(at("small"), 0o640);
  await utimes(at("large"), 1_500_000_000, 1_500_000_000);
  await chmod(at("sub/empty"), 0o555);
});
afterEach(() => rm(dir, { recursive: true, force: true }));

const everything = createFilter({ include: [], exclude: [] });
const source = (): AsyncGenerator<Entry> =>
  localEntries([{ from: join(dir, "src"), type: "folder", size: 0, to: "got" }], {
    filter: everything,
    hasHardlinks: true,
    skipped: () => undefined,
  });

async function check(folder: string): Promise<void> {
  execFileSync("diff", ["-r", "--no-dereference", join(dir, "src"), folder]);
  const inode = async (name: string): Promise<number> => (await lstat(join(folder, name))).ino;
  expect(await inode("small")).toBe(await inode("sub/hard"));
  expect((await lstat(join(folder, "small"))).mode & 0o777).toBe(0o640);
  expect((await lstat(join(folder, "sub/empty"))).mode & 0o777).toBe(0o555);
  expect((await lstat(join(folder, "large"))).mtimeMs).toBe(1_500_000_000_000);
}

describe.each(tars)("with %s", (_, argv) => {
  it("unpacks what we pack", async () => {
    const archive: Buffer[] = [];
    for await (const bytes of tarOf(source())) archive.push(bytes);
    await mkdir(join(dir, "out"));
    const [program = "", ...words] = argv;
    execFileSync(program, [...words, "xpof", "-"], { cwd: join(dir, "out"), input: Buffer.concat(archive) });
    await check(join(dir, "out/got"));
  });

  it("packs what we unpack", async () => {
    const [program = "", ...words] = argv;
    const archive = execFileSync(program, [...words, "cf", "-", "."], { cwd: join(dir, "src"), maxBuffer: 1e9 });
    await mkdir(join(dir, "out"));
    await writeTree(entriesOf(cut(archive), fail), join(dir, "out"));
    await check(join(dir, "out"));
  });
});

it("an archive that leads elsewhere is refused, and nothing is written through its links", async () => {
  await mkdir(join(dir, "out"));
  await writeFile(join(dir, "victim"), "mine");
  const entry = { mode: 0o644, mtime: 0, type: "file", size: 3, content: Buffer.from("bad") } as const;
  for (const path of ["../victim", "/tmp/x", "a/../../victim"]) {
    const archive = await pack([{ ...entry, path }]);
    await expect(writeTree(entriesOf(cut(archive), fail), join(dir, "out"))).rejects.toMatchObject({
      code: "run.failed",
      message: expect.stringContaining("outside"),
    });
  }
  const link = { mode: 0o777, mtime: 0, type: "symlink", path: "way", leadsTo: ".." } as const;
  const archive = await pack([link, { ...entry, path: "way/victim" }]);
  await expect(writeTree(entriesOf(cut(archive), fail), join(dir, "out"))).rejects.toThrow();
  expect(await readFile(join(dir, "victim"), "utf8")).toBe("mine");
});

it("an archive that is cut anywhere is no archive", async () => {
  const whole = await pack([
    { path: "a", mode: 0o644, mtime: 0, type: "file", size: 1000, content: Buffer.alloc(1000, 1) },
    { path: "b", mode: 0o644, mtime: 0, type: "file", size: 100_000, content: Buffer.alloc(100_000, 2) },
  ]);
  for (const length of [0, 100, 512, 700, 1536, 50_000, whole.length - 1024]) {
    const read = async (): Promise<void> => {
      for await (const entry of entriesOf(cut(whole.subarray(0, length)), fail))
        if (entry.type === "file") for await (const bytes of bytesOf(entry.content)) void bytes;
    };
    await expect(read(), String(length)).rejects.toMatchObject({ code: "run.failed" });
  }
});

it("an archive with senseless numbers is no archive, and no name of it is taken into memory without end", async () => {
  const file = await pack([{ path: "a", mode: 0, mtime: 0, type: "file", size: 3, content: Buffer.from("abc") }]);
  const pax = (line: string): Buffer => {
    const record = Buffer.alloc(512);
    record.write(`${line.length + 3} ${line}\n`);
    return Buffer.concat([header(file, "x", 512), record, file]);
  };
  for (const archive of [pax("size=-1"), pax("size=x")]) {
    await expect(drain(entriesOf(cut(archive), fail))).rejects.toMatchObject({ code: "run.failed" });
  }
  for (const type of ["x", "L", "K", "g"]) {
    let taken = 0;
    const endless = (async function* () {
      yield header(file, type, 2 ** 30);
      for (; taken < 2 ** 30; taken += 2 ** 20) yield Buffer.alloc(2 ** 20);
    })();
    await expect(drain(entriesOf(endless, fail))).rejects.toMatchObject({ code: "run.failed" });
    expect(taken, type).toBeLessThan(2 ** 22);
  }
  const read = entriesOf(cut(pax("mtime=x")), fail);
  expect((await read.next()).value).toMatchObject({ path: "a", mtime: 0 });
});

it.skipIf(process.platform !== "linux")("a file older than 1970 is of 1970, which all protocols can say", async () => {
  await mkdir(join(dir, "old"));
  await writeFile(join(dir, "old/f"), "x");
  await utimes(join(dir, "old/f"), new Date(-86_400_000), new Date(-86_400_000));
  const archive = execFileSync("tar", ["--format=gnu", "-cf", "-", "f"], { cwd: join(dir, "old") });
  expect((await entriesOf(cut(archive), fail).next()).value).toMatchObject({ path: "f", mtime: 0 });
  const moves = [{ from: join(dir, "old/f"), type: "file", size: 1, to: "f" }] as const;
  const options = { filter: everything, hasHardlinks: true, skipped: () => undefined };
  expect((await localEntries(moves, options).next()).value).toMatchObject({ path: "f", mtime: 0 });
});

async function drain(entries: AsyncIterable<Entry>): Promise<void> {
  for await (const entry of entries)
    if (entry.type === "file") for await (const bytes of bytesOf(entry.content)) void bytes;
}

/** The first header of an archive, made that of a record of another type and size. */
function header(archive: Buffer, type: string, size: number): Buffer {
  const head = Buffer.from(archive.subarray(0, 512));
  head.write(`${size.toString(8).padStart(11, "0")}\0`, 124);
  head.write(type, 156);
  head.write("        ", 148);
  const sum = head.reduce((all, byte) => all + byte, 0);
  head.write(`${sum.toString(8).padStart(6, "0")}\0 `, 148);
  return head;
}

it("a file that changes while it is read is told", async () => {
  const entry = { path: "a", mode: 0o644, mtime: 0, type: "file", content: Buffer.alloc(10) } as const;
  await expect(pack([{ ...entry, size: 11 }])).rejects.toThrow("changed while");
  await expect(pack([{ ...entry, size: 9 }])).rejects.toThrow("changed while");
});

it("sizes beyond eleven octal digits travel", async () => {
  const size = 9 * 2 ** 30;
  const sparse = (async function* () {
    for (let left = size; left > 0; left -= 2 ** 27) yield Buffer.alloc(2 ** 27).subarray(0, left);
  })();
  const { value: head } = await tarOf(
    one({ path: "b", mode: 0, mtime: 0, type: "file", size, content: sparse }),
  ).next();
  expect((head ?? [])[124]).toBe(0x80);
  const read = entriesOf(stream(head ?? Buffer.alloc(0)), fail);
  expect((await read.next()).value).toMatchObject({ path: "b", size });
});

async function* stream(bytes: Buffer): AsyncGenerator<Buffer> {
  yield bytes;
}

it("merging renames each file, keeps folders that are there, and refuses a file in place of a folder", async () => {
  const [from, into] = [join(dir, "from"), join(dir, "into")];
  await mkdir(join(from, "both"), { recursive: true });
  await mkdir(join(from, "new/deep"), { recursive: true });
  await mkdir(join(into, "both"), { recursive: true });
  for (const name of ["f", "both/f", "new/deep/f"]) await writeFile(join(from, name), "new");
  for (const name of ["f", "both/f", "both/kept"]) await writeFile(join(into, name), "old");
  mergeTree(from, into);
  for (const name of ["f", "both/f", "new/deep/f"]) expect(await readFile(join(into, name), "utf8")).toBe("new");
  expect(await readFile(join(into, "both/kept"), "utf8")).toBe("old");
  await rm(from, { recursive: true });
  await mkdir(from);
  await writeFile(join(from, "both"), "a file");
  expect(() => mergeTree(from, into)).toThrow("is a folder");
});

async function pack(entries: readonly Entry[]): Promise<Buffer> {
  const pieces: Buffer[] = [];
  for await (const bytes of tarOf(one(...entries))) pieces.push(bytes);
  return Buffer.concat(pieces);
}

async function* one(...entries: Entry[]): AsyncGenerator<Entry> {
  yield* entries;
}

/** Pieces of odd sizes, as they come over a network. */
async function* cut(bytes: Buffer): AsyncGenerator<Buffer> {
  for (let at = 0; at < bytes.length; at += 3331) yield bytes.subarray(at, at + 3331);
}

function fail(path: string, why: string): void {
  throw new Error(`${path}: ${why}`);
}
