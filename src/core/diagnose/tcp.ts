/** TCP: which of the addresses can be connected to, and what is behind those that cannot. */
import { type Socket, connect } from "node:net";
import type { Host } from "../host.ts";
import { about, certain, type Finding, here, likely, possible, there } from "./finding.ts";

const { ok, warn, fail } = about("tcp");

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

/** Pure. `name`: how to call it on a command line, without a port. */
export function judgeTcp({ port, dialled, life }: TcpSeen, name: string): Finding[] {
  const evidence = [
    ...dialled.map(({ address, end, ms }) => `${at(address, port)}: ${words[end] ?? end} (${ms.toFixed(0)} ms)`),
    ...(life === undefined ? [] : lifeEvidence(life)),
  ];
  const ends = dialled.map(({ end }) => end);
  const open = dialled.find(({ end }) => end === "open");
  if (open !== undefined) {
    const silent = dialled.filter(({ end }) => end === "silent");
    if (silent.length === 0) return [ok("tcp", `${at(open.address, port)} can be connected to`, { evidence })];
    return [
      warn("tcp.some-silent", `${silent.map(({ address }) => address).join(", ")} does not answer, another does`, {
        evidence,
        cause: likely("that address of the name is old, or its network has no way to here (often IPv6)"),
        fix: here(`ssh -o AddressFamily=${open.address.includes(":") ? "inet6" : "inet"} ${name}`),
      }),
    ];
  }
  const address = dialled[0]?.address ?? name;
  const isAlive = life?.ping === "answered" || life?.ports.some(({ end }) => end === "open" || end === "ECONNREFUSED");
  const elsewhere = life?.ports.find(({ says }) => says.startsWith("SSH-"));
  if (ends.includes("ECONNREFUSED")) {
    if (elsewhere !== undefined) {
      return [
        fail("tcp.refused", `${at(address, port)} refuses connections, but an sshd answers on port ${elsewhere.port}`, {
          evidence,
          cause: likely(`sshd listens on port ${elsewhere.port}, and ${port} is the wrong one`),
          fix: here(`ami-node ssh diagnose ${name}:${elsewhere.port}`),
        }),
      ];
    }
    return [
      fail("tcp.refused", `${at(address, port)} refuses connections: nobody listens there`, {
        evidence,
        cause: likely("sshd is not running, or listens on another port"),
        fix: there("sudo systemctl enable --now ssh || sudo systemctl enable --now sshd"),
      }),
    ];
  }
  const openPort = there(`sudo iptables -I INPUT -p tcp --dport ${port} -j ACCEPT`);
  const unreachable = dialled.find(({ end }) => end === "EHOSTUNREACH" || end === "EACCES" || end === "EPERM");
  if (unreachable !== undefined) {
    // Nobody at home takes a second or more to find out; a firewall says it at once.
    if (isAlive === true || unreachable.ms < 500) {
      return [
        fail("tcp.rejected", `a firewall rejects connections to ${at(unreachable.address, port)}`, {
          evidence,
          cause: isAlive
            ? certain("the machine is there: it is no missing route, whatever ssh says, but a rule that rejects")
            : likely("the answer came at once: a firewall gives it, on the machine or on the way"),
          fix: openPort,
        }),
      ];
    }
    return [
      fail("tcp.no-machine", `nobody is at ${unreachable.address}`, {
        evidence,
        cause: likely("the machine is off, or has another address now"),
        fix: here(`ip neigh show ${unreachable.address}`),
      }),
    ];
  }
  if (ends.includes("ENETUNREACH") || ends.includes("EADDRNOTAVAIL")) {
    return [
      fail("tcp.no-route", `this machine has no way to ${address}`, {
        evidence,
        cause: likely("a VPN or network is not up here, or BindAddress names an address that is not ours"),
        fix: here(`ip route get ${address}`),
      }),
    ];
  }
  if (isAlive === true) {
    return [
      fail("tcp.dropped", `the machine is up, and port ${port} does not answer`, {
        evidence,
        cause: certain(`a firewall drops what goes to port ${port}: a closed port would have refused`),
        fix: openPort,
      }),
    ];
  }
  return [
    fail("tcp.silent", `${at(address, port)} does not answer, and neither does anything else there`, {
      evidence,
      cause: possible("the machine is off, the address is wrong, or a firewall drops everything"),
      fix: here(`traceroute -n ${address}`),
    }),
  ];
}

function lifeEvidence({ ping, ports }: SignsOfLife): string[] {
  const said = ports.map(
    ({ port, end, says }) => `port ${port}: ${words[end] ?? end}${says === "" ? "" : ` (${says})`}`,
  );
  return [...(ping === "unknown" ? [] : [`ping: ${ping}`]), `other ports: ${said.join(", ")}`];
}

const words: Readonly<Record<string, string>> = {
  open: "connected",
  silent: "no answer",
  ECONNREFUSED: "refused",
  EHOSTUNREACH: "host unreachable",
  ENETUNREACH: "network unreachable",
  ECONNRESET: "reset",
  EADDRNOTAVAIL: "not from the address asked for",
};

export function at(address: string, port: number): string {
  return address.includes(":") ? `[${address}]:${port}` : `${address}:${port}`;
}
