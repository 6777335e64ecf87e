/** What a certificate says, and whether it is to be believed: ssh-keygen makes them, in test/integration; here they are bent. */
import { generateKeyPairSync } from "node:crypto";
import { describe, expect, it } from "vitest";
import {
  type Certificate,
  type CertificateWish,
  isCertificate,
  isGenuine,
  readCertificate,
  signCertificate,
  whyInvalid,
} from "../../../../src/core/ssh/key/certificate.ts";
import { describeCertificate } from "../../../../src/core/ssh/certificates.ts";
import { type PrivateKey, privateKeyOf } from "../../../../src/core/ssh/keys.ts";
import { wire } from "../../../../src/core/ssh/wire.ts";

const wish: CertificateWish = {
  kind: "host",
  serial: 7n,
  keyId: "box",
  principals: ["box.example"],
  after: 1000,
  before: 2000,
  critical: {},
  extensions: {},
};
const newKey = (): PrivateKey => privateKeyOf(generateKeyPairSync("ed25519").privateKey);
const keys: Record<string, () => PrivateKey> = {
  ed25519: () => privateKeyOf(generateKeyPairSync("ed25519").privateKey),
  rsa: () => privateKeyOf(generateKeyPairSync("rsa", { modulusLength: 2048 }).privateKey),
  nistp256: () => privateKeyOf(generateKeyPairSync("ec", { namedCurve: "P-256" }).privateKey),
  nistp384: () => privateKeyOf(generateKeyPairSync("ec", { namedCurve: "P-384" }).privateKey),
  nistp521: () => privateKeyOf(generateKeyPairSync("ec", { namedCurve: "P-521" }).privateKey),
};

describe("a certificate", () => {
  it.each(Object.keys(keys))("signed by %s is genuine as it is, and with no bit changed", (type) => {
    const make = keys[type];
    if (make === undefined) throw new Error(type);
    const [key, ca] = [make(), make()];
    const { blob } = signCertificate(key, ca, wish);
    const about = readCertificate(blob);
    expect(isCertificate(blob)).toBe(true);
    expect(isCertificate(key.blob)).toBe(false);
    expect(about.key.blob.equals(key.blob)).toBe(true);
    expect(about.ca.blob.equals(ca.blob)).toBe(true);
    expect(isGenuine(about)).toBe(true);
    const name = blob.indexOf("box.example");
    for (const at of [name, name - 30, blob.length - 1, blob.length - 20]) {
      const bent = Buffer.from(blob);
      bent.writeUInt8(bent.readUInt8(at) ^ 1, at);
      expect([at, genuineOrUnreadable(bent)]).toEqual([at, false]);
    }
    // By another CA that only says it is this one.
    const other = readCertificate(signCertificate(key, make(), wish).blob);
    expect(isGenuine({ ...about, signature: other.signature })).toBe(false);
  });

  it("that goes on after its signature is none", () => {
    const make = keys["ed25519"];
    if (make === undefined) throw new Error("no key");
    const { blob } = signCertificate(make(), make(), wish);
    expect(() => readCertificate(Buffer.concat([blob, Buffer.alloc(1)]))).toThrow();
    for (const length of [3, 20, 100, blob.length - 1])
      expect(() => readCertificate(blob.subarray(0, length))).toThrow();
  });

  it("is for a user or for a host, or is none", () => {
    const { blob } = signCertificate(newKey(), newKey(), wish);
    const bent = Buffer.from(blob);
    bent.writeUInt32BE(3, blob.indexOf(wire("box")) - 4);
    expect(() => readCertificate(bent)).toThrow("kind 3");
  });

  it("may say more than we understand, and as it likes", () => {
    const { blob } = signCertificate(newKey(), newKey(), { ...wish, extensions: { "a@b": "value" } });
    const bent = Buffer.from(blob);
    bent.writeUInt32BE(0x61626364, blob.indexOf(wire("value")));
    expect(readCertificate(bent).extensions).toEqual({ "a@b": "abcdvalue" });
  });

  it("may begin and end when no calendar has a day for it", () => {
    const [after, before] = [2 ** 62, 2 ** 63];
    const { blob } = signCertificate(newKey(), newKey(), { ...wish, after, before });
    expect(whyInvalid(readCertificate(blob), { kind: "host" }, 1500)).toContain("not valid before");
    expect(describeCertificate(blob)).toContain("for box.example");
  });

  it.each(["ed25519", "rsa", "nistp256"])("has one signature of %s, with nothing behind it", (type) => {
    const make = keys[type];
    if (make === undefined) throw new Error(type);
    const about = readCertificate(signCertificate(make(), make(), wish).blob);
    const signature = Buffer.concat([about.signature, Buffer.alloc(1)]);
    expect(isGenuine({ ...about, signature })).toBe(false);
  });

  it.each<[string, Partial<Certificate>, string | undefined]>([
    ["as it should be", {}, undefined],
    ["for any name", { principals: [] }, undefined],
    ["without an end", { before: "forever" }, undefined],
    ["too early", { after: 1501 }, "it is not valid before 1970-01-01 00:25:01 UTC"],
    ["at its end", { before: 1500 }, "it expired on 1970-01-01 00:25:00 UTC"],
    ["for another name", { principals: ["a", "b"] }, "it is for a, b, not for box.example"],
    [
      "for a pattern, which a host certificate has not",
      { principals: ["*.example"] },
      "it is for *.example, not for box.example",
    ],
    ["for a user", { kind: "user" }, "it is for a user, not for a host"],
    [
      "on a condition",
      { critical: { "force-command": "id" } },
      "it has a condition that is not known here: force-command",
    ],
  ])("%s: %j", (_, change, why) => {
    const make = keys["ed25519"];
    if (make === undefined) throw new Error("no key");
    const about = { ...readCertificate(signCertificate(make(), make(), wish).blob), ...change };
    expect(whyInvalid(about, { kind: "host", name: "box.example" }, 1500)).toBe(why);
  });
});

function genuineOrUnreadable(blob: Buffer): boolean {
  try {
    return isGenuine(readCertificate(blob));
  } catch {
    return false;
  }
}
