/** Places: from the words of a verb (HOST:PATH) to the paths on each host, patterns looked up there. */
import { AmiError } from "../../errors.ts";
import type { Target } from "../../targets.ts";
import { regExpOf } from "../transfer/filter.ts";
import { readSenders } from "../transfer/route.ts";
import { isGlob } from "../transfer/words.ts";
import { type Found, type Verbs, absolute, below } from "./verbs.ts";

export interface Place {
  readonly target: Target;
  /** As written. */
  readonly paths: readonly string[];
}

/** In the order they were named. Rejects with `usage.input` and as `resolve` does. */
export async function readPlaces(
  words: readonly string[],
  resolve: (word: string) => Promise<readonly Target[]>,
): Promise<Place[]> {
  if (words.length === 0)
    throw new AmiError("usage.input", "there is no path", { hint: "paths are written HOST:PATH, as in web1:/etc" });
  return (await readSenders(words, resolve)).map(({ target, words: paths }) => {
    if (target !== undefined) return { target, paths };
    const path = paths[0] ?? "";
    throw new AmiError("usage.input", `${path} is a path of this machine, not of a host`, {
      hint: /^[\w.@-]+$/.test(path) ? `paths of hosts are written HOST:PATH, as in ${path}:` : "write it HOST:PATH",
    });
  });
}

/**
 * What a word stands for: the thing of that name, else all that match it as a pattern, sorted; nothing when nothing is
 * there. As in a shell, wildcards stop at slashes, and names that begin with a dot are matched by patterns that do.
 */
export async function expand(verbs: Verbs, word: string): Promise<Found[]> {
  const path = absolute(verbs, word);
  const plain = await verbs.look(path);
  if (plain !== undefined) return [plain];
  if (!isGlob(path)) return [];
  let found: Found[] = [];
  let folders = ["/"];
  const parts = path.split("/").slice(1);
  for (const [at, part] of parts.entries()) {
    const steps = await Promise.all(folders.map((folder) => matching(verbs, folder, part)));
    found = steps.flat();
    const isLast = at === parts.length - 1;
    folders = isLast ? [] : found.filter(({ type }) => type === "folder" || type === "symlink").map((one) => one.path);
  }
  return found.toSorted((a, b) => (a.path < b.path ? -1 : 1));
}

async function matching(verbs: Verbs, folder: string, part: string): Promise<Found[]> {
  if (!isGlob(part)) {
    const found = await verbs.look(below(folder, part.replaceAll(/\\(.)/g, "$1")));
    return found === undefined ? [] : [found];
  }
  const expression = regExpOf(part);
  // What cannot be looked into matches nothing.
  const listed = await verbs.list(folder).catch((error: unknown) => {
    if (error instanceof AmiError && error.code === "host.file") return [];
    throw error;
  });
  return listed.filter(({ name }) => expression.test(name) && (part.startsWith(".") || !name.startsWith(".")));
}

/** As `expand`; rejects with `host.file` where nothing is there. */
export async function expandAll(verbs: Verbs, target: Target, words: readonly string[]): Promise<Found[]> {
  const found = await Promise.all(words.map(async (word) => ({ word, all: await expand(verbs, word) })));
  const missing = found.find(({ all }) => all.length === 0);
  if (missing !== undefined) throw nothingThere(target, absolute(verbs, missing.word));
  return found.flatMap(({ all }) => all);
}

export function nothingThere(target: Target, path: string): AmiError {
  return new AmiError("host.file", `${path}: there is nothing of that name`, {
    host: target.name,
    hint: "look at the path",
  });
}
