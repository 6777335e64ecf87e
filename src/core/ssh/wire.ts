/** Wire: strings and numbers as ssh writes them (RFC 4251, section 5), in packets, keys, certificates and agent messages. */
import { Buffer } from "node:buffer";

/** Strings: length first. */
export function wire(...parts: readonly (string | Buffer)[]): Buffer {
  return Buffer.concat(
    parts.flatMap((part) => {
      const bytes = Buffer.from(part);
      return [uint32(bytes.length), bytes];
    }),
  );
}

/** The bytes of a number that is not negative: no needless zeros, one leading zero where the first bit is set. */
export function positive(bytes: Buffer): Buffer {
  let start = 0;
  while (start < bytes.length && bytes[start] === 0) start++;
  const short = bytes.subarray(start);
  return (short[0] ?? 0) >= 0x80 ? Buffer.concat([Buffer.from([0]), short]) : short;
}

export function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}

export function uint64(value: bigint): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64BE(value);
  return bytes;
}

export interface WireReader {
  /** Throws a plain Error when the bytes end before the string does. */
  string(): Buffer;
  text(): string;
  uint32(): number;
  byte(): number;
  readonly left: number;
}

export function readWire(bytes: Buffer): WireReader {
  let at = 0;
  const take = (length: number): Buffer => {
    if (at + length > bytes.length) throw new Error("it is cut short");
    at += length;
    return bytes.subarray(at - length, at);
  };
  const number = (): number => take(4).readUInt32BE(0);
  const string = (): Buffer => take(number());
  return {
    string,
    text: () => string().toString("utf8"),
    uint32: number,
    byte: () => take(1).readUInt8(0),
    get left() {
      return bytes.length - at;
    },
  };
}
