/** Greeting: what a server says in the clear before the encryption starts; for errors that name both sides. Pure. */
import type { Buffer } from "node:buffer";

export interface Greeting {
  /** `SSH-2.0-OpenSSH_9.2p1 ...`; undefined: it never said so. */
  readonly version: string | undefined;
  /** Readable text that is no version line: why an overloaded sshd turns us away, or what a web server says. */
  readonly text: string;
  /** What it can do; undefined before its offer arrived. */
  readonly offer: ServerOffer | undefined;
}

export interface ServerOffer {
  readonly kex: readonly string[];
  readonly serverHostKey: readonly string[];
  readonly cipher: readonly string[];
  readonly hmac: readonly string[];
  readonly compress: readonly string[];
}

const KEXINIT = 20;

export function readGreeting(bytes: Buffer): Greeting {
  const said: string[] = [];
  let at = 0;
  for (;;) {
    const end = bytes.indexOf(10, at);
    const line = bytes.toString("latin1", at, end < 0 ? Math.min(bytes.length, at + 256) : end).replace(/\r$/, "");
    if (end >= 0 && line.startsWith("SSH-")) {
      return { version: line, text: printable(said), offer: readOffer(bytes.subarray(end + 1)) };
    }
    if (line !== "") said.push(line);
    if (end < 0 || said.length > 20) return { version: undefined, text: printable(said), offer: undefined };
    at = end + 1;
  }
}

/** An unencrypted packet: length, padding length, type, 16 random bytes, name lists. */
function readOffer(bytes: Buffer): ServerOffer | undefined {
  if (bytes.length < 22 || bytes[5] !== KEXINIT || bytes.length < 4 + bytes.readUInt32BE(0)) return undefined;
  let at = 22;
  const list = (): readonly string[] => {
    const length = at + 4 <= bytes.length ? bytes.readUInt32BE(at) : 0;
    const text = bytes.toString("latin1", at + 4, at + 4 + length);
    at += 4 + length;
    return text === "" ? [] : text.split(",");
  };
  const kex = list().filter((name) => !/^(ext-info|kex-strict)-/.test(name));
  const serverHostKey = list();
  const cipher = list();
  list(); // the other direction: servers offer the same both ways
  const hmac = list();
  list();
  return { kex, serverHostKey, cipher, hmac, compress: list() };
}

/** One line that is safe to print. */
function printable(lines: readonly string[]): string {
  return lines
    .slice(0, 3)
    .join(" / ")
    .replace(/[^\x20-\x7e]/g, "?")
    .slice(0, 200);
}
