/** Place: where recordings go when nobody says where. */
import { randomBytes } from "node:crypto";
import { join } from "node:path";

/** Sorts by time and tells the host: `2026-03-01T09-30-00Z-web1-3f9a.cast`. */
export function recordingPath(folder: string, host: string, at: Date = new Date()): string {
  const time = at
    .toISOString()
    .replace(/\.\d+Z$/, "Z")
    .replaceAll(":", "-");
  const name = host.replaceAll(/[^A-Za-z0-9._@-]/g, "_");
  return join(folder, `${time}-${name}-${randomBytes(2).toString("hex")}.cast`);
}
