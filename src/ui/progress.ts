/** Progress: how far a copy is, in words. */
import { formatBytes } from "../core/bytes.ts";
import type { Event } from "../core/events.ts";

/** `put big.iso 34 % of 1.2 GiB`. */
export function progressText({ title, done, total, unit }: Extract<Event, { kind: "progress" }>): string {
  const size = (amount: number): string => (unit === "bytes" ? formatBytes(amount) : String(amount));
  if (total === undefined || total === 0) return `${title} ${size(done)}`;
  return `${title} ${Math.floor((done / total) * 100)} % of ${size(total)}`;
}
