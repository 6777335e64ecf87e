/** Route: the way to a server: straight, over jump hosts, or through a program. */
import type { Duplex } from "node:stream";
import type { Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { AmiError, asAmiError, isErrorCode } from "../errors.ts";
import { parseJump } from "./config/jump.ts";
import type { SshConfig } from "./config/ssh-config.ts";
import { dial } from "./dial.ts";
import type { Patience } from "./patience.ts";
import { startProxy } from "./proxy.ts";

export interface Route {
  readonly socket: Duplex;
  /** The address behind the name, where we looked it up ourselves. */
  readonly address: string | undefined;
  readonly proxySaid?: (() => string) | undefined;
}

/** Something that can reach further: a jump host. */
export interface Jump {
  readonly name: string;
  forward(host: string, port: number): Promise<Duplex>;
}

/** The last hop before `config`'s host, and what is left of the chain for that hop. Undefined: there is none. */
export function lastHop(
  name: string,
  config: SshConfig,
): { host: string; user: string | undefined; port: number | undefined; before: string | undefined } | undefined {
  const chain = config.proxyJump;
  if (chain === undefined || chain === "none") return undefined;
  const hop = parseJump(chain)?.at(-1);
  if (hop === undefined) {
    throw new AmiError("config.invalid", `ProxyJump ${chain} for ${name} cannot be read`, {
      host: name,
      hint: "write it as [user@]host[:port], several with commas between",
    });
  }
  const cut = chain.lastIndexOf(",");
  return { host: hop.host, user: hop.user, port: hop.port, before: cut < 0 ? undefined : chain.slice(0, cut) };
}

/** What a ProxyCommand is run by, and where. */
export interface ProxyPlace {
  readonly shell: string;
  readonly env?: Readonly<Record<string, string | undefined>> | undefined;
  readonly cwd?: string | undefined;
}

/** Opens the way; `place` is for a ProxyCommand. Rejects with `ssh.connect`, or the reason of `patience`. */
export async function openRoute(
  name: string,
  config: SshConfig,
  jump: Jump | undefined,
  patience: Patience,
  place: ProxyPlace = { shell: process.env["SHELL"] || "/bin/sh" },
): Promise<Route> {
  if (jump !== undefined) {
    patience.waitFor("the TCP connection");
    return { socket: await over(jump, name, config, patience), address: undefined };
  }
  if (config.proxyCommand !== undefined && config.proxyCommand !== "none") {
    patience.waitFor("the proxy command");
    const { socket, said } = startProxy(config.proxyCommand, place);
    return { socket, address: undefined, proxySaid: said };
  }
  const { hostName: host, port, addressFamily, bindAddress, tcpKeepAlive } = config;
  // Without a ConnectTimeout half of the time is for the network, the other half for what the server does.
  const limit = config.connectTimeout === undefined ? 15_000 : undefined;
  const address = { name, host, port, addressFamily, bindAddress, tcpKeepAlive };
  const socket = await dialOften(config.connectionAttempts, () => dial(address, patience, limit), patience);
  gatherWrites(socket);
  return { socket, address: socket.remoteAddress };
}

/** ConnectionAttempts: once a second, as ssh does, and no longer than there is patience. */
async function dialOften<T>(attempts: number, once: () => Promise<T>, { signal }: Patience): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await once();
    } catch (error) {
      if (attempt >= attempts || signal.aborted || asAmiError(error).retry !== "yes") throw error;
      await sleep(1000, undefined, { signal }).catch(() => signal.throwIfAborted());
    }
  }
}

async function over(jump: Jump, name: string, config: SshConfig, patience: Patience): Promise<Duplex> {
  const late = Promise.withResolvers<never>();
  late.promise.catch(() => undefined); // raced
  const onAbort = (): void => late.reject(patience.signal.reason);
  patience.signal.addEventListener("abort", onAbort, { once: true });
  const opening = jump.forward(config.hostName, config.port);
  try {
    return await Promise.race([opening, late.promise]);
  } catch (error) {
    opening.then(
      (socket) => socket.destroy(),
      () => undefined,
    );
    throw patience.signal.aborted ? error : throughJump(error, jump.name, name);
  } finally {
    patience.signal.removeEventListener("abort", onAbort);
  }
}

/** An error on the way there, said about the target that cannot be reached because of it. */
export function throughJump(error: unknown, jump: string, name: string): AmiError {
  const { code, message, hint, retry } = asAmiError(error);
  const init = { host: name, hint, retry, cause: error };
  return new AmiError(isErrorCode(code) ? code : "internal.bug", `jump host ${jump}: ${message}`, init);
}

/** ssh2 writes a packet's parts one by one; gathered they make one system call and one segment. */
export function gatherWrites(socket: Socket): void {
  const { write } = socket;
  let gathering = false;
  Reflect.set(socket, "write", (...args: unknown[]): unknown => {
    if (!gathering) {
      gathering = true;
      socket.cork();
      setImmediate(() => {
        gathering = false;
        socket.uncork();
      });
    }
    const wasTaken: unknown = Reflect.apply(write, socket, args);
    return wasTaken;
  });
}
