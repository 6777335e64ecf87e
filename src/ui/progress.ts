/** Progress: how far a copy is, in words. */
import { formatBytes } from "../core/bytes.ts";
import { formatDuration } from "../core/duration.ts";
import type { Event } from "../core/events.ts";

/** `put big.iso 34 % of 1.2 GiB, 98 MiB/s, 8.0 s left`. */
export function progressText(event: Extract<Event, { kind: "progress" }>): string {
  const { title, done, total, unit, rate, eta } = event;
  const size = (amount: number): string => (unit === "bytes" ? formatBytes(amount) : String(amount));
  const far =
    total === undefined || total === 0 ? size(done) : `${Math.floor((done / total) * 100)} % of ${size(total)}`;
  const fast = rate === undefined ? "" : `, ${size(rate)}/s`;
  const left = eta === undefined || done === total ? "" : `, ${formatDuration(eta * 1000)} left`;
  return `${title} ${far}${fast}${left}`;
}
