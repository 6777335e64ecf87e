/** Keys: private key files, in every format OpenSSH writes, with the care for file modes that ssh takes. */
import { Buffer } from "node:buffer";
import { type KeyObject, createPrivateKey, sign as signWith } from "node:crypto";
import { readFile, stat } from "node:fs/promises";
import type { Secret } from "../secret.ts";
import { systemCode } from "../unreadable.ts";
import { positive, wire } from "./wire.ts";

/** What a key file turned out to be. Paths are absolute; `type` and `blob` are those of the public half. */
export type KeyFile =
  | { readonly state: "missing"; readonly path: string }
  /** Not usable, and why, in words that name the path and what to do. */
  | { readonly state: "unusable"; readonly path: string; readonly why: string }
  /** Only a public key: usable with an agent that holds the private half. */
  | ({ readonly state: "public"; readonly path: string } & PublicKey)
  | ({ readonly state: "ready"; readonly path: string } & PrivateKey)
  /** Encrypted. The public half is undefined when neither the file nor a `.pub` beside it tells. */
  | {
      readonly state: "locked";
      readonly path: string;
      readonly public: PublicKey | undefined;
      /** Undefined: wrong passphrase. Throws, in words, for what no passphrase would cure. */
      unlock(passphrase: Secret): Promise<PrivateKey | undefined>;
    };

export interface PublicKey {
  readonly type: string;
  /** As it goes over the wire. */
  readonly blob: Buffer;
}

export interface PrivateKey extends PublicKey {
  /** `hash` matters for RSA only, where without it SHA-1 is meant. ECDSA signatures are DER, as ssh2 takes them. */
  sign(data: Buffer, hash: "sha256" | "sha512" | undefined): Buffer;
  /** The key itself: to hand it to an agent, or to write it down anew. */
  object(): KeyObject;
}

/** Never rejects: a file that cannot be used says why. */
export async function readKeyFile(path: string): Promise<KeyFile> {
  try {
    const [info, bytes] = await Promise.all([stat(path), readFile(path)]);
    const text = bytes.toString("latin1");
    const publicOnly = readPublicLine(text);
    if (publicOnly !== undefined) return { state: "public", path, ...publicOnly };
    // As ssh: a key of ours that others may read is no secret and is refused; Windows has no such modes.
    if (process.platform !== "win32" && info.uid === process.getuid?.() && (info.mode & 0o077) !== 0) {
      const mode = (info.mode & 0o777).toString(8).padStart(4, "0");
      return { state: "unusable", path, why: `${path} has mode ${mode}, so others may read it: chmod 600 ${path}` };
    }
    if (isLocked(text)) {
      const open = readPublicHalf(text) ?? readPublicLine(await readFile(`${path}.pub`, "latin1").catch(() => ""));
      return { state: "locked", path, public: open, unlock: (passphrase) => unlock(path, bytes, passphrase) };
    }
    return { state: "ready", path, ...(await parsePrivate(path, bytes, undefined)) };
  } catch (error) {
    if (systemCode(error) === "ENOENT" || systemCode(error) === "ENOTDIR") return { state: "missing", path };
    return { state: "unusable", path, why: `${path}: ${error instanceof Error ? error.message : String(error)}` };
  }
}

/** What kind of key a file holds, where it or the `.pub` beside it says so; undefined: there is no such file. */
export async function typeOfKeyFile(path: string): Promise<string | undefined> {
  const text = await readFile(path, "latin1").catch(() => undefined);
  if (text === undefined) return undefined;
  const open = readPublicLine(text) ?? readPublicHalf(text);
  return (open ?? readPublicLine(await readFile(`${path}.pub`, "latin1").catch(() => "")))?.type ?? "unknown";
}

async function unlock(path: string, bytes: Buffer, passphrase: Secret): Promise<PrivateKey | undefined> {
  try {
    return await parsePrivate(path, bytes, passphrase);
  } catch (error) {
    if (error instanceof WrongPassphrase) return undefined;
    throw error;
  }
}

class WrongPassphrase extends Error {}

async function parsePrivate(path: string, bytes: Buffer, passphrase: Secret | undefined): Promise<PrivateKey> {
  // PKCS#8 is what openssl writes; ssh2 reads the formats of OpenSSH and PuTTY.
  if (/^-----BEGIN (ENCRYPTED )?PRIVATE KEY-----/m.test(bytes.toString("latin1"))) return parsePkcs8(bytes, passphrase);
  const { utils } = (await import("ssh2")).default;
  const parsed: unknown = utils.parseKey(bytes, passphrase?.reveal());
  const key: unknown = Array.isArray(parsed) ? parsed[0] : parsed;
  if (key instanceof Error) {
    if (passphrase !== undefined && /integrity check|bad decrypt|bad passphrase|BAD_DECRYPT/i.test(key.message)) {
      throw new WrongPassphrase();
    }
    throw new Error(`not a key that can be read here (${key.message})`);
  }
  if (!isParsedKey(key) || !key.isPrivateKey()) throw new Error("holds no private key");
  const { type } = key;
  return {
    type,
    blob: key.getPublicSSH(),
    sign(data, hash) {
      const signature = key.sign(data, type === "ssh-rsa" ? hash : undefined);
      if (signature instanceof Error) throw new Error(`cannot sign with ${path}: ${signature.message}`);
      return signature;
    },
    object: () => createPrivateKey(key.getPrivatePEM()),
  };
}

