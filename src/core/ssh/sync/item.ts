/** Item: what a tree holds at a path, and what has to be done so that one tree becomes the other. Pure. */

export interface Item {
  readonly type: "file" | "folder" | "symlink" | "other";
  readonly size: number;
  /** Permission bits, 0-0777. */
  readonly mode: number;
  /** Seconds. */
  readonly mtime: number;
  readonly leadsTo?: string | undefined;
  /**
   * Of a thing here: changes whenever it is written. Of a thing there: the stamp of what was sent; absent when it was
   * there before, and then size and time have to do.
   */
  readonly stamp?: string | undefined;
  /** Of a folder there: in it is something that is left alone. */
  readonly holds?: boolean | undefined;
}

/** By path below the root: `src/a.c`. A folder comes before what is in it. */
export type Items = ReadonlyMap<string, Item>;

export interface Changes {
  /** To be sent, folders first. */
  readonly send: readonly string[];
  /** To be taken away before anything is sent: what stands where another kind of thing is to go. */
  readonly clear: readonly string[];
  /** To be taken away because it is gone here; a folder stands for what is in it. */
  readonly gone: readonly string[];
  /** Folders whose permissions changed. */
  readonly modes: ReadonlyMap<string, number>;
  /** Left alone: something of the other side's own stands there. */
  readonly blocked: readonly string[];
}

export interface How {
  /** Take away what is not here, whoever put it there. */
  readonly delete: boolean;
  /** Not looked into: what is there may still be here. */
  readonly unreadable: readonly string[];
}

export function compare(here: Items, there: Items, how: How): Changes {
  const send: string[] = [];
  const clear: string[] = [];
  const blocked: string[] = [];
  const modes = new Map<string, number>();
  for (const [path, item] of here) {
    if (item.type === "other" || blocked.some((one) => path.startsWith(`${one}/`))) continue;
    const old = there.get(path);
    const cleared = clear.some((one) => path.startsWith(`${one}/`));
    if (old === undefined || cleared) send.push(path);
    else if (old.type !== item.type && (old.type === "folder" || item.type === "folder")) {
      // A folder may hold what others put there, and what was not sent by us is not ours to replace.
      const isOurs = old.type !== "folder" && old.stamp !== undefined;
      if (old.holds === true || (!how.delete && !isOurs)) blocked.push(path);
      else {
        clear.push(path);
        send.push(path);
      }
    } else if (item.type === "folder") {
      if (old.mode !== item.mode) modes.set(path, item.mode);
    } else if (differs(item, old)) send.push(path);
  }
  const gone: string[] = [];
  let whole: string | undefined;
  for (const path of how.delete ? [...there.keys()].toSorted(folderFirst) : []) {
    if (here.has(path) || (whole !== undefined && path.startsWith(whole))) continue;
    if ([...clear, ...blocked, ...how.unreadable].some((one) => path.startsWith(`${one}/`))) continue;
    if (there.get(path)?.holds === true) continue;
    gone.push(path);
    whole = `${path}/`;
  }
  return { send, clear, gone, modes, blocked };
}

export function isNothing({ send, clear, gone, modes }: Changes): boolean {
  return send.length + clear.length + gone.length + modes.size === 0;
}

function differs(item: Item, old: Item): boolean {
  if (item.type !== old.type) return true;
  if (item.type === "symlink") return item.leadsTo !== old.leadsTo;
  if (old.stamp !== undefined) return item.stamp !== old.stamp;
  return item.size !== old.size || item.mtime !== old.mtime || item.mode !== old.mode;
}

/** `a`, `a/b`, `a.c`: a slash comes before all else. */
function folderFirst(a: string, b: string): number {
  const [one, other] = [a.replaceAll("/", "\0"), b.replaceAll("/", "\0")];
  return one < other ? -1 : one > other ? 1 : 0;
}
