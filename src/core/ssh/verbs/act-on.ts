/** Act on: one verb on the paths of every host that its words name, told as events. */
import { act } from "../../act.ts";
import type { Context } from "../../command.ts";
import { type ErrorJson, errorJson } from "../../errors.ts";
import type { Host } from "../../host.ts";
import type { Target } from "../../targets.ts";
import { visibleLine } from "../../visible.ts";
import { openVerbs } from "./open.ts";
import type { Place } from "./places.ts";
import type { Verbs } from "./verbs.ts";

export interface Site {
  readonly target: Target;
  readonly host: Host;
  readonly verbs: Verbs;
  /** As written. */
  readonly paths: readonly string[];
  readonly signal: AbortSignal;
  note(text: string): void;
}

export type Report<R> = { readonly host: string; readonly ms: number } & (R | { readonly error: ErrorJson });

/** Of a single host the error is thrown, as `act` does. */
export async function actOn<R extends object>(
  places: readonly Place[],
  ctx: Context,
  title: string,
  work: (site: Site) => Promise<R>,
): Promise<{ output: { hosts: Report<R>[] }; exit: number }> {
  const pathsOf = new Map(places.map(({ target, paths }) => [target.name, paths]));
  const targets = places.map(({ target }) => target);
  const { fans, exit } = await act(
    { ...ctx, targets },
    { title, work: (target, signal) => at(target, pathsOf.get(target.name) ?? [], ctx, signal, work) },
  );
  const hosts = fans.map((fan): Report<R> => ({
    host: fan.target.name,
    ms: fan.ms,
    ...(fan.state === "done" ? fan.value : { error: errorJson(fan.error) }),
  }));
  return { output: { hosts }, exit };
}

export async function at<R>(
  target: Target,
  paths: readonly string[],
  ctx: Context,
  signal: AbortSignal,
  work: (site: Site) => Promise<R>,
): Promise<R> {
  const host = await ctx.hosts.open(target, { signal });
  const verbs = await openVerbs(host, signal);
  const note = (text: string): void =>
    ctx.events.emit({ kind: "note", host: target.name, level: "info", text: visibleLine(text) });
  try {
    return await work({ target, host, verbs, paths, signal, note });
  } finally {
    verbs.end();
  }
}
