/** Rehearsal: one login as any command would make it, with everything that happened on the way written down. */
import { type AmiError, asAmiError } from "../errors.ts";
import { connectClient } from "./client.ts";
import type { SshConfig } from "./config/ssh-config.ts";
import type { Connection } from "./connection.ts";
import type { Identities } from "./identities.ts";
import type { SshOptions } from "./options.ts";
import { startPatience } from "./patience.ts";
import { type Jump, openRoute } from "./route.ts";
import type { AuthStep } from "./watch.ts";

export interface RehearsalWish {
  /** What the target is called. */
  readonly name: string;
  readonly config: SshConfig;
  readonly jump: Jump | undefined;
  readonly identities: Identities;
  readonly agent: string | undefined;
  readonly options: SshOptions;
  /** Milliseconds for all of it. */
  readonly patience: number;
  readonly signal: AbortSignal;
}

export interface Rehearsal {
  readonly outcome: { readonly connection: Connection } | { readonly error: AmiError };
  /** How far it came. */
  readonly phase: "the TCP connection" | "the banner" | "key exchange" | "authentication";
  readonly hostKey: Buffer | undefined;
  readonly steps: readonly TimedStep[];
  /** What the server said before or while it judged the keys. */
  readonly banners: readonly string[];
  /** Milliseconds from the version line to the end of the key exchange, and all together. */
  readonly kexMs: number | undefined;
  readonly ms: number;
}

/** `at`: milliseconds since the rehearsal began. */
export type TimedStep = AuthStep & { readonly at: number };

/** Never rejects but when aborted. Nobody is asked about an unknown host key; one that the config accepts is written down. */
export async function rehearse(wish: RehearsalWish): Promise<Rehearsal> {
  const { name, jump, identities, agent, signal } = wish;
  // A banner is told from INFO on, and here it is evidence.
  const config: SshConfig = { ...wish.config, logLevel: "INFO" };
  const started = performance.now();
  const since = (): number => performance.now() - started;
  const steps: TimedStep[] = [];
  const banners: string[] = [];
  const marks = new Map<Rehearsal["phase"], number>([["the TCP connection", 0]]);
  let hostKey: Buffer | undefined;
  const { ask } = wish.options;
  const options: SshOptions = {
    ...wish.options,
    note: ({ text }) => void banners.push(text),
    ask: ask && (async (question) => (question.kind === "host-key" ? undefined : ask(question))),
  };
  const seen = (outcome: Rehearsal["outcome"]): Rehearsal => {
    const kexFrom = marks.get("key exchange");
    const kexTo = marks.get("authentication");
    const phase = [...marks.keys()].at(-1) ?? "the TCP connection";
    const kexMs = kexFrom === undefined || kexTo === undefined ? undefined : kexTo - kexFrom;
    return { outcome, phase, hostKey, steps, banners, kexMs, ms: since() };
  };
  const patience = startPatience({ name, at: `${config.hostName}:${config.port}`, ms: wish.patience, signal });
  try {
    const route = await openRoute(name, config, jump, patience);
    const connection = await connectClient({
      name,
      config,
      ...route,
      identities,
      memory: {},
      ask: options.ask,
      options,
      patience,
      agent,
      watch: {
        phase: (phase) => void marks.set(phase, since()),
        hostKey: (key) => void (hostKey = key),
        auth: (step) => void steps.push({ ...step, at: since() }),
      },
    });
    return seen({ connection });
  } catch (error) {
    signal.throwIfAborted();
    return seen({ error: asAmiError(error) });
  } finally {
    patience.end();
  }
}
