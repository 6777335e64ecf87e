/**
 * Keep: holds tunnels open for as long as they are wanted. What listens here goes on listening when the connection
 * breaks; it is made again, later each time, and what listened on the far side listens there once more.
 */
import type { Duplex } from "node:stream";
import { setTimeout as sleep } from "node:timers/promises";
import { endpointText } from "../endpoint.ts";
import { AmiError, asAmiError, errorJson } from "../errors.ts";
import type { Events } from "../events.ts";
import type { Endpoint, Host, Listening, Way } from "../host.ts";
import { waitBefore } from "../retry.ts";
import { type Gate, createGate } from "./gate.ts";
import { readSocks } from "./socks.ts";
import { type Tunnel, toText } from "./spec.ts";
import { finish, splice } from "./splice.ts";

export interface KeepWish {
  readonly here: Host;
  readonly far: Host;
  readonly tunnels: readonly Tunnel[];
  readonly events: Events;
  /** Aborted when they are wanted no more. */
  readonly signal: AbortSignal;
}

export interface Kept {
  /** With the ports that were chosen. */
  readonly tunnels: readonly Tunnel[];
  /** Connections carried. */
  readonly served: number;
}

/**
 * Resolves when the signal is aborted. Rejects with `host.*` or `ssh.*` when they could not be opened in the first
 * place, and with what no waiting mends (a changed host key) later on.
 */
export async function keepTunnels(wish: KeepWish): Promise<Kept> {
  const { far, events, signal } = wish;
  const near = await wayOf(wish.here, signal);
  let way = await wayOf(far, signal);
  const gate = createGate(way, far.name);
  const clients = createClients(wish, near, gate);
  const openHere: Listening[] = [];
  /** Of the connection that is there now: those of a broken one went with it. */
  let openThere: Listening[] = [];
  let tunnels: Tunnel[] = [];

  const listen = async (on: Way, tunnel: Tunnel): Promise<Tunnel> => {
    const listening = await on.listen(tunnel.at, (client) => void clients.serve(tunnel, client));
    (tunnel.listens === "here" ? openHere : openThere).push(listening);
    return { ...tunnel, at: listening.at };
  };
  const say = (tunnel: Tunnel, again: boolean): void => {
    const { listens, at, to } = tunnel;
    events.emit({ kind: "tunnel.up", host: far.name, listens, listen: endpointText(at), to: toText(to), again });
  };
  const listenAgain = async (tunnel: Tunnel): Promise<void> => {
    await listen(way, tunnel).catch(async (error: unknown) => {
      if (!("path" in tunnel.at) || !(await clearSocket(far, way, tunnel.at))) throw error;
      return listen(way, tunnel);
    });
  };
  /** Until the connection and all that listened on the far side are there again. */
  const recover = async (lost: AmiError, failures: number): Promise<void> => {
    let owed = tunnels.filter(({ listens }) => listens === "there");
    let reason = lost;
    let refusals = 0;
    for (let attempt = failures + 1; ; attempt++) {
      const wait = waitBefore(attempt, Math.random());
      events.emit({ kind: "tunnel.lost", host: far.name, error: errorJson(reason), attempt, wait });
      await sleep(wait, undefined, { signal });
      try {
        const next = await wayOf(far, signal);
        if (next !== way) {
          owed = tunnels.filter(({ listens }) => listens === "there");
          openThere = [];
        }
        way = next;
        gate.open(way);
        while (owed[0] !== undefined) {
          await listenAgain(owed[0]);
          owed = owed.slice(1);
        }
        for (const tunnel of tunnels) say(tunnel, true);
        return;
      } catch (error) {
        if (signal.aborted) throw error;
        reason = asAmiError(error);
        refusals = reason.code === "ssh.auth" ? refusals + 1 : 0;
        if (isHopeless(reason) || refusals === mostRefusals) throw reason;
      }
    }
  };

  try {
    for (const tunnel of wish.tunnels) tunnels.push(await listen(tunnel.listens === "here" ? near : way, tunnel));
    for (const tunnel of tunnels) say(tunnel, false);
    for (let failures = 0; !signal.aborted;) {
      const since = performance.now();
      const lost = await untilLost(way, signal);
      if (lost === undefined) break;
      gate.shut();
      failures = performance.now() - since < steadyAfter ? failures + 1 : 0;
      await recover(lost, failures);
    }
  } catch (error) {
    if (!signal.aborted || tunnels.length < wish.tunnels.length) throw error;
  } finally {
    gate.shut();
    await Promise.all([...openHere, ...openThere].map((listening) => listening.close()));
    clients.end();
  }
  return { tunnels, served: clients.served() };
}

