/** Files: where the lines of the audit log lie: older ones in files named by their last line, the newest in `audit.jsonl`. */
import { constants, openSync, readFileSync, readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { makeFolder } from "../../folder.ts";
import { systemCode } from "../../unreadable.ts";
import type { Link } from "./line.ts";

export interface AuditFiles {
  readonly folder: string;
  /** What is written to. */
  readonly current: string;
  /** The last line that was written, kept apart so that a tail that is cut off is missed. */
  readonly head: string;
  readonly lock: string;
}

export function auditFiles(folder: string): AuditFiles {
  return {
    folder,
    current: join(folder, "audit.jsonl"),
    head: join(folder, "audit.head"),
    lock: join(folder, "audit.lock"),
  };
}

/** Where others may write, they could lead us elsewhere, and what stands there could be theirs. */
export function makeAuditFolder({ folder }: AuditFiles): void {
  makeFolder(folder);
  if (process.platform !== "win32" && (statSync(folder).mode & 0o022) !== 0)
    throw new Error(`others may write in ${folder}; chmod 700 it`);
}

/** For reading and writing, made when it is missing. A link that has its name is not followed. */
export function openOwn(file: string, more = 0): number {
  try {
    return openSync(file, constants.O_RDWR | constants.O_CREAT | (constants.O_NOFOLLOW ?? 0) | more, 0o600);
  } catch (cause) {
    throw systemCode(cause) === "ELOOP" ? new Error(`${file} is a link, and is not followed`, { cause }) : cause;
  }
}

/** What the current file is called when it is full. */
export function fullName({ folder }: AuditFiles, last: Link): string {
  return join(folder, `audit-${String(last.seq).padStart(12, "0")}.jsonl`);
}

/** In the order of their lines. */
export function existingFiles(files: AuditFiles): string[] {
  let names: string[];
  try {
    names = readdirSync(files.folder);
  } catch (error) {
    if (systemCode(error) === "ENOENT") return [];
    throw error;
  }
  const full = names.filter((name) => /^audit-\d+\.jsonl$/.test(name)).sort();
  return [...full.map((name) => join(files.folder, name)), ...(names.includes("audit.jsonl") ? [files.current] : [])];
}

/** undefined: it is missing, or is none. */
export function readHead(files: AuditFiles): Link | undefined {
  let text: string;
  try {
    text = readFileSync(files.head, "utf8");
  } catch (error) {
    if (systemCode(error) !== "ENOENT") throw error;
    return undefined;
  }
  const [, seq, hash] = /^(\d+) ([0-9a-f]{64})\n/.exec(text) ?? [];
  return seq === undefined || hash === undefined ? undefined : { seq: Number(seq), hash };
}

/** Always of one length, so that it is written over in place. */
export function headText({ seq, hash }: Link): string {
  return `${String(seq).padStart(12, "0")} ${hash}\n`;
}
