/** Sync: what was brought up to date, as lines; a few names stand for many. */
import { formatBytes } from "../core/bytes.ts";
import { formatDuration } from "../core/duration.ts";
import type { Event } from "../core/events.ts";
import { visibleLine } from "../core/visible.ts";
import type { Paint } from "./paint.ts";

type SyncEvent = Extract<Event, { kind: "sync" | "sync.lost" }>;

export function syncLines(
  event: SyncEvent,
  paint: { readonly stdout: Paint; readonly stderr: Paint },
  quiet: boolean,
): (readonly ["stdout" | "stderr", string])[] {
  if (event.kind === "sync.lost") {
    const host = paint.stderr.host(event.host);
    const again = `trying again in ${formatDuration(event.wait)}`;
    return [["stderr", `${paint.stderr.yellow("warning:")} ${host}: ${event.error.message}; ${again}\n`]];
  }
  if (quiet) return [];
  const { changed, deleted, bytes, ms } = event;
  const parts = [
    ...(changed.length > 0 ? [`${shown(changed)} (${formatBytes(bytes)} in ${formatDuration(ms)})`] : []),
    ...(deleted.length > 0 ? [`deleted ${shown(deleted)}`] : []),
  ];
  return [["stdout", `[${paint.stdout.host(event.host)}] ${parts.join("; ") || "up to date"}\n`]];
}

const few = 3;

function shown(paths: readonly string[]): string {
  const names = paths.slice(0, few).map(visibleLine).join(", ");
  return paths.length > few ? `${names} and ${paths.length - few} more` : names;
}
