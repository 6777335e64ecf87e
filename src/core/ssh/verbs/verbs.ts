/** Verbs: everyday work on the files of a host, one call for each thing that is done. */

/** One thing in a folder, itself and not what a link leads to. */
export interface Found {
  /** Absolute. */
  readonly path: string;
  /** The last part of the path. */
  readonly name: string;
  readonly type: "file" | "folder" | "symlink" | "pipe" | "socket" | "device";
  readonly size: number;
  /** Permission bits, special ones included. */
  readonly mode: number;
  /** Names where the host tells them, else numbers. */
  readonly owner: string;
  readonly group: string;
  /** Seconds. */
  readonly mtime: number;
  /** Of a symlink. */
  readonly leadsTo?: string | undefined;
}

/**
 * Paths are absolute. Rejects with `host.file` in the words of the host, `ssh.*`, `run.cancelled`. Nothing but `leadsTo`
 * and `chmod` follows a link that stands at the end of a path. test/contract/verbs.ts is its exam.
 */
export interface Verbs {
  /** Where relative paths begin. */
  readonly start: string;
  readonly home: string;
  /** Undefined: there is nothing. */
  look(path: string): Promise<Found | undefined>;
  /** What is there in the end, links followed. */
  follow(path: string): Promise<Found | undefined>;
  /** In no order, without `.` and `..`. */
  list(path: string): Promise<readonly Found[]>;
  /** A file, a link, an empty folder. */
  remove(found: Found): Promise<void>;
  makeFolder(path: string, mode?: number): Promise<void>;
  /** Onto another disk too. `replace: false` rejects where something is already, whoever put it there meanwhile. */
  move(from: string, to: string, how: { readonly replace: boolean }): Promise<void>;
  chmod(path: string, mode: number): Promise<void>;
  /** Idempotent. */
  end(): void;
}

/** `path` as a user writes it: below the start, or below `~`; without needless slashes and dots. */
export function absolute({ start, home }: Pick<Verbs, "start" | "home">, path: string): string {
  const rooted = path.startsWith("/")
    ? path
    : /^~(?:\/|$)/.test(path)
      ? `${home}/${path.slice(2)}`
      : `${start}/${path}`;
  // `..` stays: where it leads depends on links.
  return `/${rooted
    .split("/")
    .filter((part) => part !== "" && part !== ".")
    .join("/")}`;
}

export function nameIn(path: string): string {
  return path.slice(path.lastIndexOf("/") + 1);
}

export function below(folder: string, name: string): string {
  return folder.endsWith("/") ? `${folder}${name}` : `${folder}/${name}`;
}

/** `mode` as the system has it: what is above the permission bits. */
export function typeOf(mode: number): Found["type"] {
  return types[mode & 0o170000] ?? "device";
}

const types: Readonly<Record<number, Found["type"]>> = {
  0o010000: "pipe",
  0o040000: "folder",
  0o100000: "file",
  0o120000: "symlink",
  0o140000: "socket",
};
