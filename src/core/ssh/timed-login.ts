/** Timed login: one login as any command would make it, with what each part of it took. */
import { connectClient } from "./client.ts";
import type { SshConfig } from "./config/ssh-config.ts";
import type { Connection } from "./connection.ts";
import type { Identities } from "./identities.ts";
import type { Memory } from "./login.ts";
import type { Ask, SshOptions } from "./options.ts";
import { type Patience, startPatience } from "./patience.ts";
import { type Jump, openRoute } from "./route.ts";

export interface TimedLoginWish {
  /** What the target is called. */
  readonly name: string;
  readonly config: SshConfig;
  readonly jump: Jump | undefined;
  /** Not waited for longer than for the rest: an agent may hang. */
  readonly identities: Promise<Identities>;
  readonly agent: string | undefined;
  readonly memory: Memory;
  readonly ask: Ask | undefined;
  readonly options: SshOptions;
  readonly signal: AbortSignal;
}

/** Milliseconds; time spent on questions is part of them. */
export interface LoginTimes {
  /** Until the server can be written to; undefined where a program makes the way. */
  readonly tcp: number | undefined;
  readonly handshake: number;
  readonly login: number;
  readonly total: number;
}

/** Rejects with `ssh.*`, `hostkey.*` or `run.cancelled`. */
export async function timedLogin(
  wish: TimedLoginWish,
): Promise<{ readonly connection: Connection; readonly times: LoginTimes }> {
  const { name, config, options, signal } = wish;
  // Loaded first: what it takes to read our own program is no property of the host.
  await import("ssh2");
  const ms = config.connectTimeout === undefined ? (options.connectTimeout ?? 30_000) : config.connectTimeout * 1000;
  const patience = startPatience({ name, at: `${config.hostName}:${config.port}`, ms, signal });
  try {
    patience.waitFor("the keys");
    const identities = await orLate(wish.identities, patience);
    const started = performance.now();
    const since = (): number => performance.now() - started;
    const shell = options.env?.["SHELL"] || "/bin/sh";
    const route = await openRoute(name, config, wish.jump, patience, { shell });
    const there = since();
    let keyed = there;
    const connection = await connectClient({
      ...wish,
      ...route,
      identities,
      patience,
      watch: {
        phase(phase) {
          if (phase === "authentication") keyed = since();
        },
      },
    });
    const total = since();
    const tcp = route.proxySaid === undefined ? there : undefined;
    return { connection, times: { tcp, handshake: keyed - there, login: total - keyed, total } };
  } finally {
    patience.end();
  }
}

async function orLate<T>(work: Promise<T>, { signal }: Patience): Promise<T> {
  const late = Promise.withResolvers<never>();
  const onAbort = (): void => late.reject(signal.reason);
  signal.addEventListener("abort", onAbort, { once: true });
  if (signal.aborted) onAbort();
  try {
    return await Promise.race([work, late.promise]);
  } finally {
    signal.removeEventListener("abort", onAbort);
  }
}
