import { describe, expect, it } from "vitest";
import { algorithms } from "../../../../src/core/ssh/algorithms.ts";
import { type Handshake, handshakeError } from "../../../../src/core/ssh/handshake-error.ts";

describe("handshake errors", () => {
  const shake: Handshake = {
    name: "web1",
    host: "web1.example",
    port: 22,
    offer: algorithms({}),
    greeting: { version: undefined, text: "", offer: undefined },
    phase: "the banner",
  };
  const spoke = { version: "SSH-2.0-OpenSSH_5.3", text: "", offer: undefined };
  const reset = Object.assign(new Error("read ECONNRESET"), { code: "ECONNRESET" });

  it.each<[string, unknown, Partial<Handshake>, string, RegExp, string]>([
    [
      "hung up",
      new Error("Connection lost before handshake"),
      {},
      "ssh.connect",
      /closed the connection without a word/,
      "yes",
    ],
    ["reset", reset, {}, "ssh.connect", /web1.example:22 cut the connection/, "yes"],
    [
      "full",
      new Error("x"),
      { greeting: { ...shake.greeting, text: "Exceeded MaxStartups" } },
      "ssh.connect",
      /turned us away: Exceeded/,
      "yes",
    ],
    [
      "no ssh",
      new Error("x"),
      { greeting: { ...shake.greeting, text: "220 smtp ready" } },
      "ssh.protocol",
      /does not speak ssh: it says "220 smtp ready"/,
      "no",
    ],
    [
      "version 1",
      new Error("x"),
      { greeting: { ...spoke, version: "SSH-1.5-old" } },
      "ssh.protocol",
      /only version 1/,
      "no",
    ],
    [
      "proxy",
      new Error("closed"),
      { proxySaid: "boo\n" },
      "ssh.connect",
      /^the ProxyCommand for web1.example:22 ended: boo$/,
      "yes",
    ],
    [
      "cut later",
      new Error("closed"),
      { greeting: spoke, phase: "key exchange" },
      "ssh.protocol",
      /^key exchange with web1.example:22 failed: the server closed/,
      "yes",
    ],
    [
      "broken",
      new Error("Bad packet length"),
      { greeting: spoke, phase: "key exchange" },
      "ssh.protocol",
      /Bad packet length/,
      "no",
    ],
    ["IPv6", reset, { host: "2001:db8::1", port: 2222 }, "ssh.connect", /^\[2001:db8::1\]:2222 cut/, "yes"],
  ])("%s", (_, error, more, code, message, retry) => {
    const made = handshakeError(error, { ...shake, ...more });
    expect([made.code, made.retry, made.host, made.cause]).toEqual([code, retry, "web1", error]);
    expect(made.message).toMatch(message);
    expect(made.hint).toBeDefined();
  });

  it("nothing in common names both sides and the option that helps", () => {
    const offer = {
      kex: ["diffie-hellman-group1-sha1"],
      serverHostKey: ["ssh-dss"],
      cipher: ["3des-cbc"],
      hmac: ["hmac-md5"],
      compress: [],
    };
    for (const [words, theirs, option] of [
      ["Handshake failed: no matching key exchange algorithm", "diffie-hellman-group1-sha1", "KexAlgorithms"],
      ["Handshake failed: no matching host key format", "ssh-dss", "HostKeyAlgorithms"],
      ["Handshake failed: no matching C->S cipher", "3des-cbc", "Ciphers"],
      ["Handshake failed: no matching S->C MAC", "hmac-md5", "MACs"],
    ] as const) {
      const made = handshakeError(new Error(words), { ...shake, greeting: { ...spoke, offer }, phase: "key exchange" });
      expect(made.code).toBe("ssh.protocol");
      expect(made.message).toMatch(
        new RegExp(`^no .* in common with web1.example:22\n  we offer .+\n  it offers ${theirs}$`),
      );
      expect(made.hint).toContain(`${option} +${theirs}`);
    }
  });
});
