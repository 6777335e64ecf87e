/** History rows: looks in tables, by the minute and then by the hour, and what goes when it is old. */
import type { DatabaseSync, SQLInputValue } from "node:sqlite";
import { together } from "./shared-file.ts";

/** One look. What was not seen is absent. Times are milliseconds, sizes bytes. */
export interface HistoryEntry {
  readonly at: number;
  readonly ok: boolean;
  readonly connect?: number | undefined;
  readonly rtt50?: number | undefined;
  readonly rtt95?: number | undefined;
  readonly rtt99?: number | undefined;
  readonly up?: number | undefined;
  readonly down?: number | undefined;
  /** Over one minute. */
  readonly load?: number | undefined;
  /** Available, and all there is. */
  readonly memory?: number | undefined;
  readonly memoryTotal?: number | undefined;
  readonly disks?: readonly HistoryDisk[] | undefined;
}

export interface HistoryDisk {
  readonly mount: string;
  readonly size: number;
  readonly available: number;
}

/** All looks of a minute or an hour: means, but for `rtt99`, the worst, and `memoryTotal` and sizes, the last. */
export interface HistoryRow extends Omit<HistoryEntry, "ok"> {
  /** Milliseconds that it covers, from `at` on. */
  readonly span: number;
  readonly tries: number;
  readonly failures: number;
  readonly disks: HistoryDisk[];
}

const minute = 60_000;
const hour = 60 * minute;
const keepMinutes = 6 * hour;
const keepHours = 60 * 24 * hour;

/** Each turns the schema of the version before into the next. Never changed, only added to. */
export const migrations = [
  `CREATE TABLE host (name TEXT PRIMARY KEY, seen INTEGER NOT NULL) WITHOUT ROWID;
   CREATE TABLE sample (
     host TEXT NOT NULL, span INTEGER NOT NULL, at INTEGER NOT NULL, tries INTEGER NOT NULL, failures INTEGER NOT NULL,
     connect REAL, rtt50 REAL, rtt95 REAL, rtt99 REAL, up REAL, down REAL, load REAL, memory REAL, memoryTotal REAL,
     PRIMARY KEY (host, span, at)) WITHOUT ROWID;
   CREATE TABLE disk (
     host TEXT NOT NULL, span INTEGER NOT NULL, at INTEGER NOT NULL, mount TEXT NOT NULL, looks INTEGER NOT NULL,
     size REAL NOT NULL, available REAL NOT NULL,
     PRIMARY KEY (host, span, at, mount)) WITHOUT ROWID;`,
] as const;

/** What nobody has looked at for long goes; then, while it is too much, what is oldest. */
export function sweep(db: DatabaseSync, now: number, most: number): void {
  const gone = db.prepare("SELECT name FROM host WHERE seen < ?").all(now - keepHours);
  for (const { name } of gone) forget(db, String(name));
  const count = (pragma: string): number => Number(Object.values(db.prepare(`PRAGMA ${pragma}`).get() ?? {})[0]);
  const used = (): number => (count("page_count") - count("freelist_count")) * count("page_size");
  for (let keep = keepHours / 2; used() > most && keep > hour; keep /= 2) {
    together(db, () => {
      for (const table of ["sample", "disk"]) db.prepare(`DELETE FROM ${table} WHERE at < ?`).run(now - keep);
    });
  }
}

const averaged = ["connect", "rtt50", "rtt95", "up", "down", "load", "memory"] as const;
const columns = [...averaged, "rtt99", "memoryTotal"] as const;
type Kept = Partial<Record<(typeof columns)[number], number | undefined>>;

export function record(db: DatabaseSync, host: string, entry: HistoryEntry, now: number): void {
  together(db, () => {
    db.prepare("INSERT INTO host VALUES (?, ?) ON CONFLICT DO UPDATE SET seen = max(seen, excluded.seen)").run(
      host,
      entry.at,
    );
    const at = Math.floor(entry.at / minute) * minute;
    addSample(db, { ...entry, host, span: minute, at, tries: 1, failures: entry.ok ? 0 : 1 });
    for (const disk of entry.disks ?? []) addDisk(db, { ...disk, host, span: minute, at, looks: 1 });
    fold(db, host, now);
  });
}

type Place = { readonly host: string; readonly span: number; readonly at: number };

