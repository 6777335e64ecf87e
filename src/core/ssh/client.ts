/** Client: makes a logged-in ssh connection over a given socket, its host key checked. */
import { Buffer } from "node:buffer";
import type { Duplex } from "node:stream";
import type { Client } from "ssh2";
import { AmiError, asAmiError } from "../errors.ts";
import { visible } from "../visible.ts";
import { type Algorithms, algorithms, mayKeysUse } from "./algorithms.ts";
import { authenticate } from "./auth.ts";
import { offerHostKeys } from "./certified.ts";
import type { SshConfig } from "./config/ssh-config.ts";
import { type Connection, connection } from "./connection.ts";
import { readGreeting } from "./greeting.ts";
import { handshakeError } from "./handshake-error.ts";
import { filesOf, hostOf, judgeHostKey, plainHostKey } from "./host-key.ts";
import type { Identities } from "./identities.ts";
import { easeKeys, inside } from "./inside.ts";
import { certAuthorities, knownKeyTypes } from "./known-hosts.ts";
import type { Memory, Method } from "./login.ts";
import type { Ask, SshOptions } from "./options.ts";
import type { Patience } from "./patience.ts";
import type { Watch } from "./watch.ts";

export interface ConnectInit {
  /** What the target is called. */
  readonly name: string;
  readonly config: SshConfig;
  readonly socket: Duplex;
  /** Address behind the name, where it is known. */
  readonly address: string | undefined;
  readonly identities: Identities;
  /** As `Login.keyFirst`. */
  readonly keyFirst?: boolean | undefined;
  readonly memory: Memory;
  readonly ask: Ask | undefined;
  readonly options: SshOptions;
  readonly patience: Patience;
  /** What the proxy command said on stderr so far. */
  readonly proxySaid?: (() => string) | undefined;
  /** For agent forwarding. */
  readonly agent: string | undefined;
  readonly watch?: Watch | undefined;
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
  const { forwardAgent } = config;
  const forwardedAgent = forwardAgent === true ? init.agent : forwardAgent === false ? undefined : forwardAgent;
  const heard: Buffer[] = [];
  const at: { phase: "the banner" | "key exchange" | "authentication" } = { phase: "the banner" };
  const enter = (phase: typeof at.phase): void => {
    at.phase = phase;
    init.watch?.phase?.(phase);
    patience.waitFor(phase);
  };
  enter("the banner");

  const auth = authenticate({
    name,
    host: config.hostName,
    user: config.user,
    identities: init.identities,
    methods: methodsOf(config),
    keyFirst: init.keyFirst === true,
    prompts: config.numberOfPasswordPrompts,
    mayUse: mayKeysUse(config.pubkeyAcceptedAlgorithms),
    ask: config.batchMode ? undefined : init.ask,
    pause: patience.pause,
    memory: init.memory,
    watch: init.watch,
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
    easeKeys(client);
    enter("authentication");
    socket.off("data", listen);
  });
  client.on("banner", (text) => {
    if (!/^(QUIET|FATAL|ERROR)$/.test(config.logLevel))
      options.note?.({ host: name, level: "info", text: visible(text).trimEnd() });
  });
  client.on("change password", (prompt) =>
    refuse(auth.error(`the password has expired (${visible(prompt).trim()}); log in with ssh once to change it`)),
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
        // Asked again at each new key exchange: then it has to be the same key, whatever certificate it has got since.
        const plain = plainHostKey(key);
        if (trusted !== undefined) return verify(trusted.equals(plain));
        init.watch?.hostKey?.(plain);
        judgeHostKey({ name, config, address: init.address, key, options, ask: init.ask, pause: patience.pause }).then(
          () => {
            trusted = plain;
            verify(true);
          },
          (error: unknown) => {
            refuse(error);
            verify(false);
          },
        );
      },
      ...(forwardedAgent === undefined ? {} : { agent: forwardedAgent }),
    });
    // ssh2 has paused the socket, so this listener takes nothing away before ssh2 listens itself.
    socket.on("data", listen);
    if (offer.certificates.length > 0) offerHostKeys(client, [...offer.certificates, ...offer.serverHostKey]);
    auth.takeOver(client);
    ignoreHostKeyAnnouncements(client);
    await Promise.race([refused.promise, ready.promise, auth.failed, broken.promise]);
    auth.succeeded();
    patience.end();
    return connection({ name, at: `${config.hostName}:${config.port}`, client, socket, lastError: () => last });
  } catch (error) {
    client.destroy();
    socket.destroy();
    // A refusal of ours makes ssh2 report errors too; ours is the reason.
    if (refusal !== undefined) throw asAmiError(refusal);
    if (error instanceof AmiError) throw error;
    if (at.phase === "authentication") throw auth.error(visible(wordsOf(error)));
    const greeting = readGreeting(Buffer.concat(heard));
    const { hostName: host, port } = config;
    throw handshakeError(error, { name, host, port, offer, greeting, phase: at.phase, proxySaid: init.proxySaid?.() });
  } finally {
    patience.signal.removeEventListener("abort", onAbort);
    socket.off("data", listen);
  }
}

/** ssh2 would have the server prove each announced key with a signature, and nobody looks at the answer. */
function ignoreHostKeyAnnouncements(client: Client): void {
  const { _handlers: handlers } = inside(client)._protocol;
  const { GLOBAL_REQUEST } = handlers;
  handlers.GLOBAL_REQUEST = (protocol, name, wantReply, data) => {
    if (name !== "hostkeys-00@openssh.com" || wantReply) GLOBAL_REQUEST(protocol, name, wantReply, data);
  };
}

async function offerFor(config: SshConfig): Promise<Algorithms> {
  const place = { ...hostOf(config), ...filesOf(config) };
  const [known, authorities] = await Promise.all([knownKeyTypes(place), certAuthorities(place)]);
  return algorithms(config, known, authorities.length > 0);
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

function wordsOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
