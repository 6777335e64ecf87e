/**
 * Shared file: a SQLite file that several processes may use at once. A damaged one is renamed and begun anew, whenever
 * it is found to be damaged.
 */
import { closeSync, mkdirSync, openSync, renameSync, rmSync, rmdirSync, statSync } from "node:fs";
import type { DatabaseSync } from "node:sqlite";
import { AmiError } from "../errors.ts";

export interface SharedFile {
  /** Throws `store.unusable`. The work is done anew when the file had to be. */
  use<T>(work: (db: DatabaseSync) => T): T;
  close(): void;
}

export interface SharedFileOptions {
  /** In a folder that exists; `:memory:` keeps nothing. */
  readonly file: string;
  /** Each turns the schema of the version before into the next. Never changed, only added to. */
  readonly migrations: readonly string[];
  readonly now: () => number;
  /** Told where a damaged file was put. */
  readonly damaged?: ((aside: string) => void) | undefined;
  /** With each opening. */
  readonly tidy: (db: DatabaseSync) => void;
}

/** Rejects with `store.unusable`. */
export async function openSharedFile(options: SharedFileOptions): Promise<SharedFile> {
  const { DatabaseSync: Database } = await import("node:sqlite");
  const { file, migrations, now, damaged } = options;
  const turn = `${file}.mending`;
  let isClosed = false;

  const open = (): Opened => {
    const isFile = file !== ":memory:";
    // SQLite would make it readable to all; its other files take after this one.
    if (isFile) closeSync(openSync(file, "a", 0o600));
    const inode = isFile ? inodeOf(file) : undefined;
    const db = new Database(file);
    try {
      db.exec("PRAGMA busy_timeout = 5000; PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL");
      migrate(db, file, migrations);
      options.tidy(db);
      return { db, inode };
    } catch (error) {
      closeQuietly(db);
      throw Object.assign(new Broken(), { error, db, inode });
    }
  };
  const start = (): Opened => {
    for (let attempt = 1; ; attempt++) {
      try {
        return open();
      } catch (error) {
        if (!(error instanceof Broken)) throw error;
        if (attempt === mostAttempts) throw error.error;
        if (isDamage(error.error)) putAside(error);
        else if (isMoving(error.error, error.inode)) pause();
        else throw error.error;
      }
    }
  };
  /** Another process is just putting it aside, or has, or deleted what we were about to delete. */
  const isMoving = (error: unknown, inode: bigint | undefined): boolean =>
    isGoneAlready(error) || statSync(turn, { throwIfNoEntry: false }) !== undefined || inodeOf(file) !== inode;
  /** One process at a time: another may have found it out as well, and begun a new one already. */
  const putAside = ({ db, inode }: Opened): void => {
    if (db.isOpen) closeQuietly(db);
    if (!takeTurn(turn)) return;
    try {
      if (inode === undefined || inodeOf(file) !== inode) return;
      const aside = `${file}.damaged-${new Date(now()).toISOString().replaceAll(/[:.]/g, "-")}`;
      for (const end of ["-wal", "-shm", ""]) {
        if (statSync(file + end, { throwIfNoEntry: false }) !== undefined) renameSync(file + end, aside + end);
      }
      damaged?.(aside);
    } finally {
      rmdirSync(turn);
    }
  };
  const said = <T>(work: () => T): T => {
    try {
      return work();
    } catch (error) {
      if (error instanceof AmiError) throw error;
      const why = error instanceof Broken ? error.error : error;
      if (why instanceof AmiError) throw why;
      throw unusable(file, why);
    }
  };
  let opened = said(start);
  const reopen = (): void => {
    if (opened.db.isOpen) closeQuietly(opened.db);
    opened = start();
  };

  return {
    use: (work) =>
      said(() => {
        // SQLite would write on into a file that has no name any more.
        if (opened.inode !== undefined && inodeOf(file) !== opened.inode) reopen();
        try {
          return work(opened.db);
        } catch (error) {
          if (isDamage(error)) putAside(opened);
          else if (opened.inode === undefined || error instanceof AmiError || !isMoving(error, opened.inode))
            throw error;
          reopen();
          return work(opened.db);
        }
      }),
    close() {
      if (!isClosed) closeQuietly(opened.db);
      isClosed = true;
    },
  };
}

interface Opened {
  readonly db: DatabaseSync;
  /** Undefined: not on disk. */
  readonly inode: bigint | undefined;
}

/** How often it is opened while other processes put it aside. */
const mostAttempts = 20;

/** False, after a moment: it is another process's. One that was killed with it loses it. */
function takeTurn(path: string): boolean {
  try {
    mkdirSync(path);
    return true;
  } catch {
    const since = statSync(path, { throwIfNoEntry: false })?.mtimeMs;
    if (since !== undefined && Date.now() - since > 10_000) rmSync(path, { recursive: true, force: true });
    pause();
    return false;
  }
}

function pause(): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 50);
}

function closeQuietly(db: DatabaseSync): void {
  try {
    db.close();
  } catch {
    // It is damaged: that it cannot be closed well is no news.
  }
}

/** Opened, and then something was wrong. */
class Broken extends Error implements Opened {
  declare readonly error: unknown;
  declare readonly db: DatabaseSync;
  declare readonly inode: bigint | undefined;
}

function inodeOf(file: string): bigint | undefined {
  return statSync(file, { bigint: true, throwIfNoEntry: false })?.ino;
}

/** SQLITE_CORRUPT and SQLITE_NOTADB, extended codes included. */
function isDamage(error: unknown): boolean {
  const code = errcode(error) & 0xff;
  return code === 11 || code === 26;
}

/** SQLITE_IOERR_DELETE_NOENT: of several that find a new file with an old log beside it, all but one see this. */
function isGoneAlready(error: unknown): boolean {
  return errcode(error) === 5898;
}

function errcode(error: unknown): number {
  return error instanceof Error && "errcode" in error && typeof error.errcode === "number" ? error.errcode : 0;
}

function unusable(file: string, error: unknown): AmiError {
  const why = error instanceof Error ? error.message : String(error);
  return new AmiError("store.unusable", `${file}: ${why}`, {
    hint: "is there room, and may you write there? Removing the file forgets everything in it",
    cause: error,
  });
}

function migrate(db: DatabaseSync, file: string, migrations: readonly string[]): void {
  const version = (): number => Number(db.prepare("PRAGMA user_version").get()?.["user_version"]);
  if (version() === migrations.length) return;
  together(db, () => {
    // Another process may have been faster.
    const from = version();
    if (from > migrations.length) {
      throw new AmiError("store.unusable", `${file} was written by a newer ami-node`, {
        hint: "use that one, or move the file away",
      });
    }
    for (const migration of migrations.slice(from)) db.exec(migration);
    db.exec(`PRAGMA user_version = ${migrations.length}`);
  });
}

/** All of it or nothing. */
export function together<T>(db: DatabaseSync, work: () => T): T {
  db.exec("BEGIN IMMEDIATE");
  try {
    const result = work();
    db.exec("COMMIT");
    return result;
  } catch (error) {
    if (db.isTransaction) db.exec("ROLLBACK");
    throw error;
  }
}
