/** Health: looks at hosts as lines, one each. What breaks and is mended is conversation. */
import { formatDuration } from "../core/duration.ts";
import type { Event } from "../core/events.ts";
import { type HealthStatus, healthCells, healthRemarks, healthTitles } from "../core/health.ts";
import type { Paint } from "./paint.ts";

type HealthEvent = Extract<Event, { kind: "health" | "recovery" }>;

/** `isDrawn`: looks are drawn by somebody else. */
export function healthLines(
  event: HealthEvent,
  paint: { readonly stdout: Paint; readonly stderr: Paint },
  isDrawn: boolean,
): (readonly ["stdout" | "stderr", string])[] {
  if (event.kind === "recovery") {
    const host = paint.stderr.host(event.host);
    if (event.outcome === "recovered") return [["stderr", `${host}: connected again\n`]];
    // The next wait says why this one failed; a drawing shows that it still does.
    if (event.outcome === "failed" || (isDrawn && event.attempt > 1)) return [];
    const again = `connecting again in ${formatDuration(event.wait ?? 0)}`;
    const what = event.error?.message ?? "the connection was lost";
    return [["stderr", `${paint.stderr.yellow("warning:")} ${host}: ${what}; ${again} (attempt ${event.attempt})\n`]];
  }
  if (isDrawn) return [];
  const { sample } = event;
  const [host = "", status = "", ...cells] = healthCells(sample);
  const said = cells.map((cell, i) => `${healthTitles[i + 2]} ${cell}`).join("  ");
  const time = new Date(event.at).toISOString().replace(/\.\d+Z$/, "Z");
  const remarks = healthRemarks(sample).map((remark) => `; ${remark.replace(/ +/, " ")}`);
  const name = paint.stdout.host(host);
  return [
    ["stdout", `${time} ${name} ${paintStatus(sample.status, status, paint.stdout)}  ${said}${remarks.join("")}\n`],
  ];
}

export function paintStatus(status: HealthStatus, text: string, paint: Paint): string {
  return { ok: paint.green, warn: paint.yellow, bad: paint.red }[status](text);
}
