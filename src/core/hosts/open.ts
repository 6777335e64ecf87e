/** Open: targets to hosts. One login per server however often it is opened; become-user applied on top. */
import { AmiError } from "../errors.ts";
import type { Become, Hosts, LoginKey } from "../command.ts";
import type { Host } from "../host.ts";
import type { Hash, Identities } from "../ssh/identities.ts";
import { fingerprint } from "../ssh/known-hosts.ts";
import type { SshOptions } from "../ssh/options.ts";
import { type SshPool, createSshPool } from "../ssh/pool.ts";
import type { SharedLinks } from "../ssh/shared-links.ts";
import type { Target } from "../targets.ts";
import { cancelled } from "./cancel.ts";
import { localHost } from "./local.ts";
import { sshHost } from "./ssh.ts";

export interface OpenOptions {
  readonly ssh?: SshOptions | undefined;
  /** Who to become where `open` does not say. */
  readonly become?: Become | undefined;
  /** Logins that are there already, and stay. */
  readonly shared?: SharedLinks | undefined;
}

/** For the end of a command: ends what still runs, then every connection. Idempotent. */
export interface OpenHosts extends Hosts {
  close(): Promise<void>;
}

export function openHosts(options: OpenOptions = {}): OpenHosts {
  const opened = new Map<string, Promise<Opened>>();
  let pool: SshPool | undefined;
  let isClosed = false;

  const openTarget = async (target: Target, signal: AbortSignal | undefined): Promise<Opened> => {
    if (target.kind === "local") return { host: localHost(), connect: () => Promise.resolve() };
    pool ??= createSshPool(options.ssh, options.shared);
    const { name, host, user, port } = target;
    const { link, config } = await pool.link({ name, host, user, port }, signal);
    const env = options.ssh?.env ?? process.env;
    return { host: sshHost(name, { link, config, env }), connect: (connectSignal) => link.connect(connectSignal) };
  };

  const openWith = async (key: LoginKey, target: Target, signal: AbortSignal | undefined): Promise<Host> => {
    if (target.kind === "local") {
      throw new AmiError("host.unsupported", "there is no login on this machine itself", { host: target.name });
    }
    pool ??= createSshPool(options.ssh, options.shared);
    const { name, host, user, port } = target;
    const { link, config } = await pool.linkWith(identitiesOf(key), { name, host, user, port }, signal);
    await link.connect(signal);
    const opening = sshHost(name, { link, config, env: options.ssh?.env ?? process.env });
    return {
      ...opening,
      async close() {
        await opening.close();
        link.close();
      },
    };
  };

  const hosts: OpenHosts = {
    async open(target, { signal, become, only } = {}) {
      if (isClosed) throw new AmiError("host.spawn", "the hosts are closed", { host: target.name });
      if (signal?.aborted === true) throw cancelled(signal, target.name);
      if (only !== undefined) return openWith(only, target, signal);
      const key = keyOf(target);
      const opening = opened.get(key) ?? openTarget(target, signal);
      opened.set(key, opening);
      try {
        const { host, connect } = await opening;
        await connect(signal);
        const wish = become === undefined ? options.become : become;
        if (wish === undefined || wish === false) return host;
        return host.as(wish.user, { method: wish.method, password: wish.password });
      } catch (error) {
        // What could not be worked out once may be another time; a host that cannot be reached is kept.
        opening.catch(() => opened.delete(key));
        throw error;
      }
    },
    async close() {
      isClosed = true;
      const all = await Promise.allSettled(opened.values());
      const there = all.flatMap((each) => (each.status === "fulfilled" ? [each.value.host] : []));
      await Promise.all(there.map((host) => host.close()));
      await pool?.close();
    },
  };
  told.set(hosts, options.ssh ?? {});
  return hosts;
}

const told = new WeakMap<Hosts, SshOptions>();

/** What ssh was told where these hosts were opened: for verbs that examine the way itself. */
export function sshOptionsOf(hosts: Hosts): SshOptions {
  return told.get(hosts) ?? {};
}

function identitiesOf(key: LoginKey): Identities {
  const { type, blob } = key;
  const signer = { type, blob, sign: async (data: Buffer, hash: Hash) => key.sign(data, hash) };
  const from = `${type} ${fingerprint(blob)}`;
  return { list: [{ from, public: key, ready: undefined, unlock: async () => signer }], problems: [] };
}

interface Opened {
  readonly host: Host;
  /** Logs in, if that has not happened yet. */
  connect(signal?: AbortSignal): Promise<void>;
}

/** Two names of one place are two hosts, so that each is called by its own; the pool still makes one login of them. */
function keyOf(target: Target): string {
  if (target.kind === "local") return "local";
  return JSON.stringify([target.name, target.host, target.user, target.port]);
}