interface ParsedKeyLike {
  type: string;
  isPrivateKey(): boolean;
  getPublicSSH(): Buffer;
  getPrivatePEM(): string;
  sign(data: Buffer, hash?: string): Buffer | Error;
}

function isParsedKey(key: unknown): key is ParsedKeyLike {
  return typeof key === "object" && key !== null && "getPublicSSH" in key && "sign" in key && "isPrivateKey" in key;
}

function parsePkcs8(bytes: Buffer, passphrase: Secret | undefined): PrivateKey {
  let key: KeyObject;
  try {
    key = createPrivateKey({ key: bytes, ...(passphrase === undefined ? {} : { passphrase: passphrase.reveal() }) });
  } catch (error) {
    if (passphrase !== undefined) throw new WrongPassphrase();
    throw error;
  }
  return privateKeyOf(key);
}

export function privateKeyOf(key: KeyObject): PrivateKey {
  const { type, blob } = publicOf(key);
  return {
    type,
    blob,
    sign: (data, hash) => signWith(type === "ssh-rsa" ? (hash ?? "sha1") : (ecHashes[type] ?? null), data, key),
    object: () => key,
  };
}

const ecHashes: Readonly<Record<string, string>> = {
  "ecdsa-sha2-nistp256": "sha256",
  "ecdsa-sha2-nistp384": "sha384",
  "ecdsa-sha2-nistp521": "sha512",
};

const curves: Readonly<Record<string, string>> = { "P-256": "nistp256", "P-384": "nistp384", "P-521": "nistp521" };

/** Throws, in words, for a kind of key that ssh has no use for. */
export function publicOf(key: KeyObject): PublicKey {
  const jwk = key.export({ format: "jwk" });
  const bytes = (text: string | undefined): Buffer => Buffer.from(text ?? "", "base64url");
  if (jwk.kty === "RSA") {
    return { type: "ssh-rsa", blob: wire("ssh-rsa", positive(bytes(jwk.e)), positive(bytes(jwk.n))) };
  }
  if (jwk.kty === "OKP" && jwk.crv === "Ed25519") {
    return { type: "ssh-ed25519", blob: wire("ssh-ed25519", bytes(jwk.x)) };
  }
  const curve = jwk.kty === "EC" ? curves[jwk.crv ?? ""] : undefined;
  if (curve === undefined) throw new Error(`a key of kind ${jwk.crv ?? jwk.kty ?? "?"} cannot be used for ssh`);
  const point = Buffer.concat([Buffer.from([4]), bytes(jwk.x), bytes(jwk.y)]);
  return { type: `ecdsa-sha2-${curve}`, blob: wire(`ecdsa-sha2-${curve}`, curve, point) };
}

/** `type base64 comment`. */
export function readPublicLine(text: string): PublicKey | undefined {
  const match = /^\s*((?:ssh|ecdsa|sk)-[a-z0-9@.-]+)\s+([A-Za-z0-9+/]+=*)(?:\s|$)/.exec(text);
  if (match?.[1] === undefined || match[2] === undefined) return undefined;
  return { type: match[1], blob: Buffer.from(match[2], "base64") };
}

function isLocked(text: string): boolean {
  if (/^-----BEGIN ENCRYPTED PRIVATE KEY-----/m.test(text) || /^Proc-Type: 4,ENCRYPTED/m.test(text)) return true;
  if (/^PuTTY-User-Key-File-\d+:/.test(text)) return !/^Encryption: none/m.test(text);
  return opensshFields(text)?.cipher !== undefined && opensshFields(text)?.cipher !== "none";
}

/** The public half stands unencrypted at the head of OpenSSH's own format. */
function readPublicHalf(text: string): PublicKey | undefined {
  const blob = opensshFields(text)?.blob;
  if (blob === undefined || blob.length < 4) return undefined;
  return { type: blob.toString("latin1", 4, 4 + blob.readUInt32BE(0)), blob };
}

function opensshFields(text: string): { cipher: string; blob: Buffer } | undefined {
  const body = /-----BEGIN OPENSSH PRIVATE KEY-----([\s\S]+)-----END/.exec(text)?.[1];
  if (body === undefined) return undefined;
  const bytes = Buffer.from(body, "base64");
  let at = "openssh-key-v1\0".length;
  const next = (): Buffer => {
    const length = at + 4 <= bytes.length ? bytes.readUInt32BE(at) : 0;
    const field = bytes.subarray(at + 4, at + 4 + length);
    at += 4 + length;
    return field;
  };
  const cipher = next().toString("latin1");
  next(); // kdf
  next(); // kdf options
  at += 4; // how many keys: always one
  return { cipher, blob: next() };
}
