/** Csv: lines of the audit log as rows of a table (RFC 4180). Pure. */
import { quoteArgv } from "../../argv.ts";
import type { AuditLine } from "./line.ts";
import { hostsOf } from "./lines.ts";

const columns = ["seq", "at", "run", "user", "verb", "kind", "hosts", "login", "as", "what", "outcome", "ms", "hash"];

export const csvHead = `${columns.join(",")}\r\n`;

export function csvRow(line: AuditLine): string {
  const { seq, at, run, user, verb, kind, hash } = line;
  const text = (key: string): string => {
    const value = line[key];
    return typeof value === "string" || typeof value === "number" ? String(value) : "";
  };
  const argv = Array.isArray(line["argv"]) ? quoteArgv(line["argv"].map(String)) : "";
  const what = argv || text("title") || text("does") || text("file") || text("why");
  const params = kind === "start" ? JSON.stringify(line["params"]) : "";
  const outcome = text("error") || text("outcome") || text("exit");
  const hosts = hostsOf(line).join(" ");
  return `${[
    seq,
    at,
    run,
    user,
    verb,
    kind,
    hosts,
    text("login"),
    text("as"),
    what || params,
    outcome,
    text("ms"),
    hash,
  ]
    .map((cell) => field(String(cell)))
    .join(",")}\r\n`;
}

/** A table program takes what begins so for a formula. */
function field(text: string): string {
  const tame = /^[=+\-@\t\r]/.test(text) ? `'${text}` : text;
  return /[",\r\n]/.test(tame) ? `"${tame.replaceAll('"', '""')}"` : tame;
}
