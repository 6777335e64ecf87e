/**
 * Socks: the server's side of SOCKS 4, 4a and 5 (RFC 1928), CONNECT without authentication: learns where a client wants
 * to go, and answers.
 */
import { Buffer } from "node:buffer";
import type { Duplex } from "node:stream";
import { AmiError } from "../errors.ts";
import type { Endpoint } from "../host.ts";

export interface SocksRequest {
  readonly to: Endpoint;
  /** Tells the client that from now on it talks to `to`. */
  granted(): void;
  /** Tells the client why not, in the words its protocol has for it. */
  refused(error: unknown): void;
}

/**
 * Reads the request. What follows it stays in the stream. Undefined when the client is told that it asked for something
 * we lack, or left. Rejects with `host.forward` for something that is no SOCKS at all.
 */
export async function readSocks(client: Duplex): Promise<SocksRequest | undefined> {
  const take = taker(client);
  const [version] = (await take(1)) ?? [];
  if (version === undefined) return undefined;
  if (version === 5) return readSocks5(client, take);
  if (version === 4) return readSocks4(client, take);
  // 0x16 begins TLS; letters begin HTTP, whose proxies people mix up with SOCKS.
  const spoke = version === 0x16 ? "TLS" : version >= 0x41 && version <= 0x5a ? "HTTP" : "something else";
  throw new AmiError("host.forward", `a client spoke ${spoke} where SOCKS is spoken`, {
    hint: "set it to SOCKS5 (curl --socks5-hostname, socks5h://)",
  });
}

async function readSocks5(client: Duplex, take: Take): Promise<SocksRequest | undefined> {
  const [count = 0] = (await take(1)) ?? [];
  const methods = await take(count);
  if (methods === undefined) return undefined;
  if (!methods.includes(noAuthentication)) {
    client.write(Buffer.from([5, 0xff]));
    return undefined;
  }
  client.write(Buffer.from([5, noAuthentication]));
  const [, wish, , type] = (await take(4)) ?? [];
  if (type === undefined) return undefined;
  const reply = (code: number): void => void client.write(Buffer.from([5, code, 0, 1, 0, 0, 0, 0, 0, 0]));
  const host = await readHost5(type, take);
  if (host === undefined) {
    if (!client.readableEnded) reply(replies.addressType);
    return undefined;
  }
  const port = (await take(2))?.readUInt16BE();
  if (port === undefined) return undefined;
  if (wish !== connectWish) {
    reply(replies.command);
    return undefined;
  }
  return {
    to: { host, port },
    granted: () => reply(replies.granted),
    refused: (error) => reply(reasonOf(error)),
  };
}

async function readHost5(type: number, take: Take): Promise<string | undefined> {
  if (type === 1) return (await take(4))?.join(".");
  if (type === 3) {
    const [length = 0] = (await take(1)) ?? [];
    return length === 0 ? undefined : (await take(length))?.toString("latin1");
  }
  if (type !== 4) return undefined;
  const bytes = await take(16);
  if (bytes === undefined) return undefined;
  return Array.from({ length: 8 }, (_, i) => bytes.readUInt16BE(i * 2).toString(16)).join(":");
}

/** 4a: an address 0.0.0.x says that a name follows. */
async function readSocks4(client: Duplex, take: Take): Promise<SocksRequest | undefined> {
  const head = await take(7);
  const user = head === undefined ? undefined : await takeWord(take);
  if (head === undefined || user === undefined) return undefined;
  const address = head.subarray(3, 7);
  const isNamed = address.readUInt32BE() < 256 && address[3] !== 0;
  const host = isNamed ? await takeWord(take) : address.join(".");
  if (host === undefined) return undefined;
  const reply = (code: number): void => void client.write(Buffer.from([0, code, 0, 0, 0, 0, 0, 0]));
  if (head[0] !== connectWish || host === "") {
    reply(replies4.refused);
    return undefined;
  }
  return {
    to: { host, port: head.readUInt16BE(1) },
    granted: () => reply(replies4.granted),
    refused: () => reply(replies4.refused),
  };
}

const noAuthentication = 0;
const connectWish = 1;
const replies4 = { granted: 0x5a, refused: 0x5b } as const;
/** RFC 1928, section 6. */
const replies = {
  granted: 0,
  failure: 1,
  notAllowed: 2,
  network: 3,
  host: 4,
  connection: 5,
  ttl: 6,
  command: 7,
  addressType: 8,
} as const;

/** The far side tells why in words only. */
function reasonOf(error: unknown): number {
  const words = error instanceof Error ? error.message.toLowerCase() : "";
  if (/does not allow|prohibited/.test(words)) return replies.notAllowed;
  if (words.includes("refused")) return replies.connection;
  if (words.includes("network is unreachable")) return replies.network;
  if (/no route|unreachable|name or service|no such name|name resolution|no address/.test(words)) return replies.host;
  return words.includes("timed out") ? replies.ttl : replies.failure;
}

/** So many bytes; undefined when the client left before. */
type Take = (count: number) => Promise<Buffer | undefined>;

function taker(client: Duplex): Take {
  return async (count) => {
    if (count === 0) return Buffer.alloc(0);
    for (;;) {
      const bytes: unknown = client.read(count);
      // At the end of a stream what is left comes, however little it is.
      if (Buffer.isBuffer(bytes)) return bytes.length === count ? bytes : undefined;
      if (client.readableEnded || client.destroyed || !(await moreOf(client))) return undefined;
    }
  };
}

function moreOf(client: Duplex): Promise<boolean> {
  return new Promise((resolve) => {
    const settle = (more: boolean) => (): void => {
      for (const [event, listener] of listeners) client.off(event, listener);
      resolve(more);
    };
    const listeners = [
      ["readable", settle(true)],
      ["end", settle(false)],
      ["close", settle(false)],
    ] as const;
    for (const [event, listener] of listeners) client.once(event, listener);
  });
}

const longestWord = 255;

/** Up to a zero byte. */
async function takeWord(take: Take): Promise<string | undefined> {
  const bytes: number[] = [];
  while (bytes.length <= longestWord) {
    const [byte] = (await take(1)) ?? [];
    if (byte === undefined) return undefined;
    if (byte === 0) return Buffer.from(bytes).toString("latin1");
    bytes.push(byte);
  }
  return undefined;
}
