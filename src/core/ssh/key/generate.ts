/** Generate: a new key pair, on disk as ssh-keygen leaves it: FILE (0600) and FILE.pub (0644). */
import type { Buffer } from "node:buffer";
import { type KeyObject, generateKeyPair } from "node:crypto";
import { dirname } from "node:path";
import { AmiError } from "../../errors.ts";
import { makeFolder } from "../../folder.ts";
import type { Secret } from "../../secret.ts";
import { whyUnreadable } from "../../unreadable.ts";
import { type PrivateKey, privateKeyOf } from "../keys.ts";
import { bitsOf, halvesOf } from "./halves.ts";
import { replaceFile } from "./replace.ts";
import { writePrivateKey } from "./write.ts";

export const keyTypes = ["ed25519", "rsa", "ecdsa"] as const;
export type KeyType = (typeof keyTypes)[number];

export interface NewKey {
  readonly type: KeyType;
  readonly bits?: number | undefined;
  readonly comment: string;
  readonly passphrase?: Secret | undefined;
}

export interface MadeKey {
  /** Of the public half: `ssh-ed25519`. */
  readonly type: string;
  readonly bits: number;
  readonly blob: Buffer;
  /** The line of the .pub file. */
  readonly line: string;
  readonly private: PrivateKey;
}

/** Throws `usage.input` for a size that this kind of key does not come in. */
export async function makeKey({ type, bits }: Pick<NewKey, "type" | "bits">): Promise<KeyObject> {
  if (type === "ed25519") {
    if (bits !== undefined && bits !== 256) throw badSize("an ed25519 key has 256 bits, always");
    return pair((done) => generateKeyPair("ed25519", {}, done));
  }
  if (type === "rsa") {
    const modulusLength = bits ?? 4096;
    if (modulusLength < 2048 || modulusLength > 16384) throw badSize("an rsa key has 2048 to 16384 bits");
    return pair((done) => generateKeyPair("rsa", { modulusLength }, done));
  }
  const namedCurve = { 256: "P-256", 384: "P-384", 521: "P-521" }[bits ?? 256];
  if (namedCurve === undefined) throw badSize("an ecdsa key has 256, 384 or 521 bits");
  return pair((done) => generateKeyPair("ec", { namedCurve }, done));
}

/** Makes a key and writes both files; what is there is replaced, so ask before. */
export async function generateKey(path: string, wish: NewKey): Promise<MadeKey> {
  const key = await makeKey(wish);
  const { type, blob } = halvesOf(key);
  const line = publicLine(type, blob, wish.comment);
  const text = await writePrivateKey(key, wish);
  try {
    makeFolder(dirname(path));
  } catch (cause) {
    throw new AmiError("host.file", `${path} cannot be written: ${whyUnreadable(cause)}`, { cause });
  }
  await replaceFile(path, text, 0o600);
  await replaceFile(`${path}.pub`, `${line}\n`, 0o644);
  return { type, bits: bitsOf(blob), blob, line, private: privateKeyOf(key) };
}

export function publicLine(type: string, blob: Buffer, comment: string): string {
  return `${type} ${blob.toString("base64")}${comment === "" ? "" : ` ${comment}`}`;
}

function pair(
  make: (done: (error: Error | null, open: KeyObject, secret: KeyObject) => void) => void,
): Promise<KeyObject> {
  return new Promise((resolve, reject) => {
    make((error, _open, secret) => (error instanceof Error ? reject(error) : resolve(secret)));
  });
}

function badSize(why: string): AmiError {
  return new AmiError("usage.input", why, { hint: "leave --bits out for the usual size" });
}
