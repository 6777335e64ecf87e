/**
 * Cipher: a key from a passphrase (scrypt), and texts sealed with it (AES-256-GCM), each bound to what it is about, so
 * that one sealed text cannot stand in the place of another.
 */
import { createCipheriv, createDecipheriv, createHmac, randomBytes, scrypt } from "node:crypto";
import { z } from "zod";
import type { Secret } from "../../secret.ts";

const base64 = z.base64();

/** Costs have bounds, so that a file somebody else wrote cannot take all of the memory. */
export const kdfSchema = z.strictObject({
  name: z.literal("scrypt"),
  N: z
    .number()
    .int()
    .min(1024)
    .max(2 ** 20),
  r: z.number().int().min(1).max(16),
  p: z.number().int().min(1).max(8),
  salt: base64,
});
export type Kdf = z.output<typeof kdfSchema>;

export const sealedSchema = z.strictObject({ nonce: base64, data: base64, tag: base64 });
export type Sealed = z.output<typeof sealedSchema>;

/** 128 MiB and about a third of a second: what OWASP asks of scrypt. */
export function newKdf(): Kdf {
  return { name: "scrypt", N: 2 ** 17, r: 8, p: 1, salt: randomBytes(16).toString("base64") };
}

export function newKey(): Buffer {
  return randomBytes(32);
}

export function deriveKey(passphrase: Secret, { N, r, p, salt }: Kdf): Promise<Buffer> {
  const cost = { N, r, p, maxmem: 256 * N * r };
  return new Promise((resolve, reject) => {
    // Typed on another keyboard the same letters may come composed in another way.
    scrypt(passphrase.reveal().normalize("NFC"), Buffer.from(salt, "base64"), 32, cost, (error, key) =>
      // Bun 1.4 says undefined where Node says null.
      error instanceof Error ? reject(error) : resolve(key),
    );
  });
}

export function seal(key: Buffer, plain: Buffer, about: string): Sealed {
  const nonce = randomBytes(12);
  const cipher = createCipheriv("aes-256-gcm", key, nonce);
  cipher.setAAD(Buffer.from(about));
  const data = Buffer.concat([cipher.update(plain), cipher.final()]);
  return {
    nonce: nonce.toString("base64"),
    data: data.toString("base64"),
    tag: cipher.getAuthTag().toString("base64"),
  };
}

/** Undefined: another key, another `about`, or altered. */
export function unseal(key: Buffer, { nonce, data, tag }: Sealed, about: string): Buffer | undefined {
  try {
    const cipher = createDecipheriv("aes-256-gcm", key, Buffer.from(nonce, "base64"), { authTagLength: 16 });
    cipher.setAAD(Buffer.from(about));
    cipher.setAuthTag(Buffer.from(tag, "base64"));
    return Buffer.concat([cipher.update(Buffer.from(data, "base64")), cipher.final()]);
  } catch {
    return undefined;
  }
}

/** A keyed digest of parts, none of which can be taken for the end of another. */
export function digest(key: Buffer, parts: readonly string[]): string {
  return createHmac("sha256", key).update(JSON.stringify(parts)).digest("base64");
}
