/**
 * Inside: the parts of ssh2 1.17 we use beyond its public interface, all of them, in one place.
 *
 * Why at all: each saves a round trip per login or per command, or a way to hang. ssh2 asks the server whether it wants
 * a key before it signs (1), waits for the service reply before it authenticates (1), waits for the reply to `exec`
 * before it lets stdin through (1), and answers OpenSSH's host key announcement with a request that costs the server
 * one signature per host key.
 * The version is pinned in package.json; `inside()` checks every member when a connection is made, and
 * test/unit/core/ssh/inside.test.ts holds it against the installed package.
 */
import { Buffer } from "node:buffer";
import { createSecretKey } from "node:crypto";
import type { Duplex, Readable } from "node:stream";
import type { Client, SFTPWrapper } from "ssh2";
import { AmiError } from "../errors.ts";

/** Signs `data` and hands the signature on; may do so later. */
export type SignWith = (data: Buffer, done: (signature: Buffer) => void) => void;

export interface Protocol {
  service(name: string): void;
  authNone(user: string): void;
  /** Without `sign`: asks whether the key would do (answer: PK_OK or failure). */
  authPK(user: string, blob: Buffer, algorithm: string, sign?: SignWith): void;
  session(channel: number, window: number, packet: number): void;
  env(channel: number, key: string, value: string, wantReply: boolean): void;
  pty(
    channel: number,
    rows: number,
    columns: number,
    height: number,
    width: number,
    term: string,
    modes: object | null,
    wantReply: boolean,
  ): void;
  exec(channel: number, command: string, wantReply: boolean): void;
  shell(channel: number, wantReply: boolean): void;
  subsystem(channel: number, name: string, wantReply: boolean): void;
  openssh_agentForward(channel: number, wantReply: boolean): void;
  /** Asks what every server answers, with success or failure, and nobody does anything about. */
  ping(): void;
  readonly _handlers: Handlers;
}

export interface Handlers {
  EXT_INFO(protocol: unknown, extensions: readonly { name: string; algs?: readonly string[] }[]): void;
  USERAUTH_PK_OK(protocol: unknown): void;
  GLOBAL_REQUEST(protocol: unknown, name: string, wantReply: boolean, data: unknown): void;
}

export interface Inside {
  readonly _protocol: Protocol;
  readonly _chanMgr: { add(onOpen: OnOpen): number };
  /** One for each global request that awaits its reply, oldest first. */
  readonly _callbacks: unknown[];
  readonly _remoteVer?: string | undefined;
  _agentFwdEnabled?: boolean;
}

/** `type` decides what ssh2 makes of the new channel: a stream, or its SFTP client. */
export type OnOpen = ((error: OpenError | undefined, channel: unknown) => void) & { type: "session" | "sftp" };

/** `reason` is the server's number: 1 prohibited, 2 connect failed, 3 unknown type, 4 resource shortage. */
export type OpenError = Error & { reason?: number | string };

export interface InsideChannel {
  readonly outgoing: { readonly id: number; readonly state: string };
  /** `eof`: the other side has sent all it will. */
  readonly incoming: { readonly state: string };
  /** One for each channel request that awaits its reply, oldest first; called with true or an error when refused. */
  readonly _callbacks: ((refused: boolean | Error) => void)[];
  subtype?: string | undefined;
}

export type SessionChannel = Duplex &
  InsideChannel & {
    readonly stderr: Readable;
    close(): void;
    setWindow(rows: number, columns: number, height: number, width: number): void;
  };

export type ForwardChannel = Duplex & InsideChannel & { close(): void };

export type SftpChannel = SFTPWrapper &
  InsideChannel & {
    _init(): void;
    readonly _extensions: Readonly<Record<string, string>>;
  };

/** The insides of a client that `connect` was called on. */
export function inside(client: Client): Inside {
  if (!hasInside(client)) throw stranger();
  return client;
}

export function isSessionChannel(channel: unknown): channel is SessionChannel {
  return isChannel(channel) && "stderr" in channel && "setWindow" in channel && "pipe" in channel;
}

export function isForwardChannel(channel: unknown): channel is ForwardChannel {
  return isChannel(channel) && "pipe" in channel && "close" in channel;
}

export function isSftpChannel(channel: unknown): channel is SftpChannel {
  return isChannel(channel) && "_init" in channel && "_extensions" in channel && "fastPut" in channel;
}

/**
 * ssh2 hands node:crypto the bytes of the key with each packet, which makes a key object of them each time: half the
 * cost of a packet of 32 KiB on Node 24. To be called after each key exchange.
 */
export function easeKeys(client: Client): void {
  const { _protocol: protocol } = inside(client);
  for (const [owner, member] of [
    ["_cipher", "_encKey"],
    ["_decipher", "_decipherKey"],
  ] as const) {
    const found: unknown = Reflect.get(protocol, owner);
    if (typeof found !== "object" || found === null) continue;
    const key: unknown = Reflect.get(found, member);
    if (Buffer.isBuffer(key)) Reflect.set(found, member, createSecretKey(key));
  }
}

/** What to throw when something of ssh2 is not as we know it. */
export function stranger(): AmiError {
  return new AmiError("internal.bug", "the ssh2 library is not the version this program was written for", {
    hint: "install the pinned version: npm ci",
  });
}

const protocolMembers = [
  "service",
  "authNone",
  "authPK",
  "session",
  "env",
  "pty",
  "exec",
  "shell",
  "subsystem",
  "openssh_agentForward",
  "ping",
] as const satisfies (keyof Protocol)[];

const handlers = ["EXT_INFO", "USERAUTH_PK_OK", "GLOBAL_REQUEST"] as const satisfies (keyof Handlers)[];

function hasInside(client: object): client is Client & Inside {
  return (
    "_protocol" in client &&
    hasFunctions(client._protocol, protocolMembers) &&
    "_handlers" in client._protocol &&
    hasFunctions(client._protocol._handlers, handlers) &&
    "_chanMgr" in client &&
    hasFunctions(client._chanMgr, ["add"]) &&
    "_callbacks" in client &&
    Array.isArray(client._callbacks) &&
    "_remoteVer" in client
  );
}

function isChannel(channel: unknown): channel is InsideChannel {
  return (
    typeof channel === "object" &&
    channel !== null &&
    "_callbacks" in channel &&
    Array.isArray(channel._callbacks) &&
    "outgoing" in channel &&
    isState(channel.outgoing) &&
    "incoming" in channel &&
    isState(channel.incoming)
  );
}

function isState(value: unknown): boolean {
  return typeof value === "object" && value !== null && "id" in value && "state" in value;
}

function hasFunctions(value: unknown, names: readonly string[]): value is object {
  return (
    typeof value === "object" && value !== null && names.every((name) => typeof Reflect.get(value, name) === "function")
  );
}
