/** Summary: one row per host at the end of a run that counts its steps. */
import type { Event, Listener, Outcome } from "../core/events.ts";
import { formatDuration } from "../core/duration.ts";
import type { Paint } from "./paint.ts";
import { table } from "./table.ts";
import type { Column } from "./table.ts";

type HostEnd = Extract<Event, { kind: "host.end" }>;

export interface Summary {
  readonly listener: Listener;
  lines(look: { readonly paint: Paint; readonly columns?: number | undefined }): string[];
}

const always: readonly Outcome[] = ["changed", "same", "failed"];
const whenAny: readonly Outcome[] = ["pending", "skipped", "cancelled"];

export function createSummary(): Summary {
  const ends: HostEnd[] = [];
  let order: readonly string[] = [];
  return {
    listener(event) {
      if (event.kind === "run.start") order = event.hosts;
      if (event.kind === "host.end") ends.push(event);
    },
    lines({ paint, columns }) {
      if (!ends.some((end) => end.counts !== undefined)) return [];
      const outcomes = [
        ...always,
        ...whenAny.filter((outcome) => ends.some((end) => (end.counts?.[outcome] ?? 0) > 0)),
      ];
      const head: Column[] = [
        { title: "host" },
        ...outcomes.map((outcome): Column => ({ title: outcome, align: "right" })),
        { title: "time", align: "right" },
        ...(ends.some((end) => end.error !== undefined) ? [{ title: "error" }] : []),
      ];
      const rows = ends
        .toSorted((a, b) => order.indexOf(a.host) - order.indexOf(b.host))
        .map((end) => [
          paint.host(end.host),
          ...outcomes.map((outcome) => count(end, outcome, paint)),
          formatDuration(end.ms),
          end.error?.code ?? "",
        ]);
      return table(head, rows, { columns, head: (text) => paint.bold(text) });
    },
  };
}

function count(end: HostEnd, outcome: Outcome, paint: Paint): string {
  const value = end.counts?.[outcome];
  if (value === undefined) return "-";
  if (value === 0) return "0";
  if (outcome === "failed") return paint.red(String(value));
  return outcome === "changed" || outcome === "pending" ? paint.yellow(String(value)) : String(value);
}
