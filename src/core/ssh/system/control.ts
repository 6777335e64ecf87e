/**
 * Control: what we ask of a running ssh through its control socket (OpenSSH's PROTOCOL.mux, version 4): to carry our
 * channels, and to listen on the other side.
 */
import { Buffer } from "node:buffer";
import { type Socket, connect } from "node:net";
import { readWire, uint32, wire } from "../wire.ts";

export interface RemoteListener {
  /** `*`: every address. Port 0: any free one. */
  readonly at: { readonly host: string; readonly port: number } | { readonly path: string };
  /** Where what is accepted there is connected to here. */
  readonly socket: string;
}

/** A socket whose bytes are the packets of channels from now on. Paused. Rejects with a plain Error. */
export async function openProxy(path: string): Promise<Socket> {
  const control = await openControl(path);
  const answer = await control.ask(code.proxy, Buffer.alloc(0));
  if (answer.kind !== code.proxied) throw refusal(answer, control.socket);
  return control.socket;
}

/** Has the server listen. Resolves with the port it chose. Rejects with a plain Error that holds its reason. */
export async function openRemote(path: string, listener: RemoteListener): Promise<number | undefined> {
  const answer = await askOnce(path, code.openForward, forwardOf(listener));
  if (answer.kind === code.port) return readWire(answer.body).uint32();
  if (answer.kind === code.ok) return undefined;
  throw refusal(answer);
}

/** Accepts nothing more. What the server says to it changes nothing. */
export async function closeRemote(path: string, listener: RemoteListener): Promise<void> {
  await askOnce(path, code.closeForward, forwardOf(listener)).catch(() => undefined);
}

const code = {
  hello: 0x00000001,
  openForward: 0x10000006,
  closeForward: 0x10000007,
  proxy: 0x1000000f,
  ok: 0x80000001,
  denied: 0x80000002,
  failure: 0x80000003,
  port: 0x80000007,
  proxied: 0x8000000f,
} as const;

const version = 4;
const remote = 2;
/** Stands for a path where a port is expected. */
const isPath = 0xfffffffe;

function forwardOf({ at, socket }: RemoteListener): Buffer {
  const listen = "path" in at ? [wire(at.path), uint32(isPath)] : [wire(at.host), uint32(at.port)];
  return Buffer.concat([uint32(remote), ...listen, wire(socket), uint32(isPath)]);
}

interface Answer {
  readonly kind: number;
  readonly body: Buffer;
}

interface Control {
  readonly socket: Socket;
  ask(kind: number, body: Buffer): Promise<Answer>;
}

async function askOnce(path: string, kind: number, body: Buffer): Promise<Answer> {
  const control = await openControl(path);
  try {
    return await control.ask(kind, body);
  } finally {
    control.socket.destroy();
  }
}

async function openControl(path: string): Promise<Control> {
  const socket = connect(path);
  const lost = Promise.withResolvers<never>();
  lost.promise.catch(() => undefined); // raced
  socket.on("error", (error) => lost.reject(error));
  socket.on("close", () => lost.reject(new Error("ssh hung up its control socket")));
  const next = (): Promise<Answer> => Promise.race([readMessage(socket), lost.promise]);
  socket.write(message(code.hello, uint32(version)));
  const hello = await next();
  if (hello.kind !== code.hello) {
    socket.destroy();
    throw new Error("its control socket speaks another protocol");
  }
  return {
    socket,
    async ask(kind, body) {
      socket.write(message(kind, Buffer.concat([uint32(1), body])));
      const answer = await next();
      return { kind: answer.kind, body: answer.body.subarray(4) }; // after the number of the request
    },
  };
}

function message(kind: number, body: Buffer): Buffer {
  return wire(Buffer.concat([uint32(kind), body]));
}

/** One message and not a byte more: what follows may belong to somebody else. */
async function readMessage(socket: Socket): Promise<Answer> {
  const length = (await readBytes(socket, 4)).readUInt32BE(0);
  const bytes = await readBytes(socket, length);
  return { kind: bytes.readUInt32BE(0), body: bytes.subarray(4) };
}

function readBytes(socket: Socket, length: number): Promise<Buffer> {
  return new Promise((resolve) => {
    const look = (): void => {
      const bytes: unknown = socket.read(length);
      if (!Buffer.isBuffer(bytes) || bytes.length < length) return;
      socket.off("readable", look);
      resolve(bytes);
    };
    socket.on("readable", look);
    look();
  });
}

function refusal({ kind, body }: Answer, socket?: Socket): Error {
  socket?.destroy();
  const says = kind === code.failure || kind === code.denied ? readWire(body).text() : `answer ${kind}`;
  return new Error(says);
}
