/** Pool: keeps logged-in connections and lends them, jump hosts included; one login per server, user and way there. */
import { homedir } from "node:os";
import { resolve } from "node:path";
import { AmiError } from "../errors.ts";
import { connectClient } from "./client.ts";
import { resolveSshConfig } from "./config/resolve.ts";
import type { SshConfig } from "./config/ssh-config.ts";
import type { Connection } from "./connection.ts";
import { type Identities, type KeyChoice, createKeyRing } from "./identities.ts";
import { createLimit } from "../limit.ts";
import { type Link, createLink } from "./link.ts";
import type { Memory } from "./login.ts";
import { type Note, type SshOptions, oneAtATime } from "./options.ts";
import { type Patience, startPatience } from "./patience.ts";
import { type Route, lastHop, openRoute, throughJump } from "./route.ts";
import { type Choice, chooseTransport } from "./system/choose.ts";
import { openSystem } from "./system/open.ts";
import { type SharedLinks, linkOf } from "./shared-links.ts";

export interface SshPool {
  /** The way to a server; contacts nothing yet. Rejects with `config.invalid`. */
  link(place: Place, signal?: AbortSignal): Promise<{ readonly link: Link; readonly config: SshConfig }>;
  /**
   * A way of its own, on which these identities are the only ones to log in with; a password or code counts only where
   * the server wants one besides the key. The caller closes the link.
   */
  linkWith(
    identities: Identities,
    place: Place,
    signal?: AbortSignal,
  ): Promise<{ readonly link: Link; readonly config: SshConfig }>;
  /** What has to be logged in to first; undefined: the way is straight. Rejects with `ssh.*` or `hostkey.*`. */
  jump(place: Place, signal?: AbortSignal): Promise<Link | undefined>;
  /** Ends every connection. Idempotent; nothing can be opened afterwards. */
  close(): Promise<void>;
}

export interface Place {
  /** What the target is called in messages. */
  readonly name: string;
  /** Host or ssh config alias. */
  readonly host: string;
  readonly user?: string | undefined;
  readonly port?: number | undefined;
}

/** `shared`: logins that others may use too. They stay when the pool is closed. */
export function createSshPool(given: SshOptions = {}, shared?: SharedLinks): SshPool {
  const options = { ...given, note: given.note === undefined ? undefined : once(given.note) };
  const env = options.env ?? process.env;
  const home = options.home ?? homedir();
  const ask = options.ask === undefined ? undefined : oneAtATime(options.ask);
  /** Somebody typed in what AddKeysToAgent would have spared them the next time. */
  let hasTyped = false;
  const keyRing = createKeyRing({
    passphrase: options.passphrase,
    ask:
      ask &&
      (async (question) => {
        const answer = await ask(question);
        hasTyped ||= answer !== undefined;
        return answer;
      }),
  });
  const shell = env.SHELL || "/bin/sh";
  const proxyPlace = options.cwd === undefined ? { shell } : { shell, env, cwd: options.cwd };
  const handshakes = createLimit(options.handshakes ?? 50);
  const links = new Map<string, Link>();
  let isClosed = false;

  const linkFor = (name: string, config: SshConfig, way: readonly string[]): Link => {
    const key = JSON.stringify(config);
    const known = links.get(key);
    if (known !== undefined) return known;
    const connect = (signal: AbortSignal, memory: Memory): Promise<Connection> =>
      open(name, config, way, memory, signal);
    if (shared !== undefined)
      return shared.take(rightsOf(name, config, { ...options, env }), { name, config, open: connect });
    const link = linkOf(connect, name);
    links.set(key, link);
    return link;
  };

  const resolvePlace = async (place: Place, signal: AbortSignal | undefined): Promise<SshConfig> => {
    const { host, user, port } = place;
    const { configFile, cwd } = options;
    return resolveSshConfig(host, { configFile, user, port, home, env, cwd, signal });
  };

  const open = async (
    name: string,
    config: SshConfig,
    way: readonly string[],
    memory: Memory,
    signal: AbortSignal,
    only?: Identities,
  ): Promise<Connection> => {
    const choice = only === undefined ? await chooseTransport(config, options, keyChoice(config, options)) : ours;
    if (choice.transport === "system") {
      return handshakes(signal, () => openSystem({ name, config, options, home, ask, memory, choice, signal }));
    }
    const warn = (isMeant: (option: string) => boolean): void => {
      for (const { option, value, file, line } of config.unsupported.filter((each) => isMeant(each.option)))
        options.note?.({ host: name, level: "warn", text: `${file}:${line}: ${option} ${value} is not supported yet` });
    };
    // Debian's own file asks for GSSAPI on every machine; a way to log in that is missing matters when none other works.
    warn((option) => !otherWaysIn.has(option) && option !== "AddKeysToAgent");
    const jump = await jumpFor(name, config, way, signal);
    return handshakes(signal, async () => {
      const ms =
        config.connectTimeout === undefined ? (options.connectTimeout ?? 30_000) : config.connectTimeout * 1000;
      const patience = startPatience({ name, at: `${config.hostName}:${config.port}`, ms, signal });
      const keys = keyChoice(config, options);
      const { agent } = keys;
      try {
        const { route, identities } = await bothOf(
          openRoute(name, config, jump, patience, proxyPlace),
          only === undefined ? keyRing.identities(keys) : Promise.resolve(only),
          patience,
        );
        const init = {
          name,
          config,
          ...route,
          identities,
          keyFirst: only !== undefined,
          memory,
          ask,
          options,
          patience,
          agent,
        };
        const connection = await connectClient(init);
        if (hasTyped) warn((option) => option === "AddKeysToAgent");
        return connection;
      } finally {
        patience.end();
      }
    });
  };

  const jumpFor = async (
    name: string,
    config: SshConfig,
    way: readonly string[],
    signal: AbortSignal,
  ): Promise<Link | undefined> => {
    const hop = lastHop(name, config);
    if (hop === undefined) return undefined;
    const further = [...way, nameOf(hop)];
    if (way.includes(nameOf(hop))) {
      throw new AmiError("config.invalid", `ProxyJump goes in a circle: ${further.join(" > ")}`, {
        host: name,
        hint: "give the jump host itself ProxyJump none in the ssh config",
      });
    }
    try {
      const found = await resolvePlace({ name: hop.host, ...hop }, signal);
      // What stands before it in a chain is the way to it, whatever its own config says.
      const own = hop.before === undefined ? found : { ...found, proxyJump: hop.before, proxyCommand: undefined };
      const link = linkFor(hop.host, own, further);
      await link.connect(signal);
      return link;
    } catch (error) {
      throw throughJump(error, hop.host, name);
    }
  };

  return {
    async link(place, signal) {
      if (isClosed) throw new AmiError("ssh.lost", "all connections are closed", { host: place.name });
      const config = await resolvePlace(place, signal);
      return { link: linkFor(place.name, config, [nameOf(place)]), config };
    },
    async linkWith(identities, place, signal) {
      if (isClosed) throw new AmiError("ssh.lost", "all connections are closed", { host: place.name });
      const found = await resolvePlace(place, signal);
      const config = {
        ...found,
        pubkeyAuthentication: true,
        preferredAuthentications: undefined,
      };
      const way = [nameOf(place)];
      const link = createLink({
        name: place.name,
        open: (own) => open(place.name, config, way, {}, own, identities),
        mayGrow: () => false,
      });
      links.set(`only ${links.size}`, link);
      return { link, config };
    },
    async jump(place, signal = new AbortController().signal) {
      return jumpFor(place.name, await resolvePlace(place, signal), [nameOf(place)], signal);
    },
    async close() {
      isClosed = true;
      // Those opened last go over those opened first.
      for (const link of [...links.values()].toReversed()) link.close();
    },
  };
}

