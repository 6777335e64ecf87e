/** Verify: follows the chain of the audit log from its first line to its head, and says where it does not hold. */
import { isUtf8 } from "node:buffer";
import { createHash } from "node:crypto";
import { existingFiles, readHead, type AuditFiles } from "./files.ts";
import { type Link, beginning, isSealed, readLine } from "./line.ts";
import { readLines } from "./lines.ts";

export interface Finding {
  readonly file: string;
  /** 0: the file as a whole. */
  readonly line: number;
  readonly what: string;
}

export interface Verified {
  readonly lines: number;
  readonly files: readonly string[];
  /** The last line that was read; seq 0: there is none. */
  readonly last: Link;
  /** What should not be: somebody altered it, or the disk did. */
  readonly problems: readonly Finding[];
  /** What a crash or a power failure leaves. */
  readonly notes: readonly Finding[];
}

/** `known`: links that were written down elsewhere, the beginning of the hash at least. Rejects with what the system says of a file it cannot read. */
export async function verifyAudit(files: AuditFiles, known: readonly Link[] = []): Promise<Verified> {
  for (;;) {
    const paths = existingFiles(files);
    const verified = await follow(files, paths, known);
    // A writer that began another file meanwhile took one from under our eyes.
    if (existingFiles(files).length === paths.length) return verified;
  }
}

async function follow(files: AuditFiles, paths: readonly string[], known: readonly Link[]): Promise<Verified> {
  const problems: Finding[] = [];
  const notes: Finding[] = [];
  // Before the lines: those that are written meanwhile are ahead of it, and never behind.
  const head = readHead(files);
  let headHash = beginning.hash;
  const sought = new Map(known.map((link) => [link.seq, link.hash]));
  let lines = 0;
  let last = beginning;
  /** Half a line, which the next line must own up to. */
  let torn: { readonly at: Finding; readonly bytes: Buffer } | undefined;
  for await (const { file, line, bytes, isWhole } of readLines(paths)) {
    const problem = (what: string): void => void problems.push({ file, line, what });
    // Bytes that are no text would read like those of a character that stands for them.
    const read = isUtf8(bytes) ? readLine(bytes.toString("utf8")) : undefined;
    if (read === undefined || !isWhole) {
      if (torn !== undefined) problems.push(torn.at);
      torn = { at: { file, line, what: "is no line of the log, or was altered" }, bytes };
      continue;
    }
    lines++;
    if (torn !== undefined) {
      const sha256 = createHash("sha256").update(torn.bytes).digest("hex");
      if (read.kind === "torn" && read["sha256"] === sha256)
        notes.push({ ...torn.at, what: "was broken off by a crash" });
      else problems.push(torn.at);
      torn = undefined;
    } else if (read.kind === "torn") problem(`the half of a line that line ${read.seq} tells of is missing`);
    if (!isSealed(read)) problem(`line ${read.seq} was altered: its hash is another`);
    if (read.seq !== last.seq + 1) problem(orderText(read.seq, last.seq));
    else if (read.prev !== last.hash) problem(`line ${read.seq} does not follow from the line before it`);
    if (read.kind === "broken") problem(`written after lines had been lost: ${String(read["why"])}`);
    const noted = sought.get(read.seq);
    if (noted !== undefined && !read.hash.startsWith(noted))
      problem(`line ${read.seq} is another than the one that was noted`);
    sought.delete(read.seq);
    if (read.seq === head?.seq) headHash = read.hash;
    last = { seq: read.seq, hash: read.hash };
  }
  const end = paths.at(-1) ?? files.current;
  if (torn !== undefined) {
    const isCrash = head !== undefined && head.seq <= last.seq;
    if (isCrash) notes.push({ ...torn.at, what: "is half a line: its writer was ended, or writes it right now" });
    else problems.push(torn.at);
  }
  const whole = { file: end, line: 0 };
  if (head === undefined && last.seq === 0 && problems.length === 0)
    return { lines, files: paths, last, problems, notes };
  if (head === undefined) problems.push({ file: files.head, line: 0, what: "is missing, or is no head" });
  else if (head.seq > last.seq)
    problems.push({ ...whole, what: `${countText(head.seq - last.seq)} cut off at the end: the last was ${head.seq}` });
  else if (head.hash !== headHash)
    problems.push({ ...whole, what: `line ${head.seq} is another than the one that was written` });
  else if (head.seq < last.seq)
    notes.push({
      ...whole,
      what: `the head is ${last.seq - head.seq} behind: a writer was ended, or writes right now`,
    });
  for (const seq of sought.keys()) problems.push({ ...whole, what: `line ${seq}, which was noted, is not there` });
  return { lines, files: paths, last, problems, notes };
}

function orderText(seq: number, before: number): string {
  if (seq > before + 1) return `${countText(seq - before - 1)} missing before line ${seq}`;
  return `line ${seq} stands after line ${before}: moved, inserted or repeated`;
}

function countText(count: number): string {
  return count === 1 ? "one line is" : `${count} lines are`;
}
