/** Tar read: a tar stream as entries, whichever tar wrote it: ustar, old, GNU's long names and numbers, pax records. */
import { Buffer } from "node:buffer";
import { AmiError } from "../../errors.ts";
import type { Entry } from "./entry.ts";
import { block } from "./tar-write.ts";

/** Files up to this size are handed on whole. */
const small = 64 * 1024;
/** Of names and attributes, which are taken into memory. */
const longestRecord = 1024 * 1024;

/**
 * Ends at the end of the archive; what follows is read and dropped. Devices and pipes are passed over, and `skipped` is
 * told. Throws `run.failed` for what is no archive, ends too early, or names a place outside of where it is unpacked.
 */
export async function* entriesOf(
  stream: AsyncIterable<Buffer>,
  skipped: (path: string, why: string) => void,
): AsyncGenerator<Entry> {
  const input = bytesFrom(stream);
  let long: { path?: string; leadsTo?: string; size?: number; mtime?: number } = {};
  for (;;) {
    const head = await input.take(block);
    if (head === undefined) throw torn();
    if (head.every((byte) => byte === 0)) break;
    const size = long.size ?? numberAt(head, 124, 12);
    if (size < 0) throw torn();
    checkSum(head);
    const type = String.fromCharCode(head[156] ?? 0);
    const padded = size + ((block - (size % block)) % block);
    if (type === "L" || type === "K" || type === "x" || type === "g") {
      if (size > longestRecord) throw torn();
      const record = (await input.take(padded))?.subarray(0, size);
      if (record === undefined) throw torn();
      if (type === "L") long.path = untilNul(record);
      if (type === "K") long.leadsTo = untilNul(record);
      if (type === "x") long = { ...long, ...paxOf(record) };
      continue;
    }
    const { path: longPath, leadsTo: longLink, mtime = numberAt(head, 136, 12) } = long;
    long = {};
    const prefix = head.toString("latin1", 257, 262) === "ustar" && head[263] !== 0x20 ? text(head, 345, 155) : "";
    const short = text(head, 0, 100);
    const path = tame(longPath ?? (prefix === "" ? short : `${prefix}/${short}`));
    const leadsTo = longLink ?? text(head, 157, 100);
    const common = { path, mode: numberAt(head, 100, 8) & 0o777, mtime: Math.max(0, mtime) };
    if (type === "0" || type === "\0" || type === "7") {
      if (size <= small) {
        const content = await input.take(padded);
        if (content === undefined) throw torn();
        yield { ...common, type: "file", size, content: content.subarray(0, size) };
        continue;
      }
      const rest = { left: size };
      yield { ...common, type: "file", size, content: contentOf(input, rest) };
      await input.drop(rest.left + padded - size);
    } else if (type === "5") yield { ...common, type: "folder" };
    else if (type === "2") yield { ...common, type: "symlink", leadsTo };
    else if (type === "1") yield { ...common, type: "hardlink", leadsTo: tame(leadsTo) };
    else {
      skipped(path, "it is neither file, folder nor link");
      await input.drop(padded);
    }
  }
  // The writer must not be left with a pipe that nobody reads.
  await input.drain();
}

async function* contentOf(input: Bytes, rest: { left: number }): AsyncGenerator<Buffer> {
  while (rest.left > 0) {
    const bytes = await input.some(rest.left);
    if (bytes === undefined) throw torn();
    rest.left -= bytes.length;
    yield bytes;
  }
}

interface Bytes {
  /** So many; undefined: the stream ended before. */
  take(size: number): Promise<Buffer | undefined>;
  /** At least one and at most so many. */
  some(most: number): Promise<Buffer | undefined>;
  drop(size: number): Promise<void>;
  drain(): Promise<void>;
}

