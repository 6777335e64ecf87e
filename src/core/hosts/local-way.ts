/** Local way: connections made and accepted by this machine, as `Host.forward` promises them. */
import { chmodSync } from "node:fs";
import { lstat, unlink } from "node:fs/promises";
import { type Server, type Socket, connect as dial, createServer } from "node:net";
import type { Duplex } from "node:stream";
import { endpointText } from "../endpoint.ts";
import { cancelled } from "../cancelled.ts";
import { AmiError } from "../errors.ts";
import type { Endpoint, Listening, Way } from "../host.ts";
import { systemCode } from "../unreadable.ts";
import { portHolder } from "./port-holder.ts";

export const localWay: Way = {
  connect,
  listen,
  // This machine does not go away.
  lost: new Promise(() => undefined),
};

async function connect(to: Endpoint, signal?: AbortSignal): Promise<Duplex> {
  if (signal?.aborted === true) throw cancelled("local", signal?.reason);
  const socket = dial({ ...to, allowHalfOpen: true });
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const onAbort = (): void => void socket.destroy(cancelled("local", signal?.reason));
  signal?.addEventListener("abort", onAbort, { once: true });
  socket.once("connect", resolve).once("error", reject);
  try {
    await promise;
    return tended(socket);
  } catch (error) {
    if (error instanceof AmiError) throw error;
    throw new AmiError("host.forward", `cannot connect to ${endpointText(to)} from here: ${wordsOf(error)}`, {
      host: "local",
      hint: `does something listen on ${endpointText(to)}?`,
      retry: "yes",
      cause: error,
    });
  } finally {
    signal?.removeEventListener("abort", onAbort);
    socket.off("error", reject);
  }
}

/** `localhost` is both loopback addresses, so that nobody else can take the other one for himself. */
async function listen(at: Endpoint, accept: (connection: Duplex) => void): Promise<Listening> {
  const servers: Server[] = [];
  const start = async (place: Endpoint): Promise<Endpoint> => {
    const server = createServer({ allowHalfOpen: true }, (socket) => accept(tended(socket)));
    await bind(server, place);
    servers.push(server);
    const address = server.address();
    return "port" in place && typeof address === "object" && address !== null
      ? { host: place.host, port: address.port }
      : place;
  };
  const stop = async (): Promise<void> => {
    await Promise.all(servers.splice(0).map((server) => new Promise((resolve) => server.close(resolve))));
  };
  // Resolves when they listen no more; connections that go on do not hold it up.
  const close = (): Promise<void> => {
    void stop();
    return Promise.resolve();
  };
  if ("path" in at || at.host !== "localhost") return { at: await start(at), close };
  for (let attempt = 1; ; attempt++) {
    const first = await start({ host: "127.0.0.1", port: at.port });
    try {
      if ("port" in first) await start({ host: "::1", port: first.port }).catch(unlessNoSuchAddress);
      return { at: "port" in first ? { host: "localhost", port: first.port } : at, close };
    } catch (error) {
      await close();
      // A port that was chosen may be taken on the other address.
      if (at.port !== 0 || attempt === 10) throw error;
    }
  }
}

async function bind(server: Server, at: Endpoint): Promise<void> {
  const attempt = (): Promise<void> =>
    new Promise((resolve, reject) => {
      server.once("error", reject);
      server.listen("path" in at ? at : { host: at.host === "" ? undefined : at.host, port: at.port }, () => {
        server.off("error", reject);
        server.on("error", () => undefined); // no descriptor left for one client: the next may be luckier
        // As StreamLocalBindMask of ssh: whoever may write to a socket may connect to it.
        if ("path" in at) chmodSync(at.path, 0o600);
        resolve();
      });
    });
  try {
    await attempt();
  } catch (error) {
    if ("path" in at && systemCode(error) === "EADDRINUSE" && (await isDeadSocket(at.path))) {
      await unlink(at.path);
      return attempt().catch((second: unknown) => Promise.reject(listenError(at, second)));
    }
    throw await listenError(at, error);
  }
}

/** A socket that a program which is gone has left behind. */
async function isDeadSocket(path: string): Promise<boolean> {
  if (!(await lstat(path)).isSocket()) return false;
  const socket = dial({ path });
  try {
    return await new Promise((resolve) => {
      socket
        .once("connect", () => resolve(false))
        .once("error", (error) => resolve(systemCode(error) === "ECONNREFUSED"));
    });
  } finally {
    socket.destroy();
  }
}

function tended(socket: Socket): Socket {
  socket.setNoDelay(true);
  socket.setKeepAlive(true, 60_000);
  socket.on("error", () => undefined); // told by `close`
  return socket;
}

function unlessNoSuchAddress(error: unknown): void {
  const code = systemCode(error instanceof AmiError ? error.cause : error);
  if (code !== "EADDRNOTAVAIL" && code !== "EAFNOSUPPORT") throw error;
}

async function listenError(at: Endpoint, cause: unknown): Promise<AmiError> {
  const code = systemCode(cause);
  const [why, hint] = await reasonOf(code, at);
  return new AmiError("host.forward", `cannot listen on ${endpointText(at)} here: ${why ?? wordsOf(cause)}`, {
    host: "local",
    hint,
    retry: code === "EADDRINUSE" ? "yes" : "no",
    cause,
  });
}

async function reasonOf(
  code: string | undefined,
  at: Endpoint,
): Promise<[why: string | undefined, hint: string | undefined]> {
  if (code === "EADDRINUSE") {
    if ("path" in at) return ["something is there already", "remove it if nobody needs it, or choose another path"];
    const holder = await portHolder(at.port);
    const by = holder === undefined ? "another program" : `${holder.name} (pid ${holder.pid})`;
    return [`${by} has the port`, "choose another port; with port 0 a free one is found"];
  }
  if (code === "EACCES" || code === "EPERM") {
    return "port" in at && at.port < 1024
      ? ["ports below 1024 are for root", `choose a port above, as in ${at.port + 8000}`]
      : ["permission denied", "may you write in its folder?"];
  }
  if (code === "EADDRNOTAVAIL")
    return ["this machine does not have that address", "see them with: ami-node system info"];
  return [undefined, undefined];
}

/** `connect ECONNREFUSED 127.0.0.1:1` in words where there are some. */
function wordsOf(error: unknown): string {
  const code = systemCode(error);
  const known: Readonly<Record<string, string>> = {
    ECONNREFUSED: "connection refused",
    ENOENT: "no such file or directory",
    EHOSTUNREACH: "no route to host",
    ENETUNREACH: "network is unreachable",
    ETIMEDOUT: "connection timed out",
    ENOTFOUND: "no such name",
    EACCES: "permission denied",
  };
  return known[code ?? ""] ?? (error instanceof Error ? error.message : String(error));
}
