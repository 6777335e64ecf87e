/** Near: a folder of this machine that is kept in view: what is in it, and when that may have changed. */
import { lstatSync, readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { AmiError } from "../../errors.ts";
import { systemCode, whyUnreadable } from "../../unreadable.ts";
import { visibleLine } from "../../visible.ts";
import type { Entry } from "../transfer/entry.ts";
import type { Filter } from "../transfer/filter.ts";
import { isOurs } from "../transfer/mirror.ts";
import type { Item, Items } from "./item.ts";
import { entryOf, itemOf } from "./read.ts";
import { createWatchers } from "./watch.ts";

export interface Near {
  /** As of the last look. */
  readonly items: Items;
  readonly unreadable: readonly string[];
  /** Grows with every look that found a difference. */
  readonly version: number;
  /** Undefined: the system tells of no changes, and why. Then it is looked at again and again. */
  readonly blind: string | undefined;
  /** Resolves when `version` is another one; rejects when aborted. */
  changed(since: number, signal: AbortSignal): Promise<void>;
  /** What is there now, as it travels; undefined: it is gone, or another kind of thing. */
  entry(path: string): Entry | undefined;
  close(): void;
}

export interface NearOptions {
  readonly filter: Filter;
  /** Keep it in view; else it is looked at once. */
  readonly watch: boolean;
  /** How the system tells of changes: of each folder by itself, or of all below one. */
  readonly each?: boolean | undefined;
  warn(text: string): void;
}

/** Milliseconds: a burst is over when nothing was told for that long, ... */
const calm = 100;
/** ... but is not waited for longer than this. */
const patience = 1000;
/** When all is quiet, everything is looked at once more: what the system could not keep up with it does not tell. */
const quiet = 1000;
/** Where it tells nothing at all. */
const again = 2000;

/** Throws `usage.input` when there is no such folder. */
export function openNear(root: string, options: NearOptions): Near {
  const { filter, warn } = options;
  const each = options.each ?? process.platform === "linux";
  const items = new Map<string, Item>();
  const watchers = createWatchers(root, each, (folder) => told(folder));
  const dirty = new Set<string>();
  const skipped = new Set<string>();
  const waiting = new Set<() => void>();
  let unreadable: string[] = [];
  let version = 0;
  let isAll = false;
  let isClosed = false;
  let timer: NodeJS.Timeout | undefined;
  let since: number | undefined;
  const device = rootOf(root).dev;

  const told = (folder: string): void => {
    if (each) dirty.add(folder);
    else isAll = true;
    plan(calm);
  };
  const plan = (wait: number): void => {
    if (isClosed) return;
    clearTimeout(timer);
    since ??= performance.now();
    timer = setTimeout(look, Math.max(0, Math.min(wait, since + patience - performance.now())));
  };
  const rest = (wait: number): void => {
    if (isClosed) return;
    clearTimeout(timer);
    timer = setTimeout(() => {
      isAll = true;
      look();
    }, wait);
  };
  const look = (): void => {
    since = undefined;
    const wasAll = isAll;
    const folders = wasAll ? [""] : [...dirty].toSorted();
    dirty.clear();
    isAll = false;
    let differences = 0;
    try {
      if (rootOf(root).dev !== device) throw new Error("another disk is in its place");
      const before = unreadable;
      if (wasAll) unreadable = [];
      try {
        for (const folder of folders)
          if (folder === "" || items.get(folder)?.type === "folder") differences += scan(folder, wasAll);
      } catch (error) {
        // Nothing that was not looked at may count as gone.
        unreadable = [...new Set([...before, ...unreadable])];
        throw error;
      }
    } catch (error) {
      // Nothing is taken for deleted while the folder itself is away.
      warnOnce("", `${root}: ${whyUnreadable(error)}; waiting for it to come back`);
      return rest(again);
    }
    skipped.delete("");
    if (differences > 0) {
      version++;
      for (const wake of waiting) wake();
    }
    if (dirty.size > 0) plan(calm);
    else if (watchers.blind() !== undefined) rest(again);
    else if (!wasAll || differences > 0) rest(quiet);
  };
  const warnOnce = (path: string, text: string): void => {
    if (skipped.has(path)) return;
    skipped.add(path);
    warn(visibleLine(text));
  };

  /** Looks into one folder, and into those below it that are new or, with `deep`, all. Returns how much is different. */
  const scan = (folder: string, deep: boolean): number => {
    const full = join(root, folder);
    // First watched, then read: what happens in between is told.
    if (options.watch && (each || folder === "")) watchers.keep(folder);
    let found;
    try {
      found = readdirSync(full, { withFileTypes: true });
    } catch (error) {
      if (folder === "") throw error;
      if (systemCode(error) === "ENOENT" || systemCode(error) === "ENOTDIR") return lose(folder);
      return leave(folder, error);
    }
    let differences = 0;
    const names = new Set<string>();
    const inside: string[] = [];
    for (const { name } of found) {
      const path = folder === "" ? name : `${folder}/${name}`;
      let stats;
      try {
        stats = lstatSync(join(full, name), { bigint: true, throwIfNoEntry: false });
      } catch (error) {
        // Names may be read in it, and no more.
        if (folder === "") throw error;
        return leave(folder, error);
      }
      if (stats === undefined && name.includes("\ufffd")) warnOnce(path, `${path} is left out: its name is no UTF-8`);
      if (stats === undefined || isOurs(path) || !filter.wants(path, stats.isDirectory())) continue;
      const item = itemOf(join(full, name), stats);
      if (item === undefined) continue;
      if (item.type === "other") {
        warnOnce(path, `${path} is left out: it is neither file, folder nor link`);
        continue;
      }
      names.add(path);
      const old = items.get(path);
      if (old?.type === "folder" && item.type !== "folder") differences += forget(path);
      if (old?.stamp !== item.stamp || old?.type !== item.type) {
        items.set(path, item);
        differences++;
      }
      // Of a folder the stamp says which one it is.
      if (item.type === "folder" && (deep || old?.stamp !== item.stamp)) inside.push(path);
    }
    for (const path of childrenOf(folder)) if (!names.has(path)) differences += lose(path);
    known.set(folder, names);
    for (const path of inside) differences += scan(path, deep);
    return differences;
  };
  /** What is in it is neither sent nor taken for deleted. */
  const leave = (folder: string, error: unknown): number => {
    if (!unreadable.includes(folder)) unreadable.push(folder);
    warnOnce(folder, `${folder} is left as it is there: ${whyUnreadable(error)}`);
    return 0;
  };
  /** It is gone; unless all is, because the folder itself went while it was looked at. */
  const lose = (path: string): number => {
    if (rootOf(root).dev !== device) throw new Error("another disk is in its place");
    return forget(path);
  };
  /** What was found in each folder at the last look. */
  const known = new Map<string, ReadonlySet<string>>();
  const childrenOf = (folder: string): ReadonlySet<string> => known.get(folder) ?? new Set();
  const forget = (path: string): number => {
    let differences = items.delete(path) ? 1 : 0;
    for (const child of childrenOf(path)) differences += forget(child);
    known.delete(path);
    watchers.stop(path);
    return differences;
  };

  try {
    scan("", true);
  } catch (error) {
    if (error instanceof AmiError) throw error;
    throw new AmiError("usage.input", `${root}: ${whyUnreadable(error)}`, { cause: error });
  }
  if (options.watch) rest(watchers.blind() === undefined ? quiet : again);

  return {
    items,
    get unreadable() {
      return unreadable;
    },
    get version() {
      return version;
    },
    get blind() {
      return watchers.blind();
    },
    async changed(known_, signal) {
      while (version === known_) {
        signal.throwIfAborted();
        const { promise, resolve } = Promise.withResolvers<void>();
        const wake = (): void => resolve();
        waiting.add(wake);
        signal.addEventListener("abort", wake, { once: true });
        await promise;
        signal.removeEventListener("abort", wake);
        waiting.delete(wake);
      }
    },
    entry: (path) => entryOf(join(root, path), path, (why) => warnOnce(path, `${path} is left as it is there: ${why}`)),
    close() {
      isClosed = true;
      clearTimeout(timer);
      watchers.close();
    },
  };
}

function rootOf(root: string): { dev: number } {
  const found = statSync(root, { throwIfNoEntry: false });
  if (found?.isDirectory() === true) return found;
  throw new AmiError("usage.input", found === undefined ? `${root}: there is no such folder` : `${root} is no folder`);
}
