/**
 * Write: a private key as OpenSSH's own format has it (PROTOCOL.key), encrypted when there is a passphrase.
 * Not left to ssh2, whose generateKeyPair makes a broken file of each Ed25519 key that begins with a zero byte.
 */
import { Buffer } from "node:buffer";
import { type KeyObject, createCipheriv, randomBytes } from "node:crypto";
import type { Secret } from "../../secret.ts";
import { uint32, wire } from "../wire.ts";
import { halvesOf } from "./halves.ts";

export interface WriteOptions {
  readonly comment: string;
  readonly passphrase?: Secret | undefined;
}

/** The text of the file. Takes about half a second of processor time with a passphrase: that is its purpose. */
export async function writePrivateKey(key: KeyObject, options: WriteOptions): Promise<string> {
  const { blob, secret } = halvesOf(key);
  const lock = options.passphrase === undefined ? undefined : await lockFor(options.passphrase);
  const check = randomBytes(4);
  const body = Buffer.concat([check, check, secret, wire(options.comment)]);
  const block = lock === undefined ? 8 : 16;
  const padding = Buffer.from(Array.from({ length: (block - (body.length % block)) % block }, (_, i) => i + 1));
  const padded = Buffer.concat([body, padding]);
  const bytes = Buffer.concat([
    Buffer.from("openssh-key-v1\0"),
    lock === undefined ? wire("none", "none", "") : wire("aes256-ctr", "bcrypt", lock.options),
    uint32(1),
    wire(blob, lock === undefined ? padded : lock.encrypt(padded)),
  ]);
  const lines = bytes.toString("base64").match(/.{1,70}/g) ?? [];
  return ["-----BEGIN OPENSSH PRIVATE KEY-----", ...lines, "-----END OPENSSH PRIVATE KEY-----", ""].join("\n");
}

/** As ssh-keygen has it. */
const rounds = 16;

async function lockFor(passphrase: Secret): Promise<{ options: Buffer; encrypt(body: Buffer): Buffer }> {
  const { pbkdf } = (await import("bcrypt-pbkdf")).default;
  const words = Buffer.from(passphrase.reveal());
  const salt = randomBytes(16);
  const made = Buffer.alloc(48);
  if (pbkdf(words, words.length, salt, salt.length, made, made.length, rounds) !== 0) {
    throw new Error("no key could be made of the passphrase");
  }
  return {
    options: Buffer.concat([wire(salt), uint32(rounds)]),
    encrypt(body) {
      const cipher = createCipheriv("aes-256-ctr", made.subarray(0, 32), made.subarray(32));
      return Buffer.concat([cipher.update(body), cipher.final()]);
    },
  };
}
