/** Known hosts edit: removes and hashes names in a known_hosts file as ssh-keygen -R and -H do, and lists what is in it. */
import { Buffer } from "node:buffer";
import { readFile, stat } from "node:fs/promises";
import { bitsOf } from "./key/halves.ts";
import { replaceFile } from "./key/replace.ts";
import { type Entry, fingerprint, hashName, namesMatch, parseKnownHosts, readEntry, unusable } from "./known-hosts.ts";

/** The text without what is known of a host. Lines with a marker stay: they forbid keys, or name who certifies them. */
export function withoutHost(
  text: string,
  name: string,
): { readonly text: string; readonly removed: readonly number[] } {
  const found = parseKnownHosts(text).filter((line) => line.marker === undefined && namesMatch(line, name));
  const removed = found.map(({ line }) => line);
  if (removed.length === 0) return { text, removed };
  return {
    text: rowsOf(text)
      .flatMap((row, index) => (removed.includes(index + 1) ? [] : [row]))
      .join(""),
    removed,
  };
}

/**
 * The text with every name hashed, one line for each name. Left as they are: names with wildcards (a hash matches one
 * name only) and lines with a marker.
 */
export function withHashes(text: string): {
  readonly text: string;
  readonly hashed: number;
  readonly left: readonly number[];
} {
  const left: number[] = [];
  let hashed = 0;
  const lines = new Map(parseKnownHosts(text).map((line) => [line.line, line]));
  const rows = rowsOf(text).map((row, index) => {
    const line = lines.get(index + 1);
    if (line === undefined || line.names.startsWith("|")) return row;
    if (line.marker !== undefined || /[*?!]/.test(line.names)) {
      left.push(line.line);
      return row;
    }
    const rest = row.replace(/^[ \t]*[^ \t]+[ \t]+/, "").replace(/\r?\n$/, "");
    const names = line.names.split(",").filter((name) => name !== "");
    hashed += names.length;
    return names.map((name) => `${hashName(name.toLowerCase())} ${rest}\n`).join("");
  });
  return { text: rows.join(""), hashed, left };
}

/** With their ends. */
function rowsOf(text: string): readonly string[] {
  return text.match(/[^\n]*\n|[^\n]+$/g) ?? [];
}

/**
 * Changes a file whole or not at all, with what it was beside it as FILE.old. False: there is nothing to change, or no
 * file. Rejects with `config.invalid`.
 */
export async function editKnownHosts(file: string, change: (text: string) => string): Promise<boolean> {
  // An old comment may be no UTF-8, and stays what it is.
  const before = await readText(file, "latin1");
  if (before === undefined) return false;
  const after = change(before);
  if (after === before) return false;
  try {
    const { mode } = await stat(file);
    await replaceFile(`${file}.old`, Buffer.from(before, "latin1"), mode & 0o777);
    await replaceFile(file, Buffer.from(after, "latin1"), mode & 0o777);
  } catch (error) {
    throw unusable(file, "written", error);
  }
  return true;
}

/** undefined: there is none. Rejects with `config.invalid`. */
export async function readText(file: string, encoding: "utf8" | "latin1" = "utf8"): Promise<string | undefined> {
  try {
    return await readFile(file, encoding);
  } catch (error) {
    if (error instanceof Error && "code" in error && (error.code === "ENOENT" || error.code === "ENOTDIR"))
      return undefined;
    throw unusable(file, "read", error);
  }
}

export interface ListedHost {
  readonly file: string;
  readonly line: number;
  readonly marker?: "@revoked" | "@cert-authority" | undefined;
  /** As they stand; a hash tells nothing about its name. */
  readonly names: string;
  readonly type: string;
  readonly bits?: number | undefined;
  readonly fingerprint: string;
  /** `FILE:LINE` of an earlier line that says the same. */
  readonly repeats?: string | undefined;
  /** `FILE:LINE` of an earlier line that gives one of the names another key of this type. */
  readonly differs?: string | undefined;
}

/** `name`: only lines that speak of this host; hashed names are found too. Files that are not there are passed over. */
export async function listKnownHosts(files: readonly string[], name?: string): Promise<ListedHost[]> {
  const entries: Entry[] = [];
  for (const file of files) {
    const lines = parseKnownHosts((await readText(file)) ?? "");
    const wanted = lines.filter((line) => name === undefined || namesMatch(line, name));
    entries.push(...wanted.flatMap((line) => readEntry(line, file) ?? []));
  }
  return entries.map((entry, index) => {
    const { file, line, marker, names, type, key } = entry;
    const before = entries.slice(0, index).filter((other) => other.marker === marker && isAbout(other, entry, name));
    const same = before.find((other) => other.key.equals(key));
    const other = marker === undefined ? before.find((one) => one.type === type && !one.key.equals(key)) : undefined;
    return {
      file,
      line,
      ...(marker === undefined ? {} : { marker }),
      names,
      type,
      ...(/-cert-|^sk-/.test(type) ? {} : { bits: bitsOf(key) }),
      fingerprint: fingerprint(key),
      ...(same === undefined ? {} : { repeats: `${same.file}:${same.line}` }),
      ...(other === undefined ? {} : { differs: `${other.file}:${other.line}` }),
    };
  });
}

/** Do two lines share a name, as far as can be seen? When one host was asked for, all of them do. */
function isAbout(one: Entry, other: Entry, name: string | undefined): boolean {
  if (name !== undefined) return true;
  const names = new Set(one.names.toLowerCase().split(","));
  return other.names
    .toLowerCase()
    .split(",")
    .some((each) => names.has(each));
}
