/** Known hosts: which key a host is known by. Reads what ssh reads (sshd(8), SSH_KNOWN_HOSTS FILE FORMAT), adds lines as ssh does. */
import { createHash, hash, randomBytes } from "node:crypto";
import { open } from "node:fs/promises";
import { dirname } from "node:path";
import { AmiError } from "../errors.ts";
import { makeFolder } from "../folder.ts";
import { cachedReader } from "./config/file-cache.ts";
import { isCertificate, readCertificate } from "./key/certificate.ts";
import { matchesHostList } from "./config/patterns.ts";

export interface KnownHostName {
  readonly host: string;
  readonly port: number;
  /** Looked up instead of host and port. */
  readonly hostKeyAlias?: string | undefined;
}

export interface KnownHostFiles {
  readonly userFiles: readonly string[];
  readonly globalFiles: readonly string[];
}

export interface HostKeyQuestion extends KnownHostName, KnownHostFiles {
  /** The address behind the name: a key revoked for it is refused too. */
  readonly address?: string | undefined;
  /** Raw, as it came over the wire. */
  readonly key: Buffer;
}

export interface HostKeyVerdict {
  /**
   * `changed`: other keys are known for this host, this one is not. `revoked`: marked so, whatever else is known.
   * `unknown`: no key is known.
   */
  readonly state: "known" | "unknown" | "changed" | "revoked";
  /** The line that decided. Absent when unknown. */
  readonly file?: string | undefined;
  readonly line?: number | undefined;
  /** Of every key known for the host, in the order of the files. */
  readonly knownFingerprints: readonly string[];
  /** Types of those keys, each once. */
  readonly keyTypes: readonly string[];
  /** A `@cert-authority` line speaks for the host. */
  readonly certAuthority?: { readonly file: string; readonly line: number } | undefined;
  /** Only when unknown: lines that give this very key to other names (`names` may be hashed). */
  readonly elsewhere: readonly { readonly file: string; readonly line: number; readonly names: string }[];
}

/**
 * Rejects with `config.invalid` when a file is there and cannot be read: it might hold the line that forbids the key.
 * Missing files and bad lines are passed over, as ssh does.
 */
export async function checkHostKey(question: HostKeyQuestion): Promise<HostKeyVerdict> {
  const files = readFiles(question);
  const [name, plainName] = namesOf(question);
  const here = entriesFor(files, name);
  const keys = here.filter((entry) => entry.marker === undefined);
  const authority = here.find((entry) => entry.marker === "@cert-authority");
  const common = {
    knownFingerprints: keys.map((entry) => fingerprint(entry.key)),
    keyTypes: [...new Set(keys.map((entry) => entry.type))],
    certAuthority: authority && { file: authority.file, line: authority.line },
    elsewhere: [],
  };

  const isKey = (entry: Entry): boolean => entry.key.equals(question.key);
  const address = question.address === undefined ? undefined : recordName(question.address, question.port);
  // Who revokes a certificate means its key, whatever certificate comes with it next.
  const revoked = [name, plainName, address]
    .flatMap((each) => revokedFor(files, each))
    .find((entry) => isKey(entry) || keyWithin(entry.key).equals(question.key));
  if (revoked) return { state: "revoked", file: revoked.file, line: revoked.line, ...common };

  const known = keys.find(isKey);
  if (known) return { state: "known", file: known.file, line: known.line, ...common };

  const type = keyType(question.key);
  const other = keys.find((entry) => entry.type === type) ?? keys[0];
  if (other) return { state: "changed", file: other.file, line: other.line, ...common };

  // ssh takes a key that is known for the same host on port 22; a different one there says nothing about this port.
  const withoutPort = plainName === undefined ? [] : entriesFor(files, plainName);
  const same = withoutPort.find((entry) => entry.marker === undefined && isKey(entry));
  if (same) {
    const { file, line } = same;
    return { state: "known", file, line, ...common, knownFingerprints: [fingerprint(question.key)], keyTypes: [type] };
  }
  const base64 = question.key.toString("base64");
  const elsewhere = files.flatMap(({ file, lines }) =>
    lines
      .filter((line) => line.marker === undefined && line.base64 === base64)
      .map(({ line, names }) => ({ file, line, names })),
  );
  return { state: "unknown", ...common, elsewhere };
}

/** The authorities whose certificates are believed for a host. As ssh, one of its name without the port counts. */
export async function certAuthorities(question: KnownHostName & KnownHostFiles): Promise<readonly Entry[]> {
  const files = readFiles(question);
  const names = namesOf(question).filter((name) => name !== undefined);
  return names.flatMap((name) => entriesFor(files, name)).filter((entry) => entry.marker === "@cert-authority");
}

