/** Certificate: what a CA says about a key, as OpenSSH has it (PROTOCOL.certkeys). Pure but for the nonce. */
import { Buffer } from "node:buffer";
import { createPublicKey, randomBytes, verify } from "node:crypto";
import type { PrivateKey, PublicKey } from "../keys.ts";
import { positive, readWire, uint32, uint64, wire } from "../wire.ts";

export interface CertificateWish {
  readonly kind: "user" | "host";
  readonly serial: bigint;
  readonly keyId: string;
  /** Login names or host names; empty: any. */
  readonly principals: readonly string[];
  /** Seconds since 1970; `forever`: without an end. */
  readonly after: number;
  readonly before: number | "forever";
  /** `force-command`, `source-address`, `verify-required`; a flag has no value. */
  readonly critical: Readonly<Record<string, string>>;
  readonly extensions: Readonly<Record<string, string>>;
}

/** What ssh-keygen grants a user when nothing else is asked for. */
export const usualExtensions: Readonly<Record<string, string>> = {
  "permit-X11-forwarding": "",
  "permit-agent-forwarding": "",
  "permit-port-forwarding": "",
  "permit-pty": "",
  "permit-user-rc": "",
};

/** Throws, in words, for keys that certificates are not made of. */
export function signCertificate(key: PublicKey, ca: PrivateKey, wish: CertificateWish): PublicKey {
  const plain = /^(ssh-ed25519|ssh-rsa|ecdsa-sha2-nistp(256|384|521))$/;
  if (!plain.test(key.type)) throw new Error(`a key of type ${key.type} cannot be certified here`);
  if (!plain.test(ca.type)) throw new Error(`a key of type ${ca.type} cannot be a CA here`);
  const type = `${key.type}-cert-v01@openssh.com`;
  const numbers = key.blob.subarray(4 + key.type.length);
  const body = Buffer.concat([
    wire(type, randomBytes(32)),
    numbers,
    uint64(wish.serial),
    uint32(wish.kind === "user" ? 1 : 2),
    wire(wish.keyId, wire(...wish.principals)),
    uint64(BigInt(wish.after)),
    uint64(wish.before === "forever" ? 2n ** 64n - 1n : BigInt(wish.before)),
    wire(options(wish.critical), options(wish.extensions), "", ca.blob),
  ]);
  return { type, blob: Buffer.concat([body, wire(signature(ca, body))]) };
}

