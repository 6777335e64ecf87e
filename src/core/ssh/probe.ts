/**
 * Probe: what a server says in the clear before anybody logs in, and whether large packets reach it.
 * Raw bytes on a socket: it works where no common algorithm exists, and tells one silence from another.
 */
import { Buffer } from "node:buffer";
import { randomBytes } from "node:crypto";
import type { Duplex } from "node:stream";
import { type Greeting, readGreeting } from "./greeting.ts";

export interface ProbeWish {
  readonly socket: Duplex;
  /** Milliseconds to wait for the banner, and again for the offer. */
  readonly patience: number;
  /** Milliseconds to wait for the answer to a large packet. */
  readonly largePatience: number;
  readonly signal: AbortSignal;
}

export interface Probe {
  readonly greeting: Greeting;
  /** The first bytes as they came, at most 64. */
  readonly first: Buffer;
  /** How the wait for banner and offer ended. */
  readonly end: "offer" | "silent" | "closed";
  /** Milliseconds from the start to the version line, and to the offer. */
  readonly bannerMs: number | undefined;
  readonly offerMs: number | undefined;
  readonly strictKex: boolean;
  /**
   * A packet of four kilobytes followed by a question: `lost` when the question went unanswered although the same
   * question alone was answered a moment before. `unknown`: the server answers no such question.
   */
  readonly large: "passed" | "lost" | "unknown";
  readonly largeMs: number | undefined;
}

/** Never rejects but when aborted. Ends the socket. */
export async function probe({ socket, patience, largePatience, signal }: ProbeWish): Promise<Probe> {
  const started = performance.now();
  const since = (): number => performance.now() - started;
  const ear = listen(socket, signal);
  try {
    socket.write(ourVersion);
    const hasBanner = await ear.until((bytes) => readGreeting(bytes).version !== undefined, patience);
    const bannerMs = hasBanner ? since() : undefined;
    const hasOffer = hasBanner && (await ear.until((bytes) => readGreeting(bytes).offer !== undefined, patience));
    const offerMs = hasOffer ? since() : undefined;
    const heard = ear.heard();
    const common = {
      greeting: readGreeting(heard),
      first: heard.subarray(0, 64),
      bannerMs,
      offerMs,
      strictKex: heard.includes("kex-strict-s-v00@openssh.com"),
    };
    if (!hasOffer)
      return { ...common, end: ear.isClosed() ? "closed" : "silent", large: "unknown", largeMs: undefined };

    // In the clear an unknown message is answered by "unimplemented", which names it by its number.
    socket.write(packet(unknownMessage));
    const control = await ear.until((bytes) => answers(bytes).includes(0), patience);
    if (!control) return { ...common, end: "offer", large: "unknown", largeMs: undefined };
    const before = since();
    socket.write(Buffer.concat([packet(largeIgnored), packet(unknownMessage)]));
    const passed = await ear.until((bytes) => answers(bytes).includes(2), largePatience);
    const large = passed ? "passed" : ear.isClosed() ? "unknown" : "lost";
    if (passed) socket.write(packet(goodbye));
    return { ...common, end: "offer", large, largeMs: passed ? since() - before : undefined };
  } finally {
    ear.stop();
    socket.end();
    setTimeout(() => socket.destroy(), 500).unref();
  }
}

const ourVersion = "SSH-2.0-ami-node_diagnose\r\n";
const DISCONNECT = 1;
const IGNORE = 2;
const UNIMPLEMENTED = 3;
/** Given to nobody, and of the transport's own range: for one from outside of it (50 and up) OpenSSH hangs up. */
const unknownMessage = Buffer.from([19]);
/** Three Ethernet frames; random, so that nothing on the way makes it smaller. */
const largeIgnored = Buffer.concat([Buffer.from([IGNORE]), text(randomBytes(4096))]);
/** By application (11), without words. */
const goodbye = Buffer.concat([Buffer.from([DISCONNECT, 0, 0, 0, 11]), text(Buffer.alloc(0)), text(Buffer.alloc(0))]);

function listen(socket: Duplex, signal: AbortSignal) {
  let heard = Buffer.alloc(0);
  let isClosed = false;
  let wake: (() => void) | undefined;
  const onData = (bytes: Buffer): void => {
    heard = Buffer.concat([heard, bytes]);
    wake?.();
  };
  const onClose = (): void => {
    isClosed = true;
    wake?.();
  };
  const onAbort = (): void => wake?.();
  socket.on("data", onData).on("end", onClose).on("close", onClose).on("error", onClose);
  signal.addEventListener("abort", onAbort, { once: true });
  return {
    heard: () => heard,
    isClosed: () => isClosed,
    /** False: closed or out of time before it came true. */
    async until(isThere: (bytes: Buffer) => boolean, ms: number): Promise<boolean> {
      const deadline = performance.now() + ms;
      for (;;) {
        signal.throwIfAborted();
        if (isThere(heard)) return true;
        const left = deadline - performance.now();
        if (isClosed || left <= 0 || heard.length > mostBytes) return false;
        const woken = Promise.withResolvers<void>();
        wake = woken.resolve;
        const timer = setTimeout(woken.resolve, left);
        await woken.promise;
        clearTimeout(timer);
      }
    },
    stop() {
      signal.removeEventListener("abort", onAbort);
      socket.off("data", onData);
      socket.resume(); // what still comes is thrown away, so that the end is seen
    },
  };
}

/** No server says so much before a login; a stranger might never stop. */
const mostBytes = 256 * 1024;

/** Numbers of our messages that the server did not know. */
function answers(bytes: Buffer): number[] {
  const numbers: number[] = [];
  const version = bytes.indexOf("SSH-");
  let at = version < 0 ? -1 : bytes.indexOf(10, version) + 1;
  while (at > 0 && at + 6 <= bytes.length) {
    const length = bytes.readUInt32BE(at);
    if (bytes[at + 5] === UNIMPLEMENTED && at + 10 <= bytes.length) numbers.push(bytes.readUInt32BE(at + 6));
    at += 4 + length;
  }
  return numbers;
}

/** An unencrypted packet: its length, the padding's length, the payload, padding up to a multiple of eight. */
function packet(payload: Buffer): Buffer {
  const padding = 4 + ((8 - ((5 + payload.length + 4) % 8)) % 8);
  const head = Buffer.alloc(5);
  head.writeUInt32BE(1 + payload.length + padding);
  head[4] = padding;
  return Buffer.concat([head, payload, Buffer.alloc(padding)]);
}

function text(bytes: Buffer): Buffer {
  const length = Buffer.alloc(4);
  length.writeUInt32BE(bytes.length);
  return Buffer.concat([length, bytes]);
}
