/** Act: one piece of work on every target, told as events from the start of the run to its end. */
import type { Context } from "./command.ts";
import { errorJson, exitCodes } from "./errors.ts";
import type { EventBody, Outcome } from "./events.ts";
import { type Fan, fanout } from "./fanout.ts";
import { type Ended, exitOfMany } from "./report.ts";
import type { Target } from "./targets.ts";

export interface Act<R> {
  readonly title: string;
  work(target: Target, signal: AbortSignal): Promise<R>;
  /** How work that was done ended; without it: well. `exit` is that of a remote program. */
  ended?(value: R): { readonly ended: "ok" | "failed"; readonly exit?: number };
  /** Called when all are done, before the ends of those hosts that did their work are told. */
  beforeEnds?(fans: readonly Fan<Target, R>[]): void;
}

/**
 * Resolves with what came of each target, in their order, and the exit code of all. Of a single target the error is
 * thrown instead, and the exit code is that of its program.
 */
export async function act<R>(ctx: Context, wish: Act<R>): Promise<{ fans: Fan<Target, R>[]; exit: number }> {
  const { targets, events, options, signal } = ctx;
  const started = performance.now();
  events.emit({ kind: "run.start", title: wish.title, hosts: targets.map((target) => target.name) });
  const waits = wish.beforeEnds !== undefined;
  const onEnd = (fan: Fan<Target, R>): void => {
    if (!waits || fan.state !== "done") events.emit(hostEnd(fan, wish));
  };
  const fans = await fanout(
    targets,
    { parallel: options.parallel, timeout: options.timeout, signal, onEnd },
    (target, own) => {
      events.emit({ kind: "host.start", host: target.name });
      return wish.work(target, own);
    },
  );
  wish.beforeEnds?.(fans);
  if (waits) for (const fan of fans) if (fan.state === "done") events.emit(hostEnd(fan, wish));
  const exit = exitOf(fans, wish);
  events.emit({ kind: "run.end", outcome: outcomeOf(fans, exit), ms: Math.round(performance.now() - started) });
  const [only] = fans;
  if (fans.length === 1 && only !== undefined && only.state !== "done") throw only.error;
  return { fans, exit };
}

function hostEnd<R>(fan: Fan<Target, R>, wish: Act<R>): EventBody {
  const common = { kind: "host.end", host: fan.target.name, ms: fan.ms } as const;
  if (fan.state !== "done") return { ...common, outcome: fan.state, error: errorJson(fan.error) };
  const { ended, exit } = endOf(fan.value, wish);
  return { ...common, outcome: ended === "ok" ? "changed" : "failed", ...(exit === undefined ? {} : { exit }) };
}

function exitOf<R>(fans: readonly Fan<Target, R>[], wish: Act<R>): number {
  const [only] = fans;
  if (fans.length === 1 && only?.state === "done") {
    const { ended, exit } = endOf(only.value, wish);
    return exit ?? (ended === "ok" ? exitCodes.ok : exitCodes.targetFailed);
  }
  return exitOfMany(fans.map((fan): Ended => (fan.state === "done" ? endOf(fan.value, wish).ended : fan.error)));
}

function endOf<R>(value: R, wish: Act<R>): { readonly ended: "ok" | "failed"; readonly exit?: number } {
  return wish.ended?.(value) ?? { ended: "ok" };
}

/** Whoever ran something may have changed something; that nothing was changed nobody can know. */
function outcomeOf<R>(fans: readonly Fan<Target, R>[], exit: number): Outcome {
  if (fans.some((fan) => fan.state === "cancelled")) return "cancelled";
  return exit === exitCodes.ok ? "changed" : "failed";
}