/** How often a server may turn us away in a row before we stop: it may be starting (nologin), or mean it. */
const mostRefusals = 5;
/** Milliseconds: a connection that breaks sooner counts as one more that failed, so that a flapping one is not hammered. */
const steadyAfter = 5000;

async function wayOf(host: Host, signal: AbortSignal): Promise<Way> {
  if (host.forward !== undefined) return host.forward(signal);
  throw new AmiError("host.unsupported", "it cannot carry connections", { host: host.name });
}

/** Undefined when aborted first. */
async function untilLost(way: Way, signal: AbortSignal): Promise<AmiError | undefined> {
  const { promise, resolve } = Promise.withResolvers<undefined>();
  const onAbort = (): void => resolve(undefined);
  signal.addEventListener("abort", onAbort, { once: true });
  if (signal.aborted) onAbort();
  try {
    return await Promise.race([way.lost, promise]);
  } finally {
    signal.removeEventListener("abort", onAbort);
  }
}

/** No waiting mends it, and going on might do harm. */
function isHopeless({ code }: AmiError): boolean {
  return /^(hostkey|config|usage|tool|internal)\./.test(code) || code === "host.unsupported";
}

/** The server of the broken connection leaves its socket behind. It was ours; is it still nobody else's? */
async function clearSocket(far: Host, way: Way, at: { readonly path: string }): Promise<boolean> {
  const answers = await way.connect(at).then(
    (stream) => stream.destroy(),
    () => undefined,
  );
  if (answers !== undefined) return false;
  const { exit } = await far.exec(["sh", "-c", '[ -S "$1" ] && rm -f -- "$1"', "sh", at.path]);
  return exit.code === 0;
}

interface Clients {
  serve(tunnel: Tunnel, client: Duplex): Promise<void>;
  served(): number;
  end(): void;
}

function createClients({ far, events, signal }: KeepWish, near: Way, gate: Gate): Clients {
  const all = new Set<Duplex>();
  const complained = new Map<string, number>();
  let served = 0;

  /** A browser tries a dead service again and again: each reason is told once in a while. */
  const complain = (error: unknown): void => {
    const { message, hint, code } = asAmiError(error);
    if (code === "run.cancelled") return;
    const text = hint === undefined ? message : `${message} (${hint})`;
    const before = complained.get(text);
    if (before !== undefined && performance.now() - before < silence) return;
    // One that runs for months meets many reasons.
    for (const [old, at] of complained) if (performance.now() - at >= silence) complained.delete(old);
    complained.set(text, performance.now());
    events.emit({ kind: "note", host: far.name, level: "warn", text });
  };
  const connect = async ({ listens }: Tunnel, to: Endpoint, left: AbortSignal): Promise<Duplex> => {
    if (listens === "there") return near.connect(to, left);
    try {
      return await (await gate.way(left)).connect(to, left);
    } catch (error) {
      // It broke before anything was sent: the next connection will do.
      if (asAmiError(error).code !== "ssh.lost" || left.aborted) throw error;
      return (await gate.way(left)).connect(to, left);
    }
  };

  return {
    async serve(tunnel, client) {
      const left = new AbortController();
      all.add(client);
      client.on("error", () => undefined); // told by `close`
      client.once("close", () => {
        all.delete(client);
        left.abort();
      });
      if (signal.aborted) client.destroy();
      try {
        const request = tunnel.to === "socks" ? await readSocks(client) : plain(tunnel.to);
        if (request === undefined) return finish(client);
        const other = await connect(tunnel, request.to, left.signal).catch((error: unknown) => {
          request.refused(error);
          throw error;
        });
        request.granted();
        served++;
        await splice(client, other);
      } catch (error) {
        complain(error);
        finish(client);
      }
    },
    served: () => served,
    end() {
      for (const client of all) client.destroy();
    },
  };
}

/** Milliseconds. */
const silence = 30_000;

function plain(to: Endpoint) {
  return { to, granted: () => undefined, refused: (_error: unknown) => undefined };
}
