/** Holds what we use of ssh2's inside against the installed package. */
import { KeyObject } from "node:crypto";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { Duplex } from "node:stream";
import ssh2 from "ssh2";
import { describe, expect, it } from "vitest";
import { easeKeys, inside } from "../../../../src/core/ssh/inside.ts";
import { packets, withHostKeys } from "../../../../src/core/ssh/packets.ts";

describe("the inside of ssh2", () => {
  it("is that of the pinned version", () => {
    const require = createRequire(import.meta.url);
    const installed: unknown = JSON.parse(readFileSync(require.resolve("ssh2/package.json"), "utf8"));
    const own: unknown = JSON.parse(readFileSync("package.json", "utf8"));
    expect(installed).toMatchObject({ version: "1.17.0" });
    expect(own).toMatchObject({ devDependencies: { ssh2: "1.17.0" } });
  });

  it("has all we need once a client connects, and nothing else passes for it", () => {
    const client = new ssh2.Client();
    for (const look of [inside, packets])
      expect(() => look(client)).toThrow(expect.objectContaining({ code: "internal.bug" }));
    client.on("error", () => undefined);
    client.connect({ sock: new Duplex({ read: () => undefined, write: (_c, _e, done) => done() }), username: "me" });
    expect(inside(client)._protocol).toBeDefined();
    expect(packets(client)).toBe(inside(client)._protocol);
    client.destroy();
  });

  it("offers host key algorithms that ssh2 does not know, and all else as before", () => {
    const client = new ssh2.Client();
    client.on("error", () => undefined);
    client.connect({
      sock: new Duplex({ read: () => undefined, write: (_c, _e, done) => done() }),
      username: "me",
      algorithms: { cipher: ["aes128-gcm@openssh.com"], compress: ["none"] },
    });
    const before = packets(client)._offer;
    const after = withHostKeys(before, ["ssh-ed25519-cert-v01@openssh.com", "ssh-ed25519"]);
    expect(after.lists.serverHostKey.array).toEqual(["ssh-ed25519-cert-v01@openssh.com", "ssh-ed25519"]);
    for (const list of ["kex", "cs", "sc"] as const) expect(after.lists[list]).toEqual(before.lists[list]);
    client.destroy();
  });

  it("takes key objects where it would take the bytes of keys", () => {
    const require = createRequire(import.meta.url);
    const source = readFileSync(require.resolve("ssh2/lib/protocol/crypto.js"), "utf8");
    expect(source).toContain("createCipheriv(this._encSSLName, this._encKey, this._encIV)");
    expect(source).toMatch(/createDecipheriv\(\s*this\._decipherSSLName,\s*this\._decipherKey,/);
    const client = new ssh2.Client();
    client.on("error", () => undefined);
    client.connect({ sock: new Duplex({ read: () => undefined, write: (_c, _e, done) => done() }), username: "me" });
    const cipher = { _encKey: Buffer.from("0123456789abcdef") };
    const decipher = { _decipherKey: Buffer.from("fedcba9876543210") };
    Object.assign(inside(client)._protocol, { _cipher: cipher, _decipher: decipher });
    easeKeys(client);
    easeKeys(client);
    expect(cipher._encKey).toBeInstanceOf(KeyObject);
    expect(decipher._decipherKey).toBeInstanceOf(KeyObject);
    Object.assign(inside(client)._protocol, { _cipher: { free: () => undefined }, _decipher: undefined });
    client.destroy();
  });
});
