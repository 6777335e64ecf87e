/** Connection: a logged-in ssh connection: opens channels, and tells when it is gone. */
import type { Duplex } from "node:stream";
import type { Client } from "ssh2";
import { AmiError } from "../errors.ts";
import type { Endpoint, Listening } from "../host.ts";
import { visible } from "../visible.ts";
import { type OnOpen, type OpenError, inside } from "./inside.ts";

export interface Connection {
  /** Opens a channel. Rejects with `ChannelRefused` when the server allows no more, with `ChannelLost`. */
  channel(type: "session" | "sftp"): Promise<unknown>;
  /** A TCP connection made by the server. Rejects with `ssh.connect`. */
  forward(host: string, port: number): Promise<Duplex>;
  /** Present where the server is not asked to listen by requests of ours. Rejects with a plain Error: the reason. */
  listen?(at: Endpoint, accept: (stream: Duplex) => void): Promise<Listening>;
  readonly client: Client;
  readonly isOpen: boolean;
  /** Calls back with the reason when the connection is gone, by `close` too; at once if it is. Returns how to stop. */
  onGone(listener: (reason: AmiError) => void): () => void;
  /** Settles as `work` does, or rejects with the reason when the connection goes first. */
  during<T>(work: Promise<T>): Promise<T>;
  /** Says goodbye and does not wait for an answer. Idempotent. */
  close(): void;
}

/** The server has no room for another channel on this connection. */
export class ChannelRefused extends Error {}

/** The connection went before the channel was open: nothing was started. */
export class ChannelLost extends Error {
  readonly reason: AmiError;

  constructor(reason: AmiError) {
    super(reason.message, { cause: reason });
    this.reason = reason;
  }
}

export interface ConnectionInit {
  /** What the target is called. */
  readonly name: string;
  /** `host:port`, for messages. */
  readonly at: string;
  /** Logged in. */
  readonly client: Client;
  readonly socket: Duplex;
  /** What went wrong first, if anything did. */
  lastError(): Error | undefined;
}

export function connection({ name, at, client, socket, lastError }: ConnectionInit): Connection {
  const listeners = new Set<(reason: AmiError) => void>();
  let gone: AmiError | undefined;
  const goes = (reason: AmiError): void => {
    if (gone !== undefined) return;
    gone = reason;
    for (const listener of listeners) listener(reason);
    listeners.clear();
  };
  const lost = (): void => {
    const why = lastError()?.message;
    const message = `the connection to ${at} was lost${why === undefined ? "" : `: ${visible(why)}`}`;
    const hint = "what ran there may have gone on or not: look before you repeat it";
    goes(new AmiError("ssh.lost", message, { host: name, hint, retry: "unknown", cause: lastError() }));
  };
  client.on("end", lost);
  client.on("close", lost);
  const onGone = (listener: (reason: AmiError) => void): (() => void) => {
    if (gone === undefined) listeners.add(listener);
    else listener(gone);
    return () => listeners.delete(listener);
  };

  return {
    client,
    get isOpen() {
      return gone === undefined;
    },
    onGone,
    async during(work) {
      const cut = Promise.withResolvers<never>();
      const stop = onGone(cut.reject);
      try {
        return await Promise.race([cut.promise, work]);
      } finally {
        stop();
      }
    },
    async channel(type) {
      const opened = Promise.withResolvers<unknown>();
      const onOpen: OnOpen = Object.assign(
        (error: OpenError | undefined, channel: unknown) => {
          if (error === undefined) opened.resolve(channel);
          else if (gone === undefined) opened.reject(new ChannelRefused(error.message, { cause: error }));
          // else: whoever listens to `onGone` knows why
        },
        { type },
      );
      const stop = onGone((reason) => opened.reject(new ChannelLost(reason)));
      if (gone === undefined) {
        const { _chanMgr: channels, _protocol: protocol } = inside(client);
        protocol.session(channels.add(onOpen), channelWindow, channelPacket);
      }
      try {
        return await opened.promise;
      } finally {
        stop();
      }
    },
    async forward(host, port) {
      const opened = new Promise<Duplex>((resolve, reject) => {
        client.forwardOut("127.0.0.1", 0, host, port, (error, channel) => (error ? reject(error) : resolve(channel)));
      });
      try {
        return await opened;
      } catch (error) {
        throw new AmiError("ssh.connect", `${name} cannot connect to ${host}:${port}: ${visible(wordsOf(error))}`, {
          host: name,
          hint: `is ${host} up and reachable from ${name}, and does its sshd allow forwarding (AllowTcpForwarding)?`,
          retry: "yes",
          cause: error,
        });
      }
    },
    close() {
      if (gone !== undefined) return;
      client.end();
      // The goodbye is on its way; nobody waits for the other side to hang up.
      socket.once("finish", () => socket.destroy());
      setTimeout(() => socket.destroy(), 1000).unref();
      goes(new AmiError("ssh.lost", `the connection to ${at} was closed`, { host: name, retry: "unknown" }));
    },
  };
}

/** What ssh2 counts with for every channel. */
const channelWindow = 2 * 1024 * 1024;
const channelPacket = 32 * 1024;

function wordsOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
