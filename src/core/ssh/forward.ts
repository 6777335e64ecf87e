/** Forward: connections carried by a logged-in ssh connection, to what the server reaches and from who reaches it. */
import type { Buffer } from "node:buffer";
import { Duplex } from "node:stream";
import type { Client } from "ssh2";
import { endpointText } from "../endpoint.ts";
import { AmiError } from "../errors.ts";
import type { Endpoint, Listening, Way } from "../host.ts";
import type { Connection } from "./connection.ts";
import type { Link } from "./link.ts";
import { type ForwardChannel, isForwardChannel, stranger } from "./inside.ts";
import { cancelled } from "./patience.ts";

/** As `Host.forward`: a way over whichever connection of the link is there, or over a new one. */
export async function openWay(link: Link, signal?: AbortSignal): Promise<Way> {
  const connection = await link.connection(signal);
  const { name } = link;
  return {
    connect: (to, connectSignal) => connect(connection, name, to, connectSignal),
    listen: (at, accept) => listen(connection, name, at, accept),
    lost: new Promise((resolve) => connection.onGone(resolve)),
  };
}

async function connect(
  connection: Connection,
  name: string,
  to: Endpoint,
  signal: AbortSignal | undefined,
): Promise<Duplex> {
  if (signal?.aborted === true) throw cancelled(name, signal.reason);
  const { promise: aborted, reject: abort } = Promise.withResolvers<never>();
  aborted.catch(() => undefined); // raced
  const onAbort = (): void => abort(cancelled(name, signal?.reason));
  signal?.addEventListener("abort", onAbort, { once: true });
  const opening = openChannel(connection.client, to);
  try {
    return streamOf(await connection.during(Promise.race([opening, aborted])));
  } catch (error) {
    // One that comes too late is closed.
    opening.then(
      (channel) => channel.close(),
      () => undefined,
    );
    throw error instanceof AmiError ? error : connectError(name, to, error);
  } finally {
    signal?.removeEventListener("abort", onAbort);
  }
}

function openChannel(client: Client, to: Endpoint): Promise<ForwardChannel> {
  return new Promise((resolve, reject) => {
    const done = (error: Error | undefined, channel: unknown): void => {
      if (error !== undefined) reject(error);
      else if (isForwardChannel(channel)) resolve(channel);
      else reject(stranger());
    };
    if ("path" in to) client.openssh_forwardOutStreamLocal(to.path, done);
    else client.forwardOut("127.0.0.1", 0, to.host, to.port, done);
  });
}

async function listen(
  connection: Connection,
  name: string,
  at: Endpoint,
  accept: (stream: Duplex) => void,
): Promise<Listening> {
  const { client } = connection;
  if (connection.listen !== undefined) {
    return connection.during(connection.listen(at, accept)).catch((error: unknown) => {
      throw error instanceof AmiError ? error : listenError(name, at, error);
    });
  }
  const accepting = acceptingOf(client);
  const take = (channel: ForwardChannel): void => accept(streamOf(channel));
  let there = at;
  // At once, not when a promise gets round to it: the first connection may be in the same packet as the answer.
  const granted = (port: number): void => {
    if ("port" in at) there = { host: at.host, port };
    accepting.set(keyOf(there), take);
  };
  await connection.during(request(client, at, granted)).catch((error: unknown) => {
    throw error instanceof AmiError ? error : listenError(name, at, error);
  });
  return {
    at: there,
    async close() {
      if (!accepting.delete(keyOf(there)) || !connection.isOpen) return;
      // What the server says to it changes nothing: nothing is accepted any more.
      await connection.during(withdraw(client, there)).catch(() => undefined);
    },
  };
}

/** Asks the server to listen. */
function request(client: Client, at: Endpoint, granted: (port: number) => void): Promise<void> {
  return new Promise((resolve, reject) => {
    const done = (error: Error | null | undefined, port = 0): void => {
      if (error) return reject(error);
      granted(port);
      resolve();
    };
    if ("path" in at) client.openssh_forwardInStreamLocal(at.path, (error) => done(error));
    else client.forwardIn(at.host, at.port, done);
  });
}

function withdraw(client: Client, at: Endpoint): Promise<void> {
  return new Promise((resolve, reject) => {
    const done = (error?: Error | null): void => (error ? reject(error) : resolve());
    if ("path" in at) client.openssh_unforwardInStreamLocal(at.path, done);
    else client.unforwardIn(at.host, at.port, done);
  });
}

