import { describe, expect, it } from "vitest";
import { algorithmNames, algorithms, mayKeysUse } from "../../../../src/core/ssh/algorithms.ts";

describe("algorithms", () => {
  it("offers the fastest cipher first, and nothing old", () => {
    const { kex, cipher, hmac, serverHostKey, compress } = algorithms({});
    expect([kex[0], cipher[0], hmac[0], serverHostKey[0]]).toEqual([
      "curve25519-sha256",
      "aes128-gcm@openssh.com",
      "hmac-sha2-256-etm@openssh.com",
      "ssh-ed25519",
    ]);
    const all = [...kex, ...cipher, ...hmac, ...serverHostKey].join();
    expect(all).not.toMatch(/sha1|md5|cbc|3des|group1-|ssh-rsa|ssh-dss/);
    expect(compress).toEqual(["none"]);
  });

  it.each([
    ["a list as it stands", "aes256-ctr,aes128-ctr", ["aes256-ctr", "aes128-ctr"]],
    ["what exists of a list", "no-such,aes128-ctr", ["aes128-ctr"]],
    ["patterns", "aes*-gcm@openssh.com", ["aes128-gcm@openssh.com", "aes256-gcm@openssh.com"]],
  ])("takes %s from the config", (_, ciphers, expected) => {
    expect(algorithms({ ciphers }).cipher).toEqual(expected);
  });

  it("adds with +, takes away with -, puts first with ^", () => {
    const standard = algorithms({}).kex;
    expect(algorithms({ kexAlgorithms: "+diffie-hellman-group14-sha1" }).kex).toEqual([
      ...standard,
      "diffie-hellman-group14-sha1",
    ]);
    expect(algorithms({ kexAlgorithms: "-curve25519*,ecdh-*" }).kex).toEqual(standard.slice(5));
    expect(algorithms({ kexAlgorithms: "^ecdh-sha2-nistp521" }).kex[0]).toBe("ecdh-sha2-nistp521");
    expect(algorithms({ kexAlgorithms: "^ecdh-sha2-nistp521" }).kex).toHaveLength(standard.length);
  });

  it.each(["mlkem768x25519-sha256", "-*"])("refuses a config that leaves nothing we have: %s", (kexAlgorithms) => {
    expect(() => algorithms({ kexAlgorithms })).toThrow(expect.objectContaining({ code: "ssh.protocol" }));
    expect(algorithmNames({ kexAlgorithms })).toMatchObject({ kex: [kexAlgorithms], cipher: algorithms({}).cipher });
  });

  it("host certificates are offered where an authority is known, as far as the config allows them", () => {
    const all = ["ssh-ed25519", "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521"]
      .concat("rsa-sha2-512", "rsa-sha2-256")
      .map((name) => `${name}-cert-v01@openssh.com`);
    expect(algorithms({}).certificates).toEqual([]);
    expect(algorithms({}, [], true).certificates).toEqual(all);
    expect(algorithms({ hostKeyAlgorithms: "-*-cert-*" }, [], true).certificates).toEqual([]);
    expect(algorithms({ hostKeyAlgorithms: "ssh-ed25519" }, [], true).certificates).toEqual([]);
    const only = algorithms({ hostKeyAlgorithms: "ssh-ed25519-cert-v01@openssh.com" }, [], true);
    expect([only.certificates, only.serverHostKey]).toEqual([["ssh-ed25519-cert-v01@openssh.com"], []]);
  });

  it("puts the kinds of key that are known for the host first, but not before a list of the user", () => {
    expect(algorithms({}, ["ssh-rsa"]).serverHostKey.slice(0, 3)).toEqual([
      "rsa-sha2-512",
      "rsa-sha2-256",
      "ssh-ed25519",
    ]);
    expect(algorithms({}, ["ecdsa-sha2-nistp256"]).serverHostKey[0]).toBe("ecdsa-sha2-nistp256");
    expect(algorithms({ hostKeyAlgorithms: "+ssh-rsa" }, ["ssh-rsa"]).serverHostKey.slice(0, 3)).toEqual([
      "rsa-sha2-512",
      "rsa-sha2-256",
      "ssh-rsa",
    ]);
    expect(algorithms({ hostKeyAlgorithms: "ssh-ed25519,rsa-sha2-256" }, ["ssh-rsa"]).serverHostKey).toEqual([
      "ssh-ed25519",
      "rsa-sha2-256",
    ]);
  });

  it("leaves the kinds of key that the user put first where they are, as ssh does", () => {
    expect(
      algorithms({ hostKeyAlgorithms: "^rsa-sha2-256" }, ["ecdsa-sha2-nistp256"]).serverHostKey.slice(0, 2),
    ).toEqual(["rsa-sha2-256", "ssh-ed25519"]);
  });

  it("compresses only when told to", () => {
    expect(algorithms({ compression: true }).compress).toEqual(["zlib@openssh.com", "none"]);
  });
});

it.each([
  [undefined, "ssh-ed25519 rsa-sha2-512 ssh-ed25519-cert-v01@openssh.com"],
  ["+ssh-rsa", "ssh-ed25519 rsa-sha2-512 ssh-ed25519-cert-v01@openssh.com ssh-rsa"],
  ["^ssh-rsa,x", "ssh-ed25519 rsa-sha2-512 ssh-ed25519-cert-v01@openssh.com ssh-rsa"],
  ["-rsa-*,*-cert-*", "ssh-ed25519"],
  ["rsa-sha2-512, ssh-rsa", "rsa-sha2-512 ssh-rsa"],
])("PubkeyAcceptedAlgorithms %s allows %s", (wish, allowed) => {
  const all = ["ssh-ed25519", "rsa-sha2-512", "ssh-ed25519-cert-v01@openssh.com", "ssh-rsa", "ssh-dss"];
  expect(all.filter(mayKeysUse(wish)).join(" ")).toBe(allowed);
});
