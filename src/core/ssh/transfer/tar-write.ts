/**
 * Tar write: entries as a tar stream that GNU tar, bsdtar and busybox all read: ustar, with GNU's records for long
 * names and GNU's numbers for large files. Not pax, whose records busybox 1.35 passes over.
 */
import { Buffer } from "node:buffer";
import { AmiError } from "../../errors.ts";
import { type Entries, type Entry, bytesOf } from "./entry.ts";

/** Small pieces travel together. */
const gathered = 256 * 1024;
export const block = 512;

/** The bytes of the archive, its end included, in pieces of a useful size. */
export async function* tarOf(entries: Entries): AsyncGenerator<Buffer> {
  let held: Buffer[] = [];
  let size = 0;
  const take = (bytes: Buffer): void => {
    held.push(bytes);
    size += bytes.length;
  };
  const flush = (): Buffer => {
    const all = held.length === 1 && held[0] !== undefined ? held[0] : Buffer.concat(held, size);
    held = [];
    size = 0;
    return all;
  };
  for await (const entry of entries) {
    for (const head of headersOf(entry)) take(head);
    if (entry.type === "file") {
      let left = entry.size;
      for await (const bytes of bytesOf(entry.content)) {
        left -= bytes.length;
        if (left < 0) throw changed(entry);
        take(bytes);
        if (size >= gathered) yield flush();
      }
      if (left > 0) throw changed(entry);
      take(padding(entry.size));
    }
    if (size >= gathered) yield flush();
  }
  take(Buffer.alloc(2 * block));
  yield flush();
}

function changed({ path }: Entry): AmiError {
  return new AmiError("run.failed", `${path} changed while it was read`, { retry: "yes", hint: "try again" });
}

const zeros = Buffer.alloc(block);

function padding(size: number): Buffer {
  return zeros.subarray(0, (block - (size % block)) % block);
}

function headersOf(entry: Entry): Buffer[] {
  const name = Buffer.from(entry.type === "folder" ? `${entry.path}/` : entry.path);
  const link = Buffer.from("leadsTo" in entry ? entry.leadsTo : "");
  const size = entry.type === "file" ? entry.size : 0;
  const heads: Buffer[] = [];
  if (link.length > 100) heads.push(...longRecord("K", link));
  const split = splitName(name);
  if (split === undefined) heads.push(...longRecord("L", name));
  const { prefix, rest } = split ?? { prefix: Buffer.alloc(0), rest: name.subarray(0, 100) };
  const { mode, mtime } = entry;
  heads.push(header({ type: letters[entry.type], name: rest, prefix, link: link.subarray(0, 100), size, mode, mtime }));
  return heads;
}

const letters = { file: "0", hardlink: "1", symlink: "2", folder: "5" } as const;

/** A name of up to 100 bytes, or one cut at a slash into at most 155 and 100. */
function splitName(name: Buffer): { prefix: Buffer; rest: Buffer } | undefined {
  if (name.length <= 100) return { prefix: Buffer.alloc(0), rest: name };
  const slash = name.indexOf(0x2f, name.length - 101);
  if (slash <= 0 || slash > 155 || slash === name.length - 1) return undefined;
  return { prefix: name.subarray(0, slash), rest: name.subarray(slash + 1) };
}

function longRecord(type: "L" | "K", text: Buffer): Buffer[] {
  const content = Buffer.concat([text, Buffer.alloc(1)]);
  const name = Buffer.from("././@LongLink");
  const none = Buffer.alloc(0);
  const head = header({ type, name, prefix: none, link: none, size: content.length, mode: 0, mtime: 0 });
  return [head, content, padding(content.length)];
}

function header(of: {
  type: string;
  name: Buffer;
  prefix: Buffer;
  link: Buffer;
  size: number;
  mode: number;
  mtime: number;
}): Buffer {
  const head = Buffer.alloc(block);
  of.name.copy(head, 0);
  number(head, 100, 8, of.mode);
  number(head, 108, 8, 0);
  number(head, 116, 8, 0);
  number(head, 124, 12, of.size);
  number(head, 136, 12, Math.max(0, Math.floor(of.mtime)));
  head.fill(0x20, 148, 156);
  head.write(of.type, 156, "latin1");
  of.link.copy(head, 157);
  head.write("ustar\x0000", 257, "latin1");
  of.prefix.copy(head, 345);
  let sum = 0;
  for (let at = 0; at < block; at++) sum += head[at] ?? 0;
  head.write(`${sum.toString(8).padStart(6, "0")}\0 `, 148, "latin1");
  return head;
}

/** Octal digits; what does not fit in them as GNU writes it, big-endian with the first bit set. */
function number(head: Buffer, at: number, width: number, value: number): void {
  const octal = value.toString(8);
  if (octal.length < width) {
    head.write(`${octal.padStart(width - 1, "0")}\0`, at, "latin1");
    return;
  }
  head.writeUInt8(0x80, at);
  head.writeBigUInt64BE(BigInt(value), at + width - 8);
}