function bytesFrom(stream: AsyncIterable<Buffer>): Bytes {
  const source = stream[Symbol.asyncIterator]();
  let held: Buffer = Buffer.alloc(0);
  const more = async (): Promise<Buffer | undefined> => {
    const next = await source.next();
    return next.done === true ? undefined : next.value;
  };
  const some = async (most: number): Promise<Buffer | undefined> => {
    while (held.length === 0) {
      const next = await more();
      if (next === undefined) return undefined;
      held = next;
    }
    const bytes = held.subarray(0, most);
    held = held.subarray(bytes.length);
    return bytes;
  };
  return {
    some,
    async take(size) {
      if (held.length < size) {
        const parts = [held];
        let length = held.length;
        while (length < size) {
          const next = await more();
          if (next === undefined) return undefined;
          parts.push(next);
          length += next.length;
        }
        held = Buffer.concat(parts, length);
      }
      const bytes = held.subarray(0, size);
      held = held.subarray(size);
      return bytes;
    },
    async drop(size) {
      for (let left = size; left > 0;) {
        const bytes = await some(left);
        if (bytes === undefined) throw torn();
        left -= bytes.length;
      }
    },
    async drain() {
      while ((await more()) !== undefined);
    },
  };
}

/** `LENGTH key=value\n`, the length counting all of it. */
function paxOf(record: Buffer): { path?: string; leadsTo?: string; size?: number; mtime?: number } {
  const found: { path?: string; leadsTo?: string; size?: number; mtime?: number } = {};
  for (let at = 0; at < record.length;) {
    const space = record.indexOf(0x20, at);
    const length = Number(record.toString("latin1", at, space));
    if (space < 0 || !(length > 0)) break;
    const line = record.toString("utf8", space + 1, at + length - 1);
    const equals = line.indexOf("=");
    const [key, value] = [line.slice(0, equals), line.slice(equals + 1)];
    if (key === "path") found.path = value;
    if (key === "linkpath") found.leadsTo = value;
    if (key === "size") found.size = wholeNumber(value);
    if (key === "mtime") found.mtime = Math.floor(Number(value)) || 0;
    at += length;
  }
  return found;
}

function wholeNumber(text: string): number {
  const value = Number(text);
  if (!Number.isSafeInteger(value) || value < 0) throw torn();
  return value;
}

function numberAt(head: Buffer, at: number, width: number): number {
  if (((head[at] ?? 0) & 0x80) !== 0) {
    // Two's complement: times before 1970.
    let value = head[at] === 0xff ? -1 : (head[at] ?? 0) & 0x7f;
    for (let i = at + 1; i < at + width; i++) value = value * 256 + (head[i] ?? 0);
    if (!Number.isSafeInteger(value)) throw torn();
    return value;
  }
  const digits = head
    .toString("latin1", at, at + width)
    .replace(/[\0 ]+$/, "")
    .trim();
  const value = digits === "" ? 0 : Number.parseInt(digits, 8);
  if (!Number.isSafeInteger(value) || value < 0) throw torn();
  return value;
}

function checkSum(head: Buffer): void {
  let sum = 8 * 0x20;
  for (let i = 0; i < block; i++) if (i < 148 || i >= 156) sum += head[i] ?? 0;
  if (sum !== numberAt(head, 148, 8)) throw torn();
}

function text(head: Buffer, at: number, width: number): string {
  return untilNul(head.subarray(at, at + width));
}

function untilNul(bytes: Buffer): string {
  const end = bytes.indexOf(0);
  return bytes.toString("utf8", 0, end < 0 ? bytes.length : end);
}

/** An archive is what a stranger says: nothing of it may be put elsewhere than below its folder. */
function tame(path: string): string {
  const parts = path.split("/").filter((part) => part !== "" && part !== ".");
  if (path.startsWith("/") || parts.includes("..") || path.includes("\0"))
    throw new AmiError("run.failed", `${JSON.stringify(path)} would be put outside of where everything goes`);
  return parts.join("/");
}

function torn(): AmiError {
  return new AmiError("run.failed", "the stream of files ended too early, or is none");
}
