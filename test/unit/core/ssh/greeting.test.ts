import { describe, expect, it } from "vitest";
import { readGreeting } from "../../../../src/core/ssh/greeting.ts";

describe("greeting", () => {
  it.each([
    ["nothing", "", undefined, ""],
    ["a version", "SSH-2.0-OpenSSH_9.2p1\r\n", "SSH-2.0-OpenSSH_9.2p1", ""],
    ["a version without the carriage return", "SSH-2.0-dropbear\n", "SSH-2.0-dropbear", ""],
    ["half a version", "SSH-2.0-Ope", undefined, "SSH-2.0-Ope"],
    ["lines before the version", "hello\r\nthere\r\nSSH-2.0-x\r\n", "SSH-2.0-x", "hello / there"],
    [
      "something else",
      "HTTP/1.1 400 Bad Request\r\nServer: x\r\n\r\n",
      undefined,
      "HTTP/1.1 400 Bad Request / Server: x",
    ],
    ["bytes that must not reach a terminal", "\x1b[2Jboo\x07\n", undefined, "?[2Jboo?"],
  ])("reads %s", (_, said, version, text) => {
    expect(readGreeting(Buffer.from(said, "latin1"))).toEqual({ version, text, offer: undefined });
  });

  it("reads the offer that follows, once all of it is there", () => {
    const lists = [
      "curve25519-sha256,kex-strict-s-v00@openssh.com,ext-info-s",
      "ssh-ed25519,rsa-sha2-512",
      "aes128-ctr",
      "aes128-ctr",
      "hmac-sha2-256",
      "hmac-sha2-256",
      "none,zlib@openssh.com",
      "none",
      "",
      "",
    ];
    const body = Buffer.concat([
      Buffer.from([4, 20]),
      Buffer.alloc(16),
      ...lists.flatMap((list) => [length(list.length), Buffer.from(list)]),
      Buffer.alloc(5 + 4),
    ]);
    const bytes = Buffer.concat([Buffer.from("SSH-2.0-x\r\n"), length(body.length), body]);
    expect(readGreeting(bytes).offer).toEqual({
      kex: ["curve25519-sha256"],
      serverHostKey: ["ssh-ed25519", "rsa-sha2-512"],
      cipher: ["aes128-ctr"],
      hmac: ["hmac-sha2-256"],
      compress: ["none", "zlib@openssh.com"],
    });
    for (let cut = 0; cut < bytes.length; cut += 7) expect(readGreeting(bytes.subarray(0, cut)).offer).toBeUndefined();
  });
});

function length(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}