/** Who takes what is accepted at an address, for each connection. */
const acceptors = new WeakMap<Client, Map<string, (channel: ForwardChannel) => void>>();

function acceptingOf(client: Client): Map<string, (channel: ForwardChannel) => void> {
  const known = acceptors.get(client);
  if (known !== undefined) return known;
  const all = new Map<string, (channel: ForwardChannel) => void>();
  acceptors.set(client, all);
  const onConnection = (at: Endpoint, accept: () => unknown, refuse: () => void): void => {
    const take = all.get(keyOf(at));
    if (take === undefined) return refuse();
    const channel = accept();
    if (!isForwardChannel(channel)) throw stranger();
    take(channel);
  };
  client.on("tcp connection", ({ destIP: host, destPort: port }, accept, refuse) =>
    onConnection({ host, port }, accept, refuse),
  );
  client.on("unix connection", ({ socketPath: path }, accept, refuse) => onConnection({ path }, accept, refuse));
  return all;
}

function keyOf(at: Endpoint): string {
  return "path" in at ? at.path : `${at.host}:${at.port}`;
}

/** A stream of its own, as ssh2's neither calls back for writes to a closed channel nor tells when all is over. */
function streamOf(channel: ForwardChannel): Duplex {
  let isClosed = false;
  let waiting: (() => void) | undefined;
  const stream = new Duplex({
    allowHalfOpen: true,
    read: () => void channel.resume(),
    write(bytes: Buffer, _encoding, done) {
      if (isClosed || channel.outgoing.state !== "open") return done();
      waiting = () => {
        waiting = undefined;
        done();
      };
      channel.write(bytes, () => waiting?.());
    },
    final(done) {
      channel.end();
      done();
    },
    destroy(error, done) {
      channel.resume(); // what nobody reads any more is thrown away, so that the channel can close
      channel.close();
      done(error);
    },
  });
  let isOver = false;
  channel.on("data", (bytes: Buffer) => {
    if (!stream.destroyed && !stream.push(bytes)) channel.pause();
  });
  channel.once("end", () => stream.push(null));
  stream.once("end", () => {
    isOver = true;
    if (isClosed) stream.destroy();
  });
  // The other side is gone altogether: there is nobody to write to, but all that came is still read.
  channel.once("close", () => {
    isClosed = true;
    waiting?.();
    if (isOver) stream.destroy();
  });
  channel.on("error", () => undefined); // told by `close`
  return stream;
}

function connectError(name: string, to: Endpoint, cause: unknown): AmiError {
  const { message, reason } = failureOf(cause);
  const where = endpointText(to);
  if (reason === 1) {
    return new AmiError("host.forward", `the server does not allow connections to ${where}`, {
      host: name,
      hint: "see AllowTcpForwarding, AllowStreamLocalForwarding and PermitOpen of its sshd_config, and authorized_keys",
      cause,
    });
  }
  return new AmiError("host.forward", `cannot connect to ${where}: ${message}`, {
    host: name,
    hint: reason === 4 ? "it has no room for more connections at once" : `does something listen on ${where}?`,
    retry: "yes",
    cause,
  });
}

/** The server says no and nothing else. */
function listenError(name: string, at: Endpoint, cause: unknown): AmiError {
  const isLow = "port" in at && at.port > 0 && at.port < 1024;
  const reasons = [
    "path" in at ? "the path exists or its folder may not be written" : "the port is in use there",
    isLow ? "ports below 1024 are for root" : undefined,
    "path" in at
      ? "AllowStreamLocalForwarding of its sshd_config forbids it"
      : "AllowTcpForwarding or PermitListen of its sshd_config forbid it",
  ].filter((reason) => reason !== undefined);
  const look = "path" in at ? `ls -l ${at.path}` : `ss -ltnp sport = :${at.port}`;
  return new AmiError("host.forward", `the server refuses to listen on ${endpointText(at)}`, {
    host: name,
    hint: `${reasons.join(", or ")}; look with: ami-node ssh execute '${look}' --target ${name}`,
    retry: "yes",
    cause,
  });
}

function failureOf(error: unknown): { message: string; reason: unknown } {
  const message = error instanceof Error ? error.message.replace(/^\(SSH\) Channel open failure: /, "") : String(error);
  const reason = typeof error === "object" && error !== null && "reason" in error ? error.reason : undefined;
  return { message: message.slice(0, 1).toLowerCase() + message.slice(1), reason };
}
