/** Bytes as people read them: `512 B`, `1.5 KiB`, `23 GiB`. */
const units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"] as const;

export function formatBytes(bytes: number): string {
  const power = bytes < 1 ? 0 : Math.min(units.length - 1, Math.floor(Math.log2(bytes) / 10));
  const value = bytes / 1024 ** power;
  // 1023.9 KiB must not be written as 1024 KiB.
  if (value >= 999.5 && power < units.length - 1) return `1.0 ${units[power + 1]}`;
  return `${power === 0 || value >= 99.95 ? Math.round(value) : value.toFixed(1)} ${units[power]}`;
}
