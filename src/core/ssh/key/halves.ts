/** Halves: the numbers of a private key, as OpenSSH's key files and agents take them. */
import { Buffer } from "node:buffer";
import type { KeyObject } from "node:crypto";
import { publicOf } from "../keys.ts";
import { positive, readWire, wire } from "../wire.ts";

export interface Halves {
  readonly type: string;
  /** The public half as it goes over the wire. */
  readonly blob: Buffer;
  /** Type and every number of the private half. */
  readonly secret: Buffer;
}

/** Throws, in words, for a kind of key that ssh has no use for. */
export function halvesOf(key: KeyObject): Halves {
  const { type, blob } = publicOf(key);
  const jwk = key.export({ format: "jwk" });
  const part = (text: string | undefined): Buffer => Buffer.from(text ?? "", "base64url");
  const number = (text: string | undefined): Buffer => positive(part(text));
  if (jwk.kty === "OKP") {
    const open = part(jwk.x);
    return { type, blob, secret: wire(type, open, Buffer.concat([part(jwk.d), open])) };
  }
  if (jwk.kty === "EC") {
    const reader = readWire(blob);
    reader.string();
    return { type, blob, secret: wire(type, reader.string(), reader.string(), number(jwk.d)) };
  }
  const { n, e, d, qi, p, q } = jwk;
  return { type, blob, secret: wire(type, ...[n, e, d, qi, p, q].map(number)) };
}

/** How strong it is, as ssh-keygen counts. */
export function bitsOf(blob: Buffer): number {
  const reader = readWire(blob);
  const type = reader.text();
  if (type === "ssh-rsa") {
    reader.string();
    const modulus = reader.string();
    const digits = modulus[0] === 0 ? modulus.subarray(1) : modulus;
    return digits.length * 8 - (Math.clz32(digits[0] ?? 0) - 24);
  }
  return Number(/nistp(\d+)/.exec(type)?.[1] ?? 256);
}