/** The way and the keys. A way that nobody will go is closed. */
async function bothOf(
  opening: Promise<Route>,
  reading: Promise<Identities>,
  patience: Patience,
): Promise<{ route: Route; identities: Identities }> {
  const late = Promise.withResolvers<never>();
  late.promise.catch(() => undefined); // raced
  const onAbort = (): void => late.reject(patience.signal.reason);
  patience.signal.addEventListener("abort", onAbort, { once: true });
  const entering = opening.then((route) => {
    patience.waitFor("the keys");
    return route;
  });
  try {
    const [route, identities] = await Promise.race([Promise.all([entering, reading]), late.promise]);
    return { route, identities };
  } catch (error) {
    opening.then(
      ({ socket }) => socket.destroy(),
      () => undefined,
    );
    throw error;
  } finally {
    patience.signal.removeEventListener("abort", onAbort);
  }
}

/**
 * All that a login depends on, and what it then may do: who comes with anything else does not get it. A program in
 * between (ProxyCommand) may look at everything.
 */
function rightsOf(name: string, config: SshConfig, options: SshOptions): string {
  const { env = {}, cwd } = options;
  const { explicitFiles, agent } = keyChoice(config, options);
  const hasProgram = config.proxyCommand !== undefined && config.proxyCommand !== "none";
  const kept = Object.keys(env).filter((key) => !ofTheMoment.has(key));
  const place = hasProgram ? [cwd, ...kept.toSorted().map((key) => [key, env[key]])] : [];
  const { acceptNew = false, home, transport } = options;
  return JSON.stringify([name, config, explicitFiles, agent, acceptNew, home, transport, place]);
}

/** Other in each shell, or after each command, and of no meaning to who makes a connection. */
const ofTheMoment: ReadonlySet<string> = new Set(["_", "OLDPWD", "PWD", "SHLVL"]);

/** What each further connection would say again is said once. */
function once(note: (note: Note) => void): (note: Note) => void {
  const said = new Set<string>();
  return (next) => {
    const key = JSON.stringify(next);
    if (!said.has(key)) note(next);
    said.add(key);
  };
}

function nameOf({ host, user, port }: { host: string; user?: string | undefined; port?: number | undefined }): string {
  return `${user === undefined ? "" : `${user}@`}${host}${port === undefined ? "" : `:${port}`}`;
}

/** The keys to log in with, as config and command line name them. */
export function keyChoice(config: SshConfig, options: SshOptions): KeyChoice {
  const { identityFiles, identityFilesExplicit, identitiesOnly, certificateFiles } = config;
  const home = options.home ?? homedir();
  const explicitFiles = (options.identities ?? []).map((path) => resolve(path.replace(/^~(?=\/|$)/, home)));
  const agent = agentOf(config, options.env ?? process.env);
  return { explicitFiles, identityFiles, identityFilesExplicit, identitiesOnly, certificateFiles, agent };
}

/** IdentityAgent: a path, `none`, or what SSH_AUTH_SOCK says. */
function agentOf(config: SshConfig, env: NonNullable<SshOptions["env"]>): string | undefined {
  const { identityAgent } = config;
  if (identityAgent === "none") return undefined;
  const path = identityAgent === undefined || identityAgent === "SSH_AUTH_SOCK" ? env.SSH_AUTH_SOCK : identityAgent;
  return path === "" ? undefined : path;
}

const ours: Choice = { transport: "ssh2" };

const otherWaysIn: ReadonlySet<string> = new Set(["GSSAPIAuthentication", "HostbasedAuthentication"]);
