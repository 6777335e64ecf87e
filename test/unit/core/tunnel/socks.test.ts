import { Buffer } from "node:buffer";
import { Duplex, duplexPair } from "node:stream";
import { setImmediate as soon } from "node:timers/promises";
import { describe, expect, it } from "vitest";
import { endpointText } from "../../../../src/core/endpoint.ts";
import { readSocks } from "../../../../src/core/tunnel/socks.ts";

/** What a client sends, whole or byte by byte, and what it hears. */
function client(bytes: readonly number[], { ends = false, split = false } = {}) {
  const [near, far] = duplexPair();
  const heard: Buffer[] = [];
  far.on("data", (piece: Buffer) => heard.push(piece));
  if (split) for (const byte of bytes) far.write(Buffer.from([byte]));
  else far.write(Buffer.from(bytes));
  if (ends) far.end();
  return { near, heard: async () => (await soon(), await soon(), Buffer.concat(heard).toJSON().data) };
}

const text = (word: string): number[] => [...Buffer.from(word)];
const hello = [5, 1, 0];
const welcome = [5, 0];
const answer = (code: number): number[] => [5, code, 0, 1, 0, 0, 0, 0, 0, 0];

describe("SOCKS", () => {
  const asks: readonly [string, number[], string][] = [
    ["5, IPv4", [...hello, 5, 1, 0, 1, 10, 0, 0, 7, 0, 80], "10.0.0.7:80"],
    ["5, a name", [...hello, 5, 1, 0, 3, 6, ...text("db.lan"), 21, 56], "db.lan:5432"],
    ["5, IPv6", [...hello, 5, 1, 0, 4, ...Array<number>(15).fill(0), 1, 1, 187], "[0:0:0:0:0:0:0:1]:443"],
    ["5, several methods", [5, 3, 2, 1, 0, 5, 1, 0, 1, 1, 2, 3, 4, 0, 1], "1.2.3.4:1"],
    ["4", [4, 1, 0, 80, 10, 0, 0, 7, ...text("me"), 0], "10.0.0.7:80"],
    ["4a", [4, 1, 0, 80, 0, 0, 0, 1, 0, ...text("web.lan"), 0], "web.lan:80"],
  ];
  for (const split of [false, true]) {
    it.each(asks)(`%s${split ? ", byte by byte" : ""}`, async (_, bytes, to) => {
      const { near } = client(bytes, { split });
      const request = await readSocks(near);
      expect(request === undefined ? "" : endpointText(request.to)).toBe(to);
    });
  }

  it("answers, and leaves what was sent along in the stream", async () => {
    const { near, heard } = client([...hello, 5, 1, 0, 1, 10, 0, 0, 7, 0, 80, ...text("GET /")]);
    const request = await readSocks(near);
    request?.granted();
    expect(await heard()).toEqual([...welcome, ...answer(0)]);
    expect(String(near.read())).toBe("GET /");
    const old = client([4, 1, 0, 80, 10, 0, 0, 7, 0]);
    (await readSocks(old.near))?.granted();
    expect(await old.heard()).toEqual([0, 0x5a, 0, 0, 0, 0, 0, 0]);
  });

  it.each([
    ["the server does not allow connections to x", 2],
    ["cannot connect to x: network is unreachable", 3],
    ["cannot connect to x: no route to host", 4],
    ["cannot connect to x: name or service not known", 4],
    ["cannot connect to x: connection refused", 5],
    ["cannot connect to x: connection timed out", 6],
    ["whatever", 1],
  ])("says why not: %s", async (message, code) => {
    const { near, heard } = client([...hello, 5, 1, 0, 1, 10, 0, 0, 7, 0, 80]);
    (await readSocks(near))?.refused(new Error(message));
    expect(await heard()).toEqual([...welcome, ...answer(code)]);
  });

  it.each([
    ["a password only", [5, 1, 2], [5, 255]],
    ["BIND", [...hello, 5, 2, 0, 1, 10, 0, 0, 7, 0, 80], [...welcome, ...answer(7)]],
    ["UDP", [...hello, 5, 3, 0, 1, 10, 0, 0, 7, 0, 80], [...welcome, ...answer(7)]],
    ["a strange address", [...hello, 5, 1, 0, 9, 10, 0, 0, 7, 0, 80], [...welcome, ...answer(8)]],
    ["BIND of 4", [4, 2, 0, 80, 10, 0, 0, 7, 0], [0, 0x5b, 0, 0, 0, 0, 0, 0]],
  ])("refuses %s", async (_, bytes, said) => {
    const { near, heard } = client(bytes);
    expect(await readSocks(near)).toBeUndefined();
    expect(await heard()).toEqual(said);
  });

  it("does not mind who leaves at any point", async () => {
    for (const [, bytes] of asks) {
      for (let cut = 0; cut < bytes.length; cut++) {
        const { near } = client(bytes.slice(0, cut), { ends: true });
        expect(await readSocks(near), bytes.slice(0, cut).join(" ")).toBeUndefined();
      }
    }
    const gone = new Duplex({ read: () => undefined });
    setImmediate(() => gone.destroy());
    expect(await readSocks(gone)).toBeUndefined();
  });

  it("knows who speaks something else, and words without end", async () => {
    for (const [word, spoke] of [
      ["GET / HTTP/1.1\r\n", "HTTP"],
      ["\u0016\u0003\u0001", "TLS"],
    ] as const) {
      await expect(readSocks(client(text(word)).near)).rejects.toMatchObject({
        code: "host.forward",
        message: expect.stringContaining(spoke),
      });
    }
    const endless = client([4, 1, 0, 80, 10, 0, 0, 7, ...Array<number>(1000).fill(65)]);
    expect(await readSocks(endless.near)).toBeUndefined();
  });
});
