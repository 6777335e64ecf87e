/**
 * Packets: the layer of ssh2 1.17 beneath logins, as far as we reach into it: for certificates, which it lacks, and to
 * carry channels over a connection that somebody else has logged in. As in inside.ts every member is checked when it is
 * needed, and test/unit/core/ssh/inside.test.ts holds the installed package against it.
 */
import type { Buffer } from "node:buffer";
import type { Client } from "ssh2";
import { stranger } from "./inside.ts";

export interface Packets {
  /** Says hello; ssh2 calls it, once, as soon as it has its socket. */
  start?: (() => void) | undefined;
  parse(bytes: Buffer, from: number, length: number): void;
  /** The key exchange that is under way, or was the last. */
  _kex: KeyExchange | undefined;
  /** Set while keys are exchanged: whatever is sent meanwhile waits in `_queue`. */
  _kexinit: Buffer | undefined;
  _queue?: Buffer[] | undefined;
  _authenticated: boolean;
  _offer: Offer;
  _cipher: Cipher;
  _decipher: Decipher | undefined;
  readonly _packetRW: {
    readonly write: { allocStart: number; alloc(length: number): Buffer; finalize(packet: Buffer): Buffer };
  };
  /** Names of the methods whose answers are awaited. */
  readonly _authsQueue: string[];
  _onWrite(bytes: Buffer): void;
  _onPayload(payload: Buffer): void;
}

export interface Cipher {
  outSeqno: number;
  allocPacket(length: number): Buffer;
  encrypt(packet: Buffer): void;
  free(): void;
}

export interface Decipher {
  inSeqno: number;
  decrypt(bytes: Buffer, from: number, length: number): number | undefined;
  free(): void;
}

/** What is offered to the server in a key exchange. */
export interface Offer {
  readonly lists: {
    readonly kex: Names;
    readonly serverHostKey: Names;
    readonly cs: Direction;
    readonly sc: Direction;
  };
}
interface Names {
  readonly array: readonly string[];
}
interface Direction {
  readonly cipher: Names;
  readonly mac: Names;
  readonly compress: Names;
  readonly lang: Names;
}

export interface KeyExchange {
  readonly sessionID: Buffer | undefined;
  readonly negotiated: { serverHostKey: string };
  _hostKey: Buffer | undefined;
  parse(payload: Buffer): unknown;
  finish(...args: unknown[]): unknown;
  getPublicKey(): unknown;
}

/** The packets of a client that `connect` was called on. */
export function packets(client: Client): Packets {
  const protocol: unknown = Reflect.get(client, "_protocol");
  if (!isPackets(protocol)) throw stranger();
  return protocol;
}

/** As ssh2's own requests go out. `payload` is the message without its frame. */
export function sendPayload(to: Packets, payload: Buffer): void {
  const { write } = to._packetRW;
  const packet = write.alloc(payload.length);
  packet.set(payload, write.allocStart);
  const whole = write.finalize(packet);
  if (to._kexinit === undefined) to._cipher.encrypt(whole);
  else (to._queue ??= []).push(whole);
}

/** The same offer with other host key algorithms, made the way ssh2 made it. */
export function withHostKeys(offer: Offer, names: readonly string[]): Offer {
  const { kex, cs, sc } = offer.lists;
  const direction = ({ cipher, mac, compress, lang }: Direction): object => ({
    cipher: cipher.array,
    mac: mac.array,
    compress: compress.array,
    lang: lang.array.filter((name) => name !== ""),
  });
  const wish = { kex: kex.array, serverHostKey: [...names], cs: direction(cs), sc: direction(sc) };
  const made: unknown = Reflect.construct(offer.constructor, [wish]);
  if (!isOffer(made)) throw stranger();
  return made;
}

export function isKeyExchange(value: unknown): value is KeyExchange {
  return hasFunctions(value, ["parse", "finish", "getPublicKey"]) && "negotiated" in value && "_hostKey" in value;
}

function isPackets(value: unknown): value is Packets {
  return (
    hasFunctions(value, ["parse", "_onWrite", "_onPayload"]) &&
    ["_kex", "_kexinit", "_decipher", "_authenticated"].every((name) => name in value) &&
    hasFunctions(Reflect.get(value, "_cipher"), ["allocPacket", "encrypt", "free"]) &&
    Array.isArray(Reflect.get(value, "_authsQueue")) &&
    isOffer(Reflect.get(value, "_offer")) &&
    hasFunctions(Reflect.get(Reflect.get(value, "_packetRW") ?? {}, "write"), ["alloc", "finalize"])
  );
}

function isOffer(value: unknown): value is Offer {
  const lists: unknown = typeof value === "object" && value !== null ? Reflect.get(value, "lists") : undefined;
  return (
    typeof lists === "object" &&
    lists !== null &&
    ["kex", "serverHostKey", "cs", "sc"].every((name) => Reflect.get(lists, name) !== undefined)
  );
}

function hasFunctions(value: unknown, names: readonly string[]): value is object {
  return (
    typeof value === "object" && value !== null && names.every((name) => typeof Reflect.get(value, name) === "function")
  );
}
