/**
 * Shared links: logins that outlive the pool that made them. Whoever would log in to the same place, in the same way and
 * with the same rights, gets the one that is there; nobody else does.
 */
import type { HeldLogin } from "../visit.ts";
import type { SshConfig } from "./config/ssh-config.ts";
import type { Connection } from "./connection.ts";
import { type Link, createLink } from "./link.ts";
import type { Memory } from "./login.ts";

export interface LinkInit {
  readonly name: string;
  readonly config: SshConfig;
  open(signal: AbortSignal, memory: Memory): Promise<Connection>;
}

export interface SharedLinks {
  /** `key` holds all that the login depends on. From now on it is `init` that connects, and answers questions. */
  take(key: string, init: LinkInit): Link;
  logins(): readonly HeldLogin[];
  close(logins: readonly HeldLogin[]): void;
  /** Closes what nobody has used for so many milliseconds. */
  expire(ms: number): void;
}

interface Shared {
  readonly link: Link;
  readonly since: number;
  init: LinkInit;
}

export function createSharedLinks(): SharedLinks {
  const all = new Map<string, Shared>();
  const loginOf = ({ link, since, init: { name, config } }: Shared): HeldLogin => ({
    host: name,
    user: config.user,
    at: `${config.hostName.includes(":") ? `[${config.hostName}]` : config.hostName}:${config.port}`,
    connections: link.connections,
    channels: link.busy,
    since,
    lastUsed: link.busy > 0 ? Date.now() : link.lastUsed,
  });
  const drop = (isMeant: (login: HeldLogin) => boolean): void => {
    // Those opened last go over those opened first.
    for (const [key, shared] of [...all].toReversed()) {
      if (!isMeant(loginOf(shared))) continue;
      all.delete(key);
      shared.link.close();
    }
  };
  return {
    take(key, init) {
      const known = all.get(key);
      if (known !== undefined) {
        known.init = init;
        return known.link;
      }
      const shared: Shared = {
        link: linkOf((signal, memory) => shared.init.open(signal, memory), init.name),
        since: Date.now(),
        init,
      };
      all.set(key, shared);
      return shared.link;
    },
    logins: () => [...all.values()].map(loginOf).filter(({ connections, channels }) => connections + channels > 0),
    close(logins) {
      const meant = new Set(logins.map(({ host, user, at }) => JSON.stringify([host, user, at])));
      drop(({ host, user, at }) => meant.has(JSON.stringify([host, user, at])));
    },
    expire(ms) {
      // One that the server has ended is of no more use to anybody: a new one is as good.
      drop(
        ({ channels, connections, lastUsed }) => channels === 0 && (connections === 0 || Date.now() - lastUsed >= ms),
      );
    },
  };
}

/** A link that remembers what its login has found out. */
export function linkOf(open: LinkInit["open"], name: string): Link {
  const memory: Memory = {};
  return createLink({ name, open: (signal) => open(signal, memory), mayGrow: () => memory.challenged !== true });
}