/** Types of the keys known for a host, each once: those algorithms are to be offered first, so that the known key is shown. */
export async function knownKeyTypes(question: KnownHostName & KnownHostFiles): Promise<readonly string[]> {
  const files = readFiles(question);
  for (const name of namesOf(question)) {
    const keys = name === undefined ? [] : entriesFor(files, name).filter((entry) => entry.marker === undefined);
    if (keys.length > 0) return [...new Set(keys.map((entry) => entry.type))];
  }
  return [];
}

/** A line that speaks about a host. */
export interface HostKeyLine {
  readonly file: string;
  readonly line: number;
  readonly marker: "@revoked" | "@cert-authority" | undefined;
  /** As written, perhaps hashed. */
  readonly names: string;
  readonly type: string;
  readonly fingerprint: string;
}

/** Every line for a host, in the order of the files. */
export function hostKeyLines(question: KnownHostName & KnownHostFiles): readonly HostKeyLine[] {
  const [name] = namesOf(question);
  return entriesFor(readFiles(question), name).map(({ key, ...entry }) => ({
    ...entry,
    fingerprint: fingerprint(key),
  }));
}

export interface NewHostKey extends KnownHostName {
  /** Made when missing (0600), with its folder (0700). */
  readonly file: string;
  readonly key: Buffer;
  /** Write the name hashed, as HashKnownHosts says. */
  readonly hash: boolean;
}

/**
 * Adds one line in one write, so that two processes at once lose nothing. False: it was there already.
 * Rejects with `config.invalid` when the file cannot be written or the name could be read as a pattern.
 */
