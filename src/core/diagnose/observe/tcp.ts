/** TCP: which of the addresses can be connected to, and what is behind those that cannot. */
import { type Socket, connect } from "node:net";
import type { Host } from "../../host.ts";

export interface Dialled {
  readonly address: string;
  /** `open`, `silent`, or the system's code: ECONNREFUSED. */
  readonly end: string;
  readonly ms: number;
}

export interface TcpSeen {
  readonly port: number;
  readonly dialled: readonly Dialled[];
  /** Only when none could be connected to: other signs of life of the first address. */
  readonly life?: SignsOfLife | undefined;
}

export interface SignsOfLife {
  readonly ping: "answered" | "silent" | "unknown";
  /** Other ports tried, with what came of each. */
  readonly ports: readonly (Dialled & { readonly port: number; readonly says: string })[];
}

export interface TcpWish {
  readonly port: number;
  readonly addresses: readonly string[];
  readonly bindAddress: string | undefined;
  readonly patience: number;
  /** This machine, for `ping`. */
  readonly local: Host;
  readonly signal: AbortSignal;
}

/** All at once. `socket`: connected to the first address that can be; the caller closes it. */
export async function observeTcp(wish: TcpWish): Promise<TcpSeen & { readonly socket: Socket | undefined }> {
  const { port, addresses, bindAddress, patience, signal } = wish;
  // When one is open the others get a second more: a silent one costs every login as long.
  const enough = new AbortController();
  const tried = await Promise.all(
    addresses.map(async (address) => {
      const way = { bindAddress, patience, signal: AbortSignal.any([signal, enough.signal]) };
      const one = await dialOne(address, port, way, false);
      if (one.end === "open") setTimeout(() => enough.abort(), Math.min(1000, patience)).unref();
      return one;
    }),
  );
  signal.throwIfAborted();
  const [first, ...others] = tried.filter(({ end }) => end === "open");
  for (const { socket } of others) socket.destroy();
  const dialled = tried.map(({ address, end, ms }) => ({ address, end, ms }));
  const [address] = addresses;
  const life = first === undefined && address !== undefined ? await signsOfLife(address, wish) : undefined;
  return { port, dialled, life, socket: first?.socket };
}

type Tried = Dialled & { readonly socket: Socket; readonly says: string };
interface Way {
  readonly bindAddress: string | undefined;
  readonly patience: number;
  readonly signal: AbortSignal;
}

/** `listens`: wait a moment for the first words. */
async function dialOne(address: string, port: number, way: Way, listens: boolean): Promise<Tried> {
  const { bindAddress, patience, signal } = way;
  signal.throwIfAborted();
  const started = performance.now();
  const socket = connect({
    host: address,
    port,
    ...(bindAddress === undefined ? {} : { localAddress: bindAddress }),
  });
  socket.setNoDelay(true);
  const stop = (): void => void socket.destroy();
  signal.addEventListener("abort", stop, { once: true });
  const { promise, resolve } = Promise.withResolvers<string>();
  socket.on("connect", () => resolve("open"));
  socket.on("error", (error) => resolve("code" in error ? String(error.code) : error.message));
  socket.on("close", () => resolve(signal.aborted ? "silent" : "closed"));
  const timer = setTimeout(() => resolve("silent"), patience);
  const end = await promise;
  clearTimeout(timer);
  const ms = performance.now() - started;
  const says = listens && end === "open" ? await firstWords(socket, patience) : "";
  signal.removeEventListener("abort", stop);
  if (end !== "open") socket.destroy();
  return { address, end: end === "ETIMEDOUT" ? "silent" : end, ms, socket, says };
}

function firstWords(socket: Socket, ms: number): Promise<string> {
  const { promise, resolve } = Promise.withResolvers<string>();
  const timer = setTimeout(() => resolve(""), ms);
  socket.once("data", (bytes: Buffer) => resolve(bytes.toString("latin1").split(/\r?\n/)[0] ?? ""));
  socket.once("close", () => resolve(""));
  return promise.finally(() => {
    clearTimeout(timer);
    socket.destroy();
  });
}

/** A machine that refuses a connection is alive. */
async function signsOfLife(address: string, wish: TcpWish): Promise<SignsOfLife> {
  const { local, port, signal, bindAddress } = wish;
  const patience = Math.min(wish.patience, 1000);
  const ping = async (): Promise<SignsOfLife["ping"]> => {
    const seconds = String(Math.ceil(patience / 1000));
    const argv = ["ping", "-n", "-c", "1", "-W", seconds, address] as const;
    const { exit } = await local.exec(argv, { signal, timeout: patience + 500 });
    return exit.code === 0 ? "answered" : exit.code === 1 ? "silent" : "unknown";
  };
  const [pinged, ...ports] = await Promise.all([
    ping().catch(() => "unknown" as const),
    ...[22, 2222, 80, 443]
      .filter((other) => other !== port)
      .map(async (other) => {
        const { end, ms, says } = await dialOne(address, other, { bindAddress, patience, signal }, other !== 443);
        return { port: other, address, end, ms, says };
      }),
  ]);
  return { ping: pinged, ports };
}

export function at(address: string, port: number): string {
  return address.includes(":") ? `[${address}]:${port}` : `${address}:${port}`;
}
