/** Far: the folder of another machine that is to become like one of this: what is in it, and how it is changed. */
import { AmiError } from "../../errors.ts";
import { type Host, exitStatus } from "../../host.ts";
import { visible } from "../../visible.ts";
import type { Entry } from "../transfer/entry.ts";
import { look } from "../transfer/end.ts";
import { writeFarTree } from "../transfer/far-tar.ts";
import type { Filter } from "../transfer/filter.ts";
import { foldersOf, isOurs, removeBelow } from "../transfer/mirror.ts";
import { join } from "../transfer/plan.ts";
import { programVerbs } from "../verbs/by-programs.ts";
import type { Found } from "../verbs/verbs.ts";
import type { Changes, Item } from "./item.ts";
import type { Near } from "./near.ts";

export interface Far {
  /** Absolute. */
  readonly root: string;
  /** Where the keys are that let us in: they are not ours to delete. */
  readonly keys: string;
  /** What is there, as far as we know: as listed at first, then as we changed it. */
  readonly items: Map<string, Item>;
}

/** Makes the folder if need be, and lists it. Rejects with `host.*`, `ssh.*`, `run.cancelled`. */
export async function openFar(host: Host, path: string, filter: Filter, signal: AbortSignal): Promise<Far> {
  const { spots, tools } = await look({ name: host.name, host }, [path], signal);
  const [spot, another] = spots[0] ?? [];
  const fail = (why: string, hint?: string): AmiError =>
    new AmiError("host.file", `${spot?.path ?? path}: ${why}`, { host: host.name, hint });
  if (spot === undefined || spot.type === "file" || spot.type === "other") throw fail("it is no folder");
  if (another !== undefined) throw fail(`${path} is ${another.path} too, and one is meant`);
  if (!tools.has("tar"))
    throw new AmiError("host.unsupported", "there is no tar at the other end, and sync needs it", { host: host.name });
  const items = new Map<string, Item>();
  const verbs = await programVerbs(host, signal);
  const keys = join(verbs.home, ".ssh/authorized_keys");
  if (spot.type === "absent") {
    if (!spot.hasFolder) throw fail("there is no folder it could be in", "make it: ami-node ssh mkdir -p");
    await verbs.makeFolder(spot.path);
    return { root: spot.path, keys, items };
  }
  const root = spot.path === "/" ? "" : spot.path;
  const leftAlone: string[] = [];
  for (const found of await verbs.listTree(spot.path)) {
    const below = found.path.slice(root.length + 1);
    if (isMeant(below, found.type === "folder", filter)) items.set(below, itemOf(found));
    else leftAlone.push(below);
  }
  for (const folder of new Set(leftAlone.flatMap(foldersOf))) {
    const item = items.get(folder);
    if (item !== undefined) items.set(folder, { ...item, holds: true });
  }
  return { root: spot.path, keys, items };
}

/**
 * `found` with the stamps of what `known` says we sent, where it is that still: what was written here in the same second
 * and size, and has not arrived, is another stamp.
 */
export function remember(found: Far, known: Far | undefined): Far {
  for (const [path, item] of found.items) {
    const old = known?.items.get(path);
    if (old?.stamp === undefined || old.type !== item.type) continue;
    if (item.type === "symlink" || (old.size === item.size && old.mtime === item.mtime && old.mode === item.mode))
      found.items.set(path, { ...item, stamp: old.stamp });
  }
  return found;
}

/** What of these would take the keys away. */
export function overKeys(paths: readonly string[], { root, keys }: Far): string | undefined {
  return paths.map((path) => join(root, path)).find((path) => `${keys}/`.startsWith(`${path}/`));
}

/** What is left out here is left alone there, and so is what is still under way. */
function isMeant(path: string, isFolder: boolean, filter: Filter): boolean {
  const parts = path.split("/");
  return parts.every((_, at) => {
    const upTo = parts.slice(0, at + 1).join("/");
    return filter.wants(upTo, at < parts.length - 1 || isFolder) && !isOurs(upTo);
  });
}

function itemOf({ type, size, mode, mtime, leadsTo }: Found): Item {
  const known = type === "file" || type === "folder" || type === "symlink" ? type : "other";
  return { type: known, size, mode: mode & 0o777, mtime, leadsTo };
}

export interface Done {
  readonly changed: readonly string[];
  readonly deleted: readonly string[];
  readonly bytes: number;
}

/**
 * Brings the changes there: each file is replaced by one rename. Idempotent: when it breaks off it may be done again.
 * `far.items` says afterwards what is there; after a failure it does not.
 */
export async function bring(changes: Changes, near: Near, far: Far, host: Host, signal: AbortSignal): Promise<Done> {
  const end = { name: host.name, host };
  const away = [...changes.clear, ...changes.gone];
  await removeBelow(end, far.root, away, signal);
  for (const path of away) forget(far.items, path);
  await changeModes(changes.modes, far, host, signal);
  // As it was when it was looked at: what is written while it travels has another stamp, and travels once more.
  const looked = new Map(changes.send.map((path) => [path, near.items.get(path)]));
  const changed: string[] = [];
  let bytes = 0;
  const entries = async function* (): AsyncGenerator<Entry> {
    for (const path of changes.send) {
      const entry = near.entry(path);
      // Gone, or another kind of thing by now: the next look knows.
      if (entry === undefined || entry.type !== looked.get(path)?.type) continue;
      changed.push(path);
      if (entry.type === "file") bytes += entry.size;
      yield entry;
    }
  };
  if (changes.send.length > 0) await writeFarTree(host, entries(), far.root, { packing: undefined, signal });
  for (const path of changed) {
    const item = looked.get(path);
    if (item !== undefined) far.items.set(path, item);
  }
  return { changed: [...changed, ...changes.modes.keys()], deleted: away, bytes };
}

function forget(items: Map<string, Item>, path: string): void {
  const isFolder = items.get(path)?.type === "folder";
  items.delete(path);
  if (isFolder) for (const other of items.keys()) if (other.startsWith(`${path}/`)) items.delete(other);
}

async function changeModes(modes: Changes["modes"], far: Far, host: Host, signal: AbortSignal): Promise<void> {
  for (const [mode, paths] of Map.groupBy(modes.keys(), (path) => modes.get(path) ?? 0)) {
    const octal = mode.toString(8).padStart(4, "0");
    const { exit, stderr } = await host.exec(["sh", "-c", 'cd "$1" && xargs -0 chmod "$2"', "sh", far.root, octal], {
      signal,
      stdin: paths.map((path) => `./${path}\0`).join(""),
    });
    if (exitStatus(exit) !== 0) {
      const why = visible(stderr.toString("utf8")).trim().split("\n")[0];
      throw new AmiError("host.file", `${join(far.root, paths[0] ?? "")}: ${why}`, { host: host.name });
    }
    for (const path of paths) {
      const old = far.items.get(path);
      if (old !== undefined) far.items.set(path, { ...old, mode });
    }
  }
}
