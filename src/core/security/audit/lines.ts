/** Lines: of the audit log's files, one after the other, without holding a file in memory. */
import { createReadStream } from "node:fs";
import { type AuditFiles, existingFiles } from "./files.ts";
import { type AuditLine, readLine } from "./line.ts";

export interface RawLine {
  readonly file: string;
  /** From 1. */
  readonly line: number;
  readonly bytes: Buffer;
  /** false: no line break ends it. */
  readonly isWhole: boolean;
}

export async function* readLines(paths: readonly string[]): AsyncGenerator<RawLine> {
  for (const file of paths) {
    let line = 0;
    let rest: Buffer = Buffer.alloc(0);
    for await (const chunk of createReadStream(file, { highWaterMark: 256 * 1024 }) as AsyncIterable<Buffer>) {
      const bytes = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
      let start = 0;
      for (let end = bytes.indexOf(0x0a); end >= 0; end = bytes.indexOf(0x0a, start)) {
        yield { file, line: ++line, bytes: bytes.subarray(start, end), isWhole: true };
        start = end + 1;
      }
      rest = bytes.subarray(start);
    }
    if (rest.length > 0) yield { file, line: line + 1, bytes: rest, isWhole: false };
  }
}

export interface AuditFilter {
  readonly host?: string | undefined;
  readonly verb?: string | undefined;
  readonly user?: string | undefined;
  /** Milliseconds since 1970. */
  readonly since?: number | undefined;
}

/** Lines that can be read and pass the filter; those of other kinds are for `verifyAudit` to find. */
export async function* auditLines(files: AuditFiles, filter: AuditFilter): AsyncGenerator<AuditLine> {
  for await (const { bytes } of readLines(existingFiles(files))) {
    const line = readLine(bytes.toString("utf8"));
    if (line !== undefined && passes(line, filter)) yield line;
  }
}

export function hostsOf(line: AuditLine): readonly string[] {
  const { host, hosts } = line;
  if (typeof host === "string") return [host];
  return Array.isArray(hosts) ? hosts.filter((one) => typeof one === "string") : [];
}

function passes(line: AuditLine, { host, verb, user, since }: AuditFilter): boolean {
  return (
    (host === undefined || hostsOf(line).includes(host)) &&
    (verb === undefined || line.verb === verb || line.verb.startsWith(`${verb} `)) &&
    (user === undefined || line.user === user) &&
    (since === undefined || Date.parse(line.at) >= since)
  );
}
