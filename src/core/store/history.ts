/**
 * History: how hosts did, in one SQLite file that several processes may use at once. Bounded: minutes are kept for six
 * hours and hours for sixty days, and of all hosts together no more than the file may hold.
 */
import type { DatabaseSync } from "node:sqlite";
import { type HistoryEntry, type HistoryRow, forget, migrations, read, record, sweep } from "./history-rows.ts";
import { openSharedFile } from "./shared-file.ts";

export interface History {
  record(host: string, entry: HistoryEntry): void;
  /** Oldest first. */
  read(host: string, since?: number): HistoryRow[];
  /** How many rows that were. */
  forget(host: string): number;
  close(): void;
}

export interface HistoryOptions {
  /** In a folder that exists; `:memory:` keeps nothing. */
  readonly file: string;
  readonly now?: (() => number) | undefined;
  /** Most bytes of the file. */
  readonly most?: number | undefined;
  /** Told where a damaged file was put. */
  readonly damaged?: ((aside: string) => void) | undefined;
}

/**
 * Rejects, and its members throw, with `store.unusable`. A damaged file is renamed and begun anew, whenever it is found
 * to be damaged.
 */
export async function openHistory({ file, now = Date.now, most, damaged }: HistoryOptions): Promise<History> {
  const tidy = (db: DatabaseSync): void => sweep(db, now(), most ?? usualMost);
  const shared = await openSharedFile({ file, migrations, now, damaged, tidy });
  return {
    record: (host, entry) => shared.use((db) => record(db, host, entry, now())),
    read: (host, since = 0) => shared.use((db) => read(db, host, since)),
    forget: (host) => shared.use((db) => forget(db, host)),
    close: () => shared.close(),
  };
}

const usualMost = 256 * 2 ** 20;
