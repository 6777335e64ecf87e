/** Lines: the text of an authorized_keys file, and how it changes. Pure. */
import { Buffer } from "node:buffer";

export interface KeyLine {
  /** 1 for the first. */
  readonly line: number;
  /** As it stands, without its end. */
  readonly text: string;
  /** `from="10.0.0.0/8",no-pty`; empty when there are none. */
  readonly options: string;
  readonly type: string;
  readonly blob: Buffer;
  readonly comment: string;
}

/** The keys in the text; comments and lines that sshd would pass over are not among them. */
export function readKeyLines(text: string): KeyLine[] {
  return text.split("\n").flatMap((row, index) => readKeyLine(row, index + 1) ?? []);
}

export function readKeyLine(row: string, line = 1): KeyLine | undefined {
  const text = row.replace(/\r$/, "");
  const bare = text.trim();
  if (bare === "" || bare.startsWith("#")) return undefined;
  const plain = readPublic(bare);
  if (plain !== undefined) return { line, text, options: "", ...plain };
  const options = leadingOptions(bare);
  const rest = options === "" ? undefined : readPublic(bare.slice(options.length).trimStart());
  return rest && { line, text, options, ...rest };
}

/** Up to the first blank that stands in no quotes. */
function leadingOptions(text: string): string {
  return /^(?:"(?:\\"|[^"])*"|[^\s"])+(?=\s)/.exec(text)?.[0] ?? "";
}

function readPublic(text: string): Pick<KeyLine, "type" | "blob" | "comment"> | undefined {
  const [, type, base64, comment = ""] = /^([a-z0-9@.-]+)\s+([A-Za-z0-9+/]+=*)(?:\s+(.*))?$/.exec(text) ?? [];
  if (type === undefined || base64 === undefined) return undefined;
  const blob = Buffer.from(base64, "base64");
  // The type is told a second time within the key.
  if (blob.length < 4 || blob.toString("latin1", 4, 4 + blob.readUInt32BE(0)) !== type) return undefined;
  return { type, blob, comment };
}

/** The text with the line at its end. The same text: that key is there already, whatever its options. */
export function withKey(text: string, line: string): string {
  const key = readKeyLine(line);
  if (key === undefined) throw new Error(`no line of authorized_keys: ${line}`);
  if (readKeyLines(text).some((known) => known.blob.equals(key.blob))) return text;
  return `${text}${text === "" || text.endsWith("\n") ? "" : "\n"}${line}\n`;
}

/** The text without any line of that key; all else stays as it is, byte for byte. */
export function withoutKey(text: string, blob: Buffer): string {
  const gone = new Set(readKeyLines(text).flatMap((key) => (key.blob.equals(blob) ? [key.line] : [])));
  if (gone.size === 0) return text;
  return text
    .split("\n")
    .filter((_row, index) => !gone.has(index + 1))
    .join("\n");
}

/** The text with the new key wherever the old one stands, under the old one's options; the old one stays. */
export function withSuccessor(text: string, old: Buffer, line: string): string {
  const options = [...new Set(readKeyLines(text).flatMap((key) => (key.blob.equals(old) ? [key.options] : [])))];
  const successor = readKeyLine(line);
  if (successor === undefined) throw new Error(`no line of authorized_keys: ${line}`);
  const known = new Set(readKeyLines(text).flatMap((key) => (key.blob.equals(successor.blob) ? [key.options] : [])));
  const missing = options.filter((option) => !known.has(option));
  const rows = missing.map((option) => `${option === "" ? "" : `${option} `}${line}\n`);
  return rows.length === 0 ? text : `${text}${text === "" || text.endsWith("\n") ? "" : "\n"}${rows.join("")}`;
}
