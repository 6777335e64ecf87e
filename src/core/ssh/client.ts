/** Client: one logged-in ssh connection over a given socket, its host key checked. */
import { Buffer } from "node:buffer";
import type { Duplex } from "node:stream";
import type { Client } from "ssh2";
import { AmiError, asAmiError } from "../errors.ts";
import { type Algorithms, algorithms } from "./algorithms.ts";
import { type Memory, type Method, authenticate } from "./auth.ts";
import type { SshConfig } from "./config/ssh-config.ts";
import { readGreeting } from "./greeting.ts";
import { handshakeError } from "./handshake-error.ts";
import { filesOf, judgeHostKey } from "./host-key.ts";
import type { Identities } from "./identities.ts";
import { type OnOpen, type OpenError, inside } from "./inside.ts";
import { knownKeyTypes } from "./known-hosts.ts";
import type { Ask, SshOptions } from "./options.ts";
import type { Patience } from "./patience.ts";

export interface Connection {
  /** Opens a channel. Rejects with `ChannelRefused` when the server allows no more, with `ChannelLost`. */
  channel(type: "session" | "sftp"): Promise<unknown>;
  /** A TCP connection made by the server. Rejects with `ssh.connect`. */
  forward(host: string, port: number): Promise<Duplex>;
  readonly client: Client;
  readonly isOpen: boolean;
  /** Resolves with the reason when the connection is gone, by `close` too. */
  readonly gone: Promise<AmiError>;
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

export interface ConnectInit {
  /** What the target is called. */
  readonly name: string;
  readonly config: SshConfig;
  readonly socket: Duplex;
  /** Address behind the name, where it is known. */
  readonly address: string | undefined;
  readonly identities: Identities;
  readonly memory: Memory;
  readonly ask: Ask | undefined;
  readonly options: SshOptions;
  readonly patience: Patience;
  /** What the proxy command said on stderr so far. */
  readonly proxySaid?: (() => string) | undefined;
  /** For agent forwarding. */
  readonly agent: string | undefined;
}

/** Rejects with `ssh.*`, `hostkey.*` or `run.cancelled`; the socket is then closed. */
export async function connectClient(init: ConnectInit): Promise<Connection> {
  const { config, name, patience, socket, options } = init;
  const offer = await offerFor(config).catch((error: unknown) => {
    socket.destroy();
    throw error;
  });
  const { Client: SshClient } = (await import("ssh2")).default;
  const client = new SshClient();
  const heard: Buffer[] = [];
  const at: { phase: "the banner" | "key exchange" | "authentication" } = { phase: "the banner" };
  const enter = (phase: typeof at.phase): void => {
    at.phase = phase;
    patience.waitFor(phase);
  };
  enter("the banner");

  const auth = authenticate({
    name,
    host: config.hostName,
    user: config.user,
    identities: init.identities,
    methods: methodsOf(config),
    prompts: config.numberOfPasswordPrompts,
    allowsSha1: /^(?!-).*(?:^|[+^,])ssh-rsa(?:,|$)/.test(config.pubkeyAcceptedAlgorithms ?? ""),
    ask: config.batchMode ? undefined : init.ask,
    pause: patience.pause,
    memory: init.memory,
  });
  const refused = Promise.withResolvers<never>();
  let refusal: unknown;
  const refuse = (reason: unknown): void => {
    refusal ??= reason;
    refused.reject(refusal);
  };
  const broken = Promise.withResolvers<never>();
  const ready = Promise.withResolvers<void>();
  for (const promise of [refused.promise, broken.promise]) promise.catch(() => undefined); // raced below
  let trusted: Buffer | undefined;
  const onAbort = (): void => refuse(patience.signal.reason);

  // Errors are told again by `close`; the first one is the reason.
  let last: Error | undefined;
  const onError = (error: Error): void => void (last ??= error);
  client.on("error", onError);
  client.on("error", (error) => broken.reject(error));
  client.on("close", () => broken.reject(last ?? new Error("closed")));
  client.on("ready", () => ready.resolve());
  client.on("handshake", () => {
    enter("authentication");
    socket.off("data", listen);
  });
  client.on("banner", (text) => options.note?.({ host: name, level: "info", text: text.trimEnd() }));
  client.on("change password", (prompt) =>
    refuse(auth.error(`the password has expired (${prompt.trim()}); log in with ssh once to change it`)),
  );
  const listen = (bytes: Buffer): void => {
    heard.push(bytes);
    if (at.phase === "the banner" && readGreeting(Buffer.concat(heard)).version !== undefined) enter("key exchange");
  };

  try {
    patience.signal.throwIfAborted();
    patience.signal.addEventListener("abort", onAbort, { once: true });
    client.connect({
      sock: socket,
      username: config.user,
      readyTimeout: 0, // `patience` watches the clock
      keepaliveInterval: 1000 * (config.serverAliveInterval > 0 ? config.serverAliveInterval : 15),
      keepaliveCountMax: Math.max(1, config.serverAliveCountMax),
      algorithms: offer,
      authHandler: auth.handler,
      hostVerifier(key: Buffer, verify: (isGood: boolean) => void) {
        // Asked again at each new key exchange: then it has to be the same key.
        if (trusted !== undefined) return verify(trusted.equals(key));
        judgeHostKey({ name, config, address: init.address, key, options, ask: init.ask, pause: patience.pause }).then(
          () => {
            trusted = key;
            verify(true);
          },
          (error: unknown) => {
            refuse(error);
            verify(false);
          },
        );
      },
      ...(config.forwardAgent !== false && init.agent !== undefined ? { agent: init.agent } : {}),
    });
    // ssh2 has paused the socket, so this listener takes nothing away before ssh2 listens itself.
    socket.on("data", listen);
    auth.takeOver(client);
    ignoreHostKeyAnnouncements(client);
    await Promise.race([refused.promise, ready.promise, auth.failed, broken.promise]);
    auth.succeeded();
    patience.end();
    return connection(init, client, () => last);
  } catch (error) {
    client.destroy();
    socket.destroy();
    // A refusal of ours makes ssh2 report errors too; ours is the reason.
    if (refusal !== undefined) throw asAmiError(refusal);
    if (error instanceof AmiError) throw error;
    if (at.phase === "authentication") throw auth.error(wordsOf(error));
    const greeting = readGreeting(Buffer.concat(heard));
    const { hostName: host, port } = config;
    throw handshakeError(error, { name, host, port, offer, greeting, phase: at.phase, proxySaid: init.proxySaid?.() });
  } finally {
    patience.signal.removeEventListener("abort", onAbort);
    socket.off("data", listen);
  }
}

function connection(init: ConnectInit, client: Client, lastError: () => Error | undefined): Connection {
  const { name, config, socket } = init;
  const at = `${config.hostName}:${config.port}`;
  const gone = Promise.withResolvers<AmiError>();
  let isOpen = true;
  const onGone = (): void => {
    isOpen = false;
    const why = lastError()?.message;
    gone.resolve(
      new AmiError("ssh.lost", `the connection to ${at} was lost${why === undefined ? "" : `: ${why}`}`, {
        host: name,
        hint: "what ran there may have gone on or not: look before you repeat it",
        retry: "unknown",
        cause: lastError(),
      }),
    );
  };
  client.on("end", onGone);
  client.on("close", onGone);

  return {
    client,
    get isOpen() {
      return isOpen;
    },
    gone: gone.promise,
    channel(type) {
      const opened = Promise.withResolvers<unknown>();
      const onOpen: OnOpen = Object.assign(
        (error: OpenError | undefined, channel: unknown) => {
          if (error === undefined) opened.resolve(channel);
          else if (isOpen) opened.reject(new ChannelRefused(error.message, { cause: error }));
          // else: `gone` says why
        },
        { type },
      );
      if (isOpen) {
        const { _chanMgr: channels, _protocol: protocol } = inside(client);
        protocol.session(channels.add(onOpen), channelWindow, channelPacket);
      }
      return Promise.race([opened.promise, gone.promise.then((error) => Promise.reject(new ChannelLost(error)))]);
    },
    async forward(host, port) {
      const opened = new Promise<Duplex>((resolve, reject) => {
        client.forwardOut("127.0.0.1", 0, host, port, (error, channel) => (error ? reject(error) : resolve(channel)));
      });
      try {
        return await opened;
      } catch (error) {
        throw new AmiError("ssh.connect", `${name} cannot connect to ${host}:${port}: ${wordsOf(error)}`, {
          host: name,
          hint: `is ${host} up and reachable from ${name}, and does its sshd allow forwarding (AllowTcpForwarding)?`,
          retry: "yes",
          cause: error,
        });
      }
    },
    close() {
      if (!isOpen) return;
      isOpen = false;
      client.end();
      // The goodbye is on its way; nobody waits for the other side to hang up.
      socket.once("finish", () => socket.destroy());
      setTimeout(() => socket.destroy(), 1000).unref();
      gone.resolve(new AmiError("ssh.lost", `the connection to ${at} was closed`, { host: name, retry: "unknown" }));
    },
  };
}

/** What ssh2 counts with for every channel. */
const channelWindow = 2 * 1024 * 1024;
const channelPacket = 32 * 1024;

/** ssh2 would have the server prove each announced key with a signature, and nobody looks at the answer. */
function ignoreHostKeyAnnouncements(client: Client): void {
  const { _handlers: handlers } = inside(client)._protocol;
  const { GLOBAL_REQUEST } = handlers;
  handlers.GLOBAL_REQUEST = (protocol, name, wantReply, data) => {
    if (name !== "hostkeys-00@openssh.com" || wantReply) GLOBAL_REQUEST(protocol, name, wantReply, data);
  };
}

async function offerFor(config: SshConfig): Promise<Algorithms> {
  return algorithms(config, await knownKeyTypes({ ...hostOf(config), ...filesOf(config) }));
}

function methodsOf(config: SshConfig): readonly Method[] {
  const isOn: Record<Method, boolean> = {
    publickey: config.pubkeyAuthentication,
    "keyboard-interactive": config.kbdInteractiveAuthentication,
    password: config.passwordAuthentication,
  };
  const order = config.preferredAuthentications?.split(",").map((word) => word.trim());
  const all = ["publickey", "keyboard-interactive", "password"] as const;
  const wanted = order === undefined ? all : order.flatMap((word) => all.filter((method) => method === word));
  return wanted.filter((method) => isOn[method]);
}

function hostOf(config: SshConfig): { host: string; port: number; hostKeyAlias: string | undefined } {
  return { host: config.hostName, port: config.port, hostKeyAlias: config.hostKeyAlias };
}

function wordsOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
