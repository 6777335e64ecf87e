/** Durations as people write them (`30`, `30s`, `5m`, `1h30m`, `500ms`) and read them (`1.2 s`, `3m 05s`). */

const units: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/** Milliseconds; a bare number is seconds. undefined: not a duration. */
export function parseDuration(text: string): number | undefined {
  const words = text.trim();
  if (/^\d+(\.\d+)?$/.test(words)) return Math.round(Number(words) * 1000);
  if (!/^(\d+(\.\d+)?(ms|s|m|h|d))+$/.test(words)) return undefined;
  let total = 0;
  for (const [, amount, unit] of words.matchAll(/(\d+(?:\.\d+)?)(ms|s|m|h|d)/g)) {
    total += Number(amount) * (units[unit ?? ""] ?? 0);
  }
  return Math.round(total);
}

/** For people: three or four characters that matter. */
export function formatDuration(ms: number): string {
  if (ms < 1000) return `${Math.round(ms)} ms`;
  if (ms < 59_950) return `${(ms / 1000).toFixed(1)} s`;
  const seconds = Math.round(ms / 1000);
  const [hours, minutes, rest] = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60, seconds % 60];
  return hours > 0 ? `${hours}h ${two(minutes)}m` : `${minutes}m ${two(rest)}s`;
}

function two(n: number): string {
  return String(n).padStart(2, "0");
}