/** Into what is there already: means weigh by how often was looked. */
function addSample(db: DatabaseSync, row: Place & { tries: number; failures: number } & Kept): void {
  const mean = (name: string): string =>
    `${name} = CASE WHEN excluded.${name} IS NULL THEN ${name} WHEN ${name} IS NULL THEN excluded.${name} ` +
    `ELSE (${name} * (tries - failures) + excluded.${name} * (excluded.tries - excluded.failures)) / ` +
    `max(1, tries - failures + excluded.tries - excluded.failures) END`;
  const names = ["host", "span", "at", "tries", "failures", ...columns];
  db.prepare(
    `INSERT INTO sample (${names.join(", ")}) VALUES (${names.map(() => "?").join(", ")}) ON CONFLICT DO UPDATE SET ` +
      `tries = tries + excluded.tries, failures = failures + excluded.failures, ${averaged.map(mean).join(", ")}, ` +
      `rtt99 = max(coalesce(rtt99, excluded.rtt99), coalesce(excluded.rtt99, rtt99)), ` +
      `memoryTotal = coalesce(excluded.memoryTotal, memoryTotal)`,
  ).run(
    row.host,
    row.span,
    row.at,
    row.tries,
    row.failures,
    ...columns.map((name): SQLInputValue => row[name] ?? null),
  );
}

function addDisk(db: DatabaseSync, disk: Place & HistoryDisk & { looks: number }): void {
  db.prepare(
    `INSERT INTO disk (host, span, at, mount, looks, size, available) VALUES (?, ?, ?, ?, ?, ?, ?) ` +
      `ON CONFLICT DO UPDATE SET looks = looks + excluded.looks, size = excluded.size, ` +
      `available = (available * looks + excluded.available * excluded.looks) / (looks + excluded.looks)`,
  ).run(disk.host, disk.span, disk.at, disk.mount, disk.looks, disk.size, disk.available);
}

/** Minutes that are old become hours; hours that are very old go. */
function fold(db: DatabaseSync, host: string, now: number): void {
  const before = Math.floor((now - keepMinutes) / hour) * hour;
  const old = `host = ? AND span = ${minute} AND at < ?`;
  for (const row of db.prepare(`SELECT * FROM sample WHERE ${old}`).all(host, before)) {
    addSample(db, {
      ...keptOf(row),
      ...hourOf(host, row),
      tries: Number(row["tries"]),
      failures: Number(row["failures"]),
    });
  }
  for (const row of db.prepare(`SELECT * FROM disk WHERE ${old}`).all(host, before))
    addDisk(db, { ...diskOf(row), ...hourOf(host, row), looks: Number(row["looks"]) });
  for (const table of ["sample", "disk"]) {
    db.prepare(`DELETE FROM ${table} WHERE ${old}`).run(host, before);
    db.prepare(`DELETE FROM ${table} WHERE host = ? AND span = ${hour} AND at < ?`).run(host, now - keepHours);
  }
}

function hourOf(host: string, row: Row): Place {
  return { host, span: hour, at: Math.floor(Number(row["at"]) / hour) * hour };
}

type Row = Record<string, unknown>;

function keptOf(row: Row): Kept {
  return Object.fromEntries(
    columns.flatMap((name) => {
      const value = row[name];
      return typeof value === "number" ? [[name, value]] : [];
    }),
  );
}

function diskOf(row: Row): HistoryDisk {
  return { mount: String(row["mount"]), size: Number(row["size"]), available: Number(row["available"]) };
}

export function read(db: DatabaseSync, host: string, since: number): HistoryRow[] {
  const query = (table: string) =>
    db.prepare(`SELECT * FROM ${table} WHERE host = ? AND at + span > ? ORDER BY at, span DESC`).all(host, since);
  const key = (row: Row): string => `${Number(row["span"])} ${Number(row["at"])}`;
  const disks = Map.groupBy(query("disk"), key);
  return query("sample").map((row) => ({
    at: Number(row["at"]),
    span: Number(row["span"]),
    tries: Number(row["tries"]),
    failures: Number(row["failures"]),
    ...keptOf(row),
    disks: (disks.get(key(row)) ?? []).map(diskOf),
  }));
}

export function forget(db: DatabaseSync, host: string): number {
  return together(db, () => {
    const { changes } = db.prepare("DELETE FROM sample WHERE host = ?").run(host);
    for (const [table, column] of [
      ["disk", "host"],
      ["host", "name"],
    ] as const)
      db.prepare(`DELETE FROM ${table} WHERE ${column} = ?`).run(host);
    return Number(changes);
  });
}