/** In the order of their names, as sshd demands; a value is a string within the string. */
function options(given: Readonly<Record<string, string>>): Buffer {
  const names = Object.keys(given).toSorted((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
  return wire(...names.flatMap((name) => [name, given[name] === "" ? "" : wire(given[name] ?? "")]));
}

function signature(ca: PrivateKey, body: Buffer): Buffer {
  if (ca.type === "ssh-rsa") return wire("rsa-sha2-512", ca.sign(body, "sha512"));
  const bytes = ca.sign(body, undefined);
  return wire(ca.type, ca.type.startsWith("ecdsa-") ? wire(...derNumbers(bytes)) : bytes);
}

/** The two numbers of a DER signature. */
export function derNumbers(der: Buffer): [r: Buffer, s: Buffer] {
  // SEQUENCE, whose length takes a second byte when it is over 127; then INTEGER twice.
  let at = (der[1] ?? 0) & 0x80 ? 3 : 2;
  const number = (): Buffer => {
    const length = der[at + 1] ?? 0;
    at += 2 + length;
    return positive(der.subarray(at - length, at));
  };
  return [number(), number()];
}

export interface Certificate extends CertificateWish {
  readonly type: string;
  /** Type of the key that it is about: `ssh-ed25519`. */
  readonly keyType: string;
  readonly key: PublicKey;
  readonly ca: PublicKey;
  /** What the CA signed, and its signature as it goes over the wire. */
  readonly body: Buffer;
  readonly signature: Buffer;
}

const kinds: Readonly<Record<number, "user" | "host">> = { 1: "user", 2: "host" };

/** Reads one without judging it. Throws when it is none. */
export function readCertificate(blob: Buffer): Certificate {
  const reader = readWire(blob);
  const type = reader.text();
  // Of a key on a security token the plain type bears the name of its makers too.
  const keyType = type.replace(/-cert-v01@openssh\.com$/, type.startsWith("sk-") ? "@openssh.com" : "");
  if (keyType === type) throw new Error(`${type} is no certificate`);
  reader.string();
  const numbers = Array.from({ length: partsOf(keyType) }, () => reader.string());
  const number = (): bigint => (BigInt(reader.uint32()) << 32n) | BigInt(reader.uint32());
  const serial = number();
  const kindNumber = reader.uint32();
  const kind = kinds[kindNumber];
  if (kind === undefined) throw new Error(`it is of kind ${kindNumber}, which is none`);
  const keyId = reader.text();
  const principals = strings(reader.string()).map(String);
  const [after, before] = [number(), number()];
  const [critical, extensions] = [pairs(reader.string()), pairs(reader.string())];
  reader.string();
  const ca = reader.string();
  const body = blob.subarray(0, blob.length - reader.left);
  const signature = reader.string();
  if (reader.left > 0) throw new Error("there is something after its signature");
  return {
    type,
    keyType,
    key: { type: keyType, blob: wire(keyType, ...numbers) },
    kind,
    serial,
    keyId,
    principals,
    after: Number(after),
    before: before === 2n ** 64n - 1n ? "forever" : Number(before),
    critical,
    extensions,
    ca: { type: readWire(ca).text(), blob: ca },
    body,
    signature,
  };
}

/** Of how many strings a key of this type is made. */
function partsOf(keyType: string): number {
  return (/ed25519/.test(keyType) ? 1 : 2) + (keyType.startsWith("sk-") ? 1 : 0);
}

function strings(bytes: Buffer): Buffer[] {
  const reader = readWire(bytes);
  const found: Buffer[] = [];
  while (reader.left > 0) found.push(reader.string());
  return found;
}

function pairs(bytes: Buffer): Record<string, string> {
  const list = strings(bytes);
  const names = list.filter((_part, index) => index % 2 === 0);
  return Object.fromEntries(
    names.map((name, index) => {
      const value = list[index * 2 + 1];
      return [name.toString(), value === undefined ? "" : inner(value)];
    }),
  );
}

/** Strings within strings are what OpenSSH makes; others may have it otherwise. */
function inner(value: Buffer): string {
  const isString = value.length >= 4 && value.readUInt32BE(0) === value.length - 4;
  return value.toString("utf8", isString ? 4 : 0);
}

export function isCertificate(blob: Buffer): boolean {
  return blob.length >= 4 && blob.toString("latin1", 4, 4 + blob.readUInt32BE(0)).endsWith("-cert-v01@openssh.com");
}

/** Why it does not stand for its key, in words; undefined: it does. `name`: who or what it has to be for, if that is known. */
export function whyInvalid(
  { kind, principals, after, before, critical }: Certificate,
  wish: { readonly kind: "user" | "host"; readonly name?: string | undefined },
  now = Date.now() / 1000,
): string | undefined {
  if (kind !== wish.kind) return `it is for a ${kind}, not for a ${wish.kind}`;
  if (before !== "forever" && now >= before) return `it expired on ${dayOf(before)}`;
  if (now < after) return `it is not valid before ${dayOf(after)}`;
  const [option] = kind === "host" ? Object.keys(critical) : [];
  if (option !== undefined) return `it has a condition that is not known here: ${option}`;
  if (wish.name === undefined || principals.length === 0 || principals.includes(wish.name)) return undefined;
  return `it is for ${principals.join(", ")}, not for ${wish.name}`;
}

/** Of a time in a certificate, which may be beyond all calendars. */
export function dateOf(seconds: number): Date {
  return new Date(Math.min(seconds * 1000, 8.64e15));
}

function dayOf(seconds: number): string {
  return dateOf(seconds).toISOString().replace("T", " ").replace(/\..*/, " UTC");
}

/** How its CA says that it signed. Throws when there is no saying. */
export function signatureAlgorithm({ signature: signed }: Certificate): string {
  return readWire(signed).text();
}

/** Did its CA sign it? SHA-1 counts for nothing, and a CA on a security token cannot be asked about here. */
export function isGenuine(certificate: Certificate): boolean {
  try {
    return isSigned(certificate);
  } catch {
    return false; // numbers that are no key, or no signature
  }
}

function isSigned({ ca, body, signature: signed }: Certificate): boolean {
  const reader = readWire(signed);
  const [algorithm, signature] = [reader.text(), reader.string()];
  if (reader.left > 0) return false;
  const numbers = readWire(ca.blob);
  numbers.string();
  const part = (bytes: Buffer): string => bytes.toString("base64url");
  if (ca.type === "ssh-ed25519" && algorithm === ca.type) {
    const key = createPublicKey({ key: { kty: "OKP", crv: "Ed25519", x: part(numbers.string()) }, format: "jwk" });
    return verify(null, body, key, signature);
  }
  const hash = /^rsa-sha2-(256|512)$/.exec(algorithm)?.[1];
  if (ca.type === "ssh-rsa" && hash !== undefined) {
    const [e, n] = [part(numbers.string()), part(numbers.string())];
    const key = createPublicKey({ key: { kty: "RSA", e, n }, format: "jwk" });
    return verify(`sha${hash}`, body, key, signature);
  }
  const size = Number(/^ecdsa-sha2-nistp(256|384|521)$/.exec(ca.type)?.[1]);
  if (Number.isNaN(size) || algorithm !== ca.type) return false;
  numbers.string();
  const point = numbers.string().subarray(1);
  const [x, y] = [part(point.subarray(0, point.length / 2)), part(point.subarray(point.length / 2))];
  const key = createPublicKey({ key: { kty: "EC", crv: `P-${size}`, x, y }, format: "jwk" });
  const two = readWire(signature);
  const length = Math.ceil(size / 8);
  const fixed = Buffer.concat([two.string(), two.string()].map((number) => sized(number, length)));
  if (two.left > 0) return false;
  return verify(`sha${size === 521 ? 512 : size}`, body, { key, dsaEncoding: "ieee-p1363" }, fixed);
}

/** A number as so many bytes. Throws when it is larger. */
function sized(number: Buffer, length: number): Buffer {
  const bare = number.subarray(number[0] === 0 ? 1 : 0);
  return Buffer.concat([Buffer.alloc(length - bare.length), bare]);
}
