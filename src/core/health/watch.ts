/**
 * Watch: looks at hosts again and again on connections that stay open. One that is lost is made again, later each time;
 * that is told as events, and remembered as a failure.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { type AmiError, errorJson } from "../errors.ts";
import type { Events } from "../events.ts";
import { fanout } from "../fanout.ts";
import type { HealthSample } from "../health.ts";
import { waitBefore } from "../retry.ts";
import { createLimit } from "../limit.ts";
import type { History } from "../store/history.ts";
import type { Dialer, Line, SshTarget } from "./dial.ts";
import { type Looked, look } from "./look.ts";
import { isOfTheHost, placeOf, sampleOf } from "./memory.ts";

export interface WatchWish {
  readonly targets: readonly SshTarget[];
  readonly dialer: Dialer;
  readonly history: History;
  readonly events: Events;
  /** Milliseconds from one look to the next. */
  readonly every: number;
  /** How many looks at each host; absent: until the signal is aborted. */
  readonly count?: number | undefined;
  /** Most hosts looked at in the same moment. */
  readonly parallel: number;
  /** Milliseconds for one look, the login included. */
  readonly timeout: number;
  readonly throughput: boolean;
  readonly signal: AbortSignal;
}

/** Resolves with the last sample of each host when all looks are done, or when the signal is aborted. */
export async function watch(wish: WatchWish): Promise<HealthSample[]> {
  const { targets, events } = wish;
  const started = performance.now();
  const limit = createLimit(wish.parallel);
  events.emit({ kind: "run.start", title: "ssh health", hosts: targets.map(({ name }) => name) });
  // One that ends by a mistake of ours takes the others along.
  const stop = new AbortController();
  const signal = AbortSignal.any([wish.signal, stop.signal]);
  const one = (target: SshTarget): ReturnType<typeof keepWatch> =>
    keepWatch(target, { ...wish, signal }, limit).catch((error: unknown) => {
      stop.abort();
      throw error;
    });
  const ends = await Promise.all(targets.map(one));
  const samples = ends.filter((sample) => sample !== undefined);
  const outcome = samples.some(({ status }) => status === "bad") ? "failed" : "same";
  events.emit({ kind: "run.end", outcome, ms: Math.round(performance.now() - started) });
  return samples;
}

async function keepWatch(
  target: SshTarget,
  wish: WatchWish,
  limit: ReturnType<typeof createLimit>,
): Promise<HealthSample | undefined> {
  const { events, history, signal, every, count = Number.POSITIVE_INFINITY } = wish;
  const host = target.name;
  const place = placeOf(target);
  const eye = openEye(target, wish);
  let last: HealthSample | undefined;
  /** Failures since it was there for a while, and the last of them. */
  let attempt = 0;
  let connectedAt = 0;
  let reason: AmiError | undefined;
  const fail = (error: AmiError): number => {
    attempt++;
    reason = error;
    const wait = waitFor(error, attempt, every);
    events.emit({ kind: "recovery", host, attempt, wait, outcome: "waiting", error: errorJson(error) });
    return wait;
  };
  try {
    for (let n = 1; n <= count && !signal.aborted; n++) {
      const began = performance.now();
      const looked = await limit(signal, () => eye.look());
      if (looked === undefined) break;
      const isError = looked instanceof Error;
      const isOurs = isError && !isOfTheHost(looked);
      if (isOurs && wish.targets.length === 1) throw looked;
      if (reason !== undefined) {
        const error = isError ? { error: errorJson(looked) } : {};
        events.emit({ kind: "recovery", host, attempt, outcome: isError ? "failed" : "recovered", ...error });
      }
      const now = Date.now();
      last = sampleOf(host, looked, { history, place, now, forecasts: eye.forecasts(now) });
      eye.remember(last);
      events.emit({ kind: "health", sample: last });
      // No waiting mends it.
      if (n === count || isOurs) break;
      if (isError) {
        await sleep(fail(looked), undefined, { signal });
        continue;
      }
      reason = undefined;
      if (looked.isSameLogin !== true) connectedAt = began;
      const lost = await eye.untilLost(every - (performance.now() - began));
      if (performance.now() - connectedAt >= steadyAfter) attempt = 0;
      if (lost === undefined) continue;
      history.record(place, { at: Date.now(), ok: false });
      await sleep(fail(lost), undefined, { signal });
    }
  } catch (error) {
    if (!signal.aborted) throw error;
  } finally {
    eye.close();
  }
  return last;
}

/** Milliseconds: one that is lost sooner counts as one more that failed, so that a server that flaps is not hammered. */
const steadyAfter = 5000;

/** A server that refuses us is not asked every few seconds: some lock out who does. */
function waitFor({ code }: AmiError, attempt: number, every: number): number {
  const wait = waitBefore(attempt, Math.random());
  return /^(ssh\.auth|hostkey\.)/.test(code) ? Math.max(60_000, every) + wait : wait;
}

interface Eye {
  /** On the open connection, or a new one. An error: it failed, and the connection is closed. Undefined: interrupted. */
  look(): Promise<Looked | AmiError | undefined>;
  /** Undefined: the time is over, and it is still there. Rejects when aborted. */
  untilLost(ms: number): Promise<AmiError | undefined>;
  /** Those of the last sample, while they are fresh: history grows by the minute. */
  forecasts(now: number): HealthSample["forecasts"] | undefined;
  remember(sample: HealthSample): void;
  close(): void;
}

function openEye(target: SshTarget, wish: WatchWish): Eye {
  const { dialer, timeout, every, signal } = wish;
  let line: Line | undefined;
  let last: HealthSample | undefined;
  let foreseen: { readonly at: number; readonly forecasts: HealthSample["forecasts"] } | undefined;
  const close = (): void => {
    line?.close();
    line = undefined;
  };
  /** Traffic is not for free: once a minute is enough. */
  const known = (): HealthSample["throughput"] | "none" => {
    if (!wish.throughput) return "none";
    const { throughput } = last ?? {};
    return throughput !== undefined && Math.abs(Date.now() - throughput.at) < 60_000 ? throughput : undefined;
  };
  return {
    async look() {
      const [fan] = await fanout([target], { parallel: 1, timeout, signal, grace: 500 }, async (_target, own) => {
        const isSameLogin = line !== undefined;
        line ??= await dialer.dial(target, own);
        const looked = await look(line, { throughput: known(), pinging: Math.min(2000, every / 4), signal: own });
        return { ...looked, isSameLogin };
      });
      if (fan?.state === "done") return fan.value;
      close();
      return fan === undefined || fan.state === "cancelled" ? undefined : fan.error;
    },
    async untilLost(ms) {
      const lost = Promise.withResolvers<AmiError>();
      const stop = line?.connection.onGone(lost.resolve);
      const over = new AbortController();
      try {
        const wait = sleep(Math.max(0, ms), undefined, { signal: AbortSignal.any([signal, over.signal]) });
        const reason = await Promise.race([lost.promise, wait]);
        if (reason !== undefined) close();
        wait.catch(() => undefined); // ended below
        return reason;
      } finally {
        stop?.();
        over.abort();
      }
    },
    forecasts: (now) =>
      foreseen !== undefined && Math.abs(now - foreseen.at) < 60_000 ? foreseen.forecasts : undefined,
    remember(sample) {
      if (sample.error !== undefined) return;
      last = sample;
      if (foreseen === undefined || Math.abs(sample.at - foreseen.at) >= 60_000)
        foreseen = { at: sample.at, forecasts: sample.forecasts };
    },
    close,
  };
}
