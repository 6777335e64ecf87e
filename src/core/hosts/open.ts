/** Open: targets to hosts. One login per server however often it is opened; become-user applied on top. */
import { cancelled } from "../cancelled.ts";
import { AmiError } from "../errors.ts";
import type { Become, Hosts, LoginKey } from "../command.ts";
import type { Host } from "../host.ts";
import { localUser } from "../runtime-compat.ts";
import type { Hash, Identities } from "../ssh/identities.ts";
import { fingerprint } from "../ssh/known-hosts.ts";
import type { SshOptions } from "../ssh/options.ts";
import { type SshPool, createSshPool } from "../ssh/pool.ts";
import type { SharedLinks } from "../ssh/shared-links.ts";
import type { Target } from "../targets.ts";
import { localHost } from "./local.ts";
import { sshHost } from "./ssh.ts";
import { type Doer, type Watch, watchedHost } from "./watched.ts";

export interface OpenOptions {
  readonly ssh?: SshOptions | undefined;
  /** Who to become where `open` does not say. */
  readonly become?: Become | undefined;
  /** Logins that are there already, and stay. */
  readonly shared?: SharedLinks | undefined;
  /** Judges and listens to all that is done. */
  readonly watch?: Watch | undefined;
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
    if (target.kind === "local") {
      return { host: localHost(), doer: { target, login: localUser().name }, connect: () => Promise.resolve() };
    }
    pool ??= createSshPool(options.ssh, options.shared);
    const { name, host, user, port } = target;
    const { link, config } = await pool.link({ name, host, user, port }, signal);
    const env = options.ssh?.env ?? process.env;
    return {
      host: sshHost(name, { link, config, env }),
      doer: { target, login: config.user, address: config.hostName },
      connect: (connectSignal) => link.connect(connectSignal),
    };
  };

  /** Worked out once for each target; contacts nothing. */
  const openOnce = async (target: Target, signal: AbortSignal | undefined): Promise<Opened> => {
    const key = keyOf(target);
    const opening = opened.get(key) ?? openTarget(target, signal);
    opened.set(key, opening);
    // What could not be worked out once may be another time; a host that cannot be reached is kept.
    opening.catch(() => opened.delete(key));
    return opening;
  };

  const openWith = async (key: LoginKey, target: Target, signal: AbortSignal | undefined): Promise<Host> => {
    if (target.kind === "local") {
      throw new AmiError("host.unsupported", "there is no login on this machine itself", { host: target.name });
    }
    pool ??= createSshPool(options.ssh, options.shared);
    const { name, host, user, port } = target;
    const { link, config } = await pool.linkWith(identitiesOf(key), { name, host, user, port }, signal);
    const doer = { target, login: config.user, address: config.hostName };
    watch?.judge(doer, { does: "open" });
    await link.connect(signal);
    const opening = watched(sshHost(name, { link, config, env: options.ssh?.env ?? process.env }), doer);
    return {
      ...opening,
      async close() {
        await opening.close();
        link.close();
      },
    };
  };

  const { watch } = options;
  const watched = (host: Host, doer: Doer): Host => (watch === undefined ? host : watchedHost(host, doer, watch));

  const hosts: OpenHosts = {
    async open(target, { signal, become, only } = {}) {
      if (isClosed) throw new AmiError("host.spawn", "the hosts are closed", { host: target.name });
      if (signal?.aborted === true) throw cancelled(target.name, signal?.reason);
      if (only !== undefined) return openWith(only, target, signal);
      const { host, doer, connect } = await openOnce(target, signal);
      const wish = become === undefined ? options.become : become;
      const as = wish === undefined || wish === false ? undefined : wish.user;
      if (as !== undefined) watch?.judge({ ...doer, as }, { does: "become", user: as });
      watch?.judge({ ...doer, as }, { does: "open" });
      await connect(signal);
      if (wish === undefined || wish === false) return watched(host, doer);
      return watched(host, doer).as(wish.user, { method: wish.method, password: wish.password });
    },
    ...(watch?.hasRules !== true
      ? {}
      : {
          async permit(target, deeds, as) {
            const { doer } = await openOnce(target, undefined);
            for (const deed of deeds) watch.judge({ ...doer, as }, deed);
          },
          async listen(target, terminal) {
            const { doer } = await openOnce(target, undefined);
            const who = { ...doer, as: options.become?.user };
            watch.judge(who, { does: "terminal" });
            return watch.listens?.(who, terminal, undefined);
          },
        }),
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
  readonly doer: Doer;
  /** Logs in, if that has not happened yet. */
  connect(signal?: AbortSignal): Promise<void>;
}

/** Two names of one place are two hosts, so that each is called by its own; the pool still makes one login of them. */
function keyOf(target: Target): string {
  if (target.kind === "local") return "local";
  return JSON.stringify([target.name, target.host, target.user, target.port]);
}