export async function addHostKey(entry: NewHostKey): Promise<boolean> {
  const [name] = namesOf(entry);
  const bare = entry.hostKeyAlias ?? entry.host;
  if (bare === "" || /[@?*#[\]|'"\\,!\s]/.test(bare)) {
    throw new AmiError("config.invalid", `${entry.file}: the name ${JSON.stringify(bare)} cannot be recorded`, {
      hint: "give the host a plain name with HostKeyAlias in the ssh config",
    });
  }
  const present = entriesFor(readFiles({ userFiles: [entry.file], globalFiles: [] }), name);
  if (present.some((known) => known.marker === undefined && known.key.equals(entry.key))) return false;
  const line = `${entry.hash ? hashName(name) : name} ${keyType(entry.key)} ${entry.key.toString("base64")}\n`;
  await appendKnownHosts(entry.file, line);
  return true;
}

/** Adds whole lines in one write; the file is made when missing (0600), with its folder (0700). */
export async function appendKnownHosts(file: string, lines: string): Promise<void> {
  try {
    makeFolder(dirname(file));
    const handle = await open(file, "a+", 0o600);
    try {
      const { size } = await handle.stat();
      const last = Buffer.alloc(1);
      const cutShort =
        size > 0 && (await handle.read(last, 0, 1, size - 1)).bytesRead === 1 && last.toString() !== "\n";
      await handle.write((cutShort ? "\n" : "") + lines);
    } finally {
      await handle.close();
    }
  } catch (error) {
    throw unusable(file, "written", error);
  }
}

/** As ssh shows it: `SHA256:` and base64 without padding. */
export function fingerprint(key: Buffer): string {
  return `SHA256:${createHash("sha256").update(key).digest("base64").replace(/=+$/, "")}`;
}

/** The type a raw key says it has: `ssh-ed25519`. Empty when it is no key. */
export function keyType(key: Buffer): string {
  if (key.length < 4) return "";
  const length = key.readUInt32BE(0);
  return length > 64 || key.length < 4 + length ? "" : key.toString("latin1", 4, 4 + length);
}

interface KnownHostsFile {
  readonly file: string;
  readonly lines: readonly Line[];
}

/** A line whose key has not been decoded yet: most lines are about other hosts. */
export interface Line {
  readonly line: number;
  readonly marker: "@revoked" | "@cert-authority" | undefined;
  readonly names: string;
  readonly hashed: { readonly salt: Buffer; readonly hash: Buffer } | undefined;
  readonly type: string;
  readonly base64: string;
}

export interface Entry {
  readonly file: string;
  readonly line: number;
  readonly marker: "@revoked" | "@cert-authority" | undefined;
  readonly names: string;
  readonly type: string;
  readonly key: Buffer;
}

/** Comments and bad lines are passed over. */
export function parseKnownHosts(text: string): Line[] {
  const lines: Line[] = [];
  for (const [index, row] of text.split("\n").entries()) {
    const words = row.split(/[ \t\r]+/).filter((word) => word !== "");
    if (words[0] === undefined || words[0].startsWith("#")) continue;
    const marker = words[0] === "@revoked" || words[0] === "@cert-authority" ? words[0] : undefined;
    if (marker === undefined && words[0].startsWith("@")) continue;
    const [names, type, base64] = marker === undefined ? words : words.slice(1);
    if (names === undefined || type === undefined || base64 === undefined) continue;
    if (!/^[A-Za-z0-9+/]+={0,2}$/.test(base64)) continue;
    lines.push({ line: index + 1, marker, names, hashed: readHashed(names), type, base64 });
  }
  return lines;
}

const readKnownHosts = cachedReader(parseKnownHosts);

function readFiles({ userFiles, globalFiles }: KnownHostFiles): KnownHostsFile[] {
  return [...userFiles, ...globalFiles].flatMap((file) => {
    try {
      const found = readKnownHosts(file);
      return found === undefined ? [] : [{ file, lines: found.value }];
    } catch (error) {
      throw unusable(file, "read", error);
    }
  });
}

function entriesFor(files: readonly KnownHostsFile[], name: string): Entry[] {
  return files.flatMap(({ file, lines }) => linesFor(lines, name).flatMap((line) => readEntry(line, file) ?? []));
}

/** What a certificate is about; any other key is itself. */
function keyWithin(key: Buffer): Buffer {
  try {
    return isCertificate(key) ? readCertificate(key).key.blob : key;
  } catch {
    return key;
  }
}

/** Few lines are of this kind, so it costs little to look under every name. */
function revokedFor(files: readonly KnownHostsFile[], name: string | undefined): Entry[] {
  if (name === undefined) return [];
  return files.flatMap(({ file, lines }) =>
    lines
      .filter((line) => line.marker === "@revoked" && namesMatch(line, name))
      .flatMap((line) => readEntry(line, file) ?? []),
  );
}

/** A host is looked up several times for one connection, and every hashed line costs a digest. */
const found = new WeakMap<readonly Line[], Map<string, readonly Line[]>>();

function linesFor(lines: readonly Line[], name: string): readonly Line[] {
  const known = found.get(lines) ?? new Map<string, readonly Line[]>();
  found.set(lines, known);
  const matches = known.get(name) ?? lines.filter((line) => namesMatch(line, name));
  known.set(name, matches);
  return matches;
}

/** undefined: the bytes are not a whole key of the type the line says. */
export function readEntry({ line, marker, names, type, base64 }: Line, file: string): Entry | undefined {
  const key = Buffer.from(base64, "base64");
  return keyType(key) === type && isWhole(key) ? { file, line, marker, names, type, key } : undefined;
}

/** Every key is a row of byte strings, each after its length; a certificate has numbers among them. */
function isWhole(key: Buffer): boolean {
  if (isCertificate(key)) return keyWithin(key) !== key;
  let at = 0;
  while (at + 4 <= key.length) at += 4 + key.readUInt32BE(at);
  return at === key.length;
}

export function namesMatch({ names, hashed }: Line, name: string): boolean {
  if (!names.startsWith("|")) return matchesHostList(name, names);
  return hashed !== undefined && hmacSha1(hashed.salt, name).equals(hashed.hash);
}

/** `|1|salt|hash`; undefined: another kind of hash, or none. */
function readHashed(names: string): Line["hashed"] {
  const [, version, salt, digest] = names.startsWith("|") ? names.split("|") : [];
  if (version !== "1" || salt === undefined || digest === undefined) return undefined;
  const bytes = { salt: Buffer.from(salt, "base64"), hash: Buffer.from(digest, "base64") };
  return bytes.salt.length === 20 && bytes.hash.length === 20 ? bytes : undefined;
}

export function hashName(name: string): string {
  const salt = randomBytes(20);
  return `|1|${salt.toString("base64")}|${hmacSha1(salt, name).toString("base64")}`;
}

/** Of one-shot digests: createHmac takes five times as long, and a fleet computes hundreds of thousands of them. */
function hmacSha1(key: Buffer, text: string): Buffer {
  const inner = Buffer.alloc(64, 0x36);
  const outer = Buffer.alloc(64, 0x5c);
  for (const [i, byte] of key.entries()) {
    inner[i] = byte ^ 0x36;
    outer[i] = byte ^ 0x5c;
  }
  const first = hash("sha1", Buffer.concat([inner, Buffer.from(text)]), "buffer");
  return hash("sha1", Buffer.concat([outer, first]), "buffer");
}

/** The name to look up, and the one to fall back on. */
function namesOf({ host, port, hostKeyAlias }: KnownHostName): [name: string, withoutPort: string | undefined] {
  if (hostKeyAlias !== undefined) return [hostKeyAlias.toLowerCase(), undefined];
  const name = recordName(host, port);
  return [name, port === 22 ? undefined : host.toLowerCase()];
}

/** As it stands in the file: `host`, or `[host]:port`. */
export function recordName(host: string, port: number): string {
  return port === 22 ? host.toLowerCase() : `[${host.toLowerCase()}]:${port}`;
}

export function unusable(file: string, how: "read" | "written", error: unknown): AmiError {
  const why = error instanceof Error ? error.message : String(error);
  return new AmiError("config.invalid", `known hosts file ${file} cannot be ${how}: ${why}`, {
    hint: "check its owner and mode, or name another one with UserKnownHostsFile in the ssh config",
    cause: error,
  });
}
