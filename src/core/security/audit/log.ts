/**
 * Log: appends to the audit log. Each line is written before what it tells of may go on, and reaches the disk beside
 * that; writers of several processes take turns.
 */
import { createHash } from "node:crypto";
import {
  closeSync,
  constants,
  fstatSync,
  fsync,
  openSync,
  readFileSync,
  readSync,
  renameSync,
  writeSync,
} from "node:fs";
import { promisify } from "node:util";
import { type AuditFiles, existingFiles, fullName, headText, makeAuditFolder, openOwn, readHead } from "./files.ts";
import { type Entry, type Link, type Speaker, beginning, readLine, sealLine } from "./line.ts";
import { withTurn } from "./turn.ts";

export interface AuditLog {
  /** Resolves when it is written (not yet on the disk). Rejects with what the system says. */
  append(...entries: readonly Entry[]): Promise<void>;
  /** Resolves when all of it is on the disk. Rejects with what the system said of any of it. */
  close(): Promise<void>;
}

/** Bytes; then another file is begun. */
const fileLimit = 16 * 1024 * 1024;

/** Made at the first line: a run that does nothing leaves nothing. */
export function openAuditLog(files: AuditFiles, speaker: Speaker, limit = fileLimit): AuditLog {
  let last: Promise<void> = Promise.resolve();
  const syncs: Promise<void>[] = [];
  return {
    append(...entries) {
      const at = new Date();
      const turn = last.then(() => {
        makeAuditFolder(files);
        return withTurn(files.lock, () => {
          const synced = sync(write(files, speaker, at, entries, limit));
          synced.catch(() => undefined);
          syncs.push(synced);
        });
      });
      last = turn.catch(() => undefined);
      return turn;
    },
    async close() {
      await last;
      await Promise.all(syncs);
    },
  };
}

/** Descriptor of what is to be synced and closed. */
function write(files: AuditFiles, speaker: Speaker, at: Date, entries: readonly Entry[], limit: number): number {
  let fd = openOwn(files.current, constants.O_APPEND);
  try {
    const { size } = fstatSync(fd);
    const { link, lead, told } = goOnFrom(files, fd, size);
    // From the very first line on, so that none can be missed for want of a head.
    if (link.seq === 0 && told.length === 0) writeHead(files, beginning);
    let text = lead;
    let last = link;
    for (const entry of [...told, ...entries]) {
      const sealed = sealLine(last, at, speaker, entry);
      text += `${sealed.text}\n`;
      last = sealed.link;
    }
    if (size > 0 && told.length === 0 && size + text.length > limit) {
      renameSync(files.current, fullName(files, link));
      closeSync(fd);
      fd = openOwn(files.current, constants.O_APPEND);
    }
    const bytes = Buffer.from(text);
    for (let done = 0; done < bytes.length;) done += writeSync(fd, bytes, done);
    writeHead(files, last);
    return fd;
  } catch (error) {
    closeSync(fd);
    throw error;
  }
}

function writeHead(files: AuditFiles, last: Link): void {
  const fd = openOwn(files.head);
  try {
    writeSync(fd, headText(last), 0);
  } finally {
    closeSync(fd);
  }
}

const syncFile = promisify(fsync);

async function sync(fd: number): Promise<void> {
  try {
    await syncFile(fd);
  } finally {
    closeSync(fd);
  }
}

/** The line to go on from, what must be written before the next, and what is to be told of what was found. */
function goOnFrom(files: AuditFiles, fd: number, size: number): { link: Link; lead: string; told: Entry[] } {
  const head = readHead(files);
  const { line, rest } = lastLine(fd, size) ?? lastLineOfFull(files) ?? { line: undefined, rest: Buffer.alloc(0) };
  const read = line === undefined ? undefined : readLine(line);
  const found: Link | undefined =
    line === undefined ? beginning : read === undefined ? undefined : { seq: read.seq, hash: read.hash };
  const lead = rest.length === 0 ? "" : "\n";
  const torn: Entry[] =
    rest.length === 0
      ? []
      : [{ kind: "torn", bytes: rest.length, sha256: createHash("sha256").update(rest).digest("hex") }];
  const broken = (link: Link, why: string) => ({ link, lead, told: [...torn, { kind: "broken", why } as const] });
  if (found === undefined) return broken(head ?? beginning, "the last line was none of ours");
  if (head === undefined) {
    if (found.seq === 0) return { link: found, lead, told: torn };
    return broken(found, "the head was missing");
  }
  if (found.seq === head.seq && found.hash === head.hash) return { link: found, lead, told: torn };
  // A writer that is ended between its two writes leaves a head that is behind; it is in the chain all the same.
  if (found.seq > head.seq) {
    if (hashAt(files, head.seq) === head.hash) return { link: found, lead, told: torn };
    return broken(found, `line ${head.seq} was another than the one that was written`);
  }
  return broken(head, `the last line was ${found.seq} and should have been ${head.seq}`);
}

/** The last whole line, and the bytes after it. undefined: the file is empty. */
function lastLine(fd: number, size: number): { line: string | undefined; rest: Buffer } | undefined {
  if (size === 0) return undefined;
  for (let length = Math.min(size, 8192); ; length = Math.min(size, length * 8)) {
    const tail = Buffer.alloc(length);
    readSync(fd, tail, 0, length, size - length);
    const end = tail.lastIndexOf(0x0a);
    const start = end <= 0 ? -1 : tail.lastIndexOf(0x0a, end - 1);
    const isWhole = start >= 0 || length === size;
    if (!isWhole) continue;
    const line = end < 0 ? undefined : tail.subarray(start + 1, end).toString("utf8");
    return { line, rest: tail.subarray(end + 1) };
  }
}

/** Of a line that stands near the end. Only asked after a crash, so it may read a whole file. */
function hashAt(files: AuditFiles, seq: number): string | undefined {
  if (seq === 0) return beginning.hash;
  for (const file of existingFiles(files).slice(-2).toReversed()) {
    const texts = readFileSync(file, "utf8").split("\n");
    const text = texts.find((one) => one.includes(`"seq":${seq},`) && readLine(one)?.seq === seq);
    if (text !== undefined) return readLine(text)?.hash;
  }
  return undefined;
}

/** The current file was not begun yet. */
function lastLineOfFull(files: AuditFiles): { line: string | undefined; rest: Buffer } | undefined {
  const full = existingFiles(files)
    .filter((file) => file !== files.current)
    .at(-1);
  if (full === undefined) return undefined;
  const fd = openSync(full, "r");
  try {
    return lastLine(fd, fstatSync(fd).size);
  } finally {
    closeSync(fd);
  }
}
