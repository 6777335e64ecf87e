/** Dial: logs in to a host on a connection of its own, timed, as often as it is wanted. */
import type { HealthSeen } from "../health.ts";
import type { Host } from "../host.ts";
import { sshHost } from "../hosts/ssh.ts";
import { resolveSshConfig } from "../ssh/config/resolve.ts";
import type { Connection } from "../ssh/connection.ts";
import { createKeyRing } from "../ssh/identities.ts";
import { createLink } from "../ssh/link.ts";
import type { Memory } from "../ssh/login.ts";
import { type SshOptions, oneAtATime } from "../ssh/options.ts";
import { createSshPool, keyChoice } from "../ssh/pool.ts";
import { timedLogin } from "../ssh/timed-login.ts";
import type { Target } from "../targets.ts";

/** A login, and what it took. */
export interface Line {
  readonly host: Host;
  readonly connection: Connection;
  readonly connect: NonNullable<HealthSeen["connect"]>;
  /** Idempotent. */
  close(): void;
}

export interface Dialer {
  /** Rejects with `ssh.*`, `hostkey.*`, `config.invalid` or `run.cancelled`. Who has logged in once is asked nothing again. */
  dial(target: SshTarget, signal: AbortSignal): Promise<Line>;
  /** Ends what leads over jump hosts. */
  close(): Promise<void>;
}

export type SshTarget = Target & { readonly kind: "ssh" };

export function createDialer(given: SshOptions): Dialer {
  const ask = given.ask && oneAtATime(given.ask);
  const said = new Set<string>();
  const options: SshOptions = {
    ...given,
    ask,
    // A banner comes with each login, and is told once.
    note(note) {
      const key = JSON.stringify(note);
      if (!said.has(key)) given.note?.(note);
      said.add(key);
    },
  };
  const keyRing = createKeyRing({ ask, passphrase: options.passphrase });
  const pool = createSshPool(options);
  const memories = new Map<string, Memory & { known?: boolean }>();

  return {
    async dial(target, signal) {
      const { name, host, user, port } = target;
      const { configFile, home } = options;
      const env = options.env ?? process.env;
      const config = await resolveSshConfig(host, { configFile, user, port, home, env, signal });
      const memory = memories.get(name) ?? {};
      memories.set(name, memory);
      const choice = keyChoice(config, options);
      const jump = await pool.jump({ name, host, user, port }, signal);
      const { connection, times } = await timedLogin({
        name,
        config,
        jump,
        identities: keyRing.identities(choice),
        agent: choice.agent,
        memory,
        ask: memory.known === true ? undefined : ask,
        options: { ...options, env },
        signal,
      });
      memory.known = true;
      const link = createLink({ name, open: () => Promise.resolve(connection), mayGrow: () => false });
      const close = (): void => {
        link.close();
        connection.close();
      };
      return { host: sshHost(name, { link, config, env }), connection, connect: times, close };
    },
    close: () => pool.close(),
  };
}
