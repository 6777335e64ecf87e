/** Keep: holds a folder of another machine like one of this, through lost connections, for as long as it is wanted. */
import { setTimeout as sleep } from "node:timers/promises";
import { AmiError, asAmiError, errorJson } from "../../errors.ts";
import type { Events } from "../../events.ts";
import type { Host } from "../../host.ts";
import { waitBefore } from "../../retry.ts";
import { visibleLine } from "../../visible.ts";
import type { Filter } from "../transfer/filter.ts";
import { type Far, bring, openFar, overKeys, remember } from "./far.ts";
import { type Changes, type Items, compare, isNothing } from "./item.ts";
import type { Near } from "./near.ts";

export interface KeepWish {
  readonly near: Near;
  readonly path: string;
  readonly filter: Filter;
  readonly delete: boolean;
  /** Only until it is like it once. */
  readonly once: boolean;
  readonly events: Events;
  readonly name: string;
  readonly signal: AbortSignal;
  /** Logs in again where that is needed. */
  open(): Promise<Host>;
}

export interface Kept {
  readonly path: string;
  readonly rounds: number;
  readonly changed: number;
  readonly deleted: number;
  readonly bytes: number;
}

/**
 * Resolves when the signal is aborted, or with `once` when all is done. Rejects when the first round fails, and later on
 * with what no waiting mends (a changed host key).
 */
export async function keepLike(wish: KeepWish): Promise<Kept> {
  const { near, name, events, signal } = wish;
  let far: Far | undefined;
  /** What was there when it was last known. */
  let last: Far | undefined;
  let host: Host | undefined;
  let kept: Kept = { path: wish.path, rounds: 0, changed: 0, deleted: 0, bytes: 0 };
  let failures = 0;
  const warned = new Set<string>();
  const warn = (path: string, text: string): void => {
    if (!warned.has(path)) events.emit({ kind: "note", host: name, level: "warn", text: visibleLine(text) });
    warned.add(path);
  };

  /** Until there is nothing to do; resolves with the version of this side that the other is like. */
  const settle = async (): Promise<number> => {
    for (;;) {
      // After whatever went wrong what is there has to be looked at anew.
      host ??= await wish.open();
      const isFresh = far === undefined;
      far ??= remember(await openFar(host, wish.path, wish.filter, signal), last);
      last = far;
      const { version } = near;
      const started = performance.now();
      const isFirst = kept.rounds === 0;
      // Most likely a disk that is not mounted, or a checkout under way.
      const isEmpty = wish.delete && near.items.size === 0 && far.items.size > 0;
      if (isEmpty && isFirst) throw nothingHere(name);
      if (isEmpty) warn("", "there is nothing here any more: what is there stays until there is something again");
      else warned.delete("");
      const how = { delete: wish.delete && !isEmpty, unreadable: near.unreadable };
      const changes = compare(near.items, far.items, how);
      const away = [...changes.clear, ...changes.gone];
      const keys = overKeys(away, far);
      if (keys !== undefined) throw ownKeys(name, keys);
      adopt(near.items, far, new Set(changes.send));
      // Who knows what came into a folder meanwhile that is none of ours.
      if (!isFresh && !wish.filter.takesAll && takesFolder(away, far)) {
        far = undefined;
        continue;
      }
      for (const path of changes.blocked) {
        const why = wish.delete ? "in it is what is left out" : "it is another kind of thing (--delete replaces it)";
        warn(path, `${path} is left as it is there: ${why}`);
      }
      if (!isFirst && isNothing(changes)) return version;
      const known = far;
      far = undefined;
      const done = await bring(changes, near, known, host, signal);
      far = known;
      kept = {
        path: known.root,
        rounds: kept.rounds + 1,
        changed: kept.changed + done.changed.length,
        deleted: kept.deleted + done.deleted.length,
        bytes: kept.bytes + done.bytes,
      };
      if (isFirst || done.changed.length + done.deleted.length > 0)
        events.emit({ kind: "sync", host: name, ...done, ms: Math.round(performance.now() - started) });
      // What could not be read is gone: this side is about to notice.
      if (done.changed.length + done.deleted.length === 0) return version;
    }
  };

  for (;;) {
    try {
      const version = await settle();
      failures = 0;
      if (wish.once) return kept;
      await near.changed(version, signal);
    } catch (error) {
      if (signal.aborted && kept.rounds > 0) return kept;
      const reason = asAmiError(error);
      [far, host] = [undefined, undefined];
      if (signal.aborted || isFinal(reason, kept, failures)) throw error;
      failures++;
      const wait = waitBefore(failures, Math.random());
      events.emit({ kind: "sync.lost", host: name, error: errorJson(reason), attempt: failures, wait });
      await sleep(wait, undefined, { signal }).catch(() => undefined); // noticed by what comes next
    }
  }
}

function nothingHere(host: string): AmiError {
  return new AmiError("run.refused", "there is nothing in the source, and --delete would delete all that is there", {
    host,
    hint: "if you mean it: ami-node ssh rm --recursive",
  });
}

function ownKeys(host: string, path: string): AmiError {
  return new AmiError("usage.input", `--delete would delete ${path}, and with it the keys that let you in`, {
    host,
    hint: "leave them out: --exclude .ssh",
  });
}

function takesFolder(paths: Changes["gone"], far: Far): boolean {
  return paths.some((path) => far.items.get(path)?.type === "folder");
}

/** How often a server may turn us away in a row before we stop: it may be starting (nologin), or mean it. */
const mostRefusals = 5;

function isFinal({ code, retry }: AmiError, { rounds }: Kept, failures: number): boolean {
  // A file that changed while it was read is no reason to give up.
  if (rounds === 0) return !(code === "run.failed" && retry === "yes" && failures < mostRefusals);
  if (code === "ssh.auth") return failures >= mostRefusals;
  return /^(hostkey|config|usage|tool|internal)\./.test(code) || code === "host.unsupported";
}

/** What is alike is taken for what was sent: from now on every further write counts, be it in the same second. */
function adopt(here: Items, far: Far, sent: ReadonlySet<string>): void {
  for (const [path, old] of far.items) {
    const item = here.get(path);
    if (old.stamp !== undefined || old.type === "folder" || item?.type !== old.type || sent.has(path)) continue;
    far.items.set(path, { ...old, stamp: item.stamp });
  }
}
