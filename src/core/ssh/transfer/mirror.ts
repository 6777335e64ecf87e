/** Mirror: what --delete takes away: all that is below a folder at the destination and has not come with its source. */
import { readdirSync, statSync } from "node:fs";
import { rm } from "node:fs/promises";
import { AmiError } from "../../errors.ts";
import { exitStatus } from "../../host.ts";
import type { End } from "./end.ts";
import type { Filter } from "./filter.ts";
import { type Move, join } from "./plan.ts";

/**
 * Paths below `base`, a folder as one. What the filter leaves out at the source is left alone here, and so are files of
 * ours that are still under way.
 */
export async function deletions(
  to: End,
  base: string,
  moves: readonly Move[],
  arrived: ReadonlySet<string>,
  filter: Filter,
  signal: AbortSignal,
): Promise<string[]> {
  const gone: string[] = [];
  for (const move of moves.filter(({ type }) => type === "folder")) {
    const root = join(base, move.to);
    const found = to.host === undefined ? listHere(root, "") : await listThere(to, root, signal);
    const isLeft = ({ below, isFolder }: Found): boolean => !isWanted(filter, below, isFolder) || isOurs(below);
    // A folder stays with what is left alone in it.
    const holding = new Set(found.filter(isLeft).flatMap(({ below }) => foldersOf(below)));
    let whole: string | undefined;
    for (const each of found) {
      const { below, isFolder } = each;
      if (whole !== undefined && below.startsWith(whole)) continue;
      const path = move.to === "" ? below : `${move.to}/${below}`;
      if (arrived.has(path) || holding.has(below) || isLeft(each)) continue;
      gone.push(path);
      whole = isFolder ? `${below}/` : undefined;
    }
  }
  return gone;
}

/** `a/b/c`: `a` and `a/b`. */
export function foldersOf(path: string): string[] {
  const parts = path.split("/");
  return parts.slice(1).map((_, at) => parts.slice(0, at + 1).join("/"));
}

/** Left alone when the filter leaves out any folder it is in. */
function isWanted(filter: Filter, below: string, isFolder: boolean): boolean {
  const parts = below.split("/");
  return parts.every((_, at) => filter.wants(parts.slice(0, at + 1).join("/"), at < parts.length - 1 || isFolder));
}

/** A file or folder that is still under way. */
export function isOurs(path: string): boolean {
  return /(?:^|\/)\.(?:ami-[0-9a-f]{16}\.partial|.*\.ami-partial)$/.test(path);
}

interface Found {
  readonly below: string;
  readonly isFolder: boolean;
}

/** A folder before what is in it. */
function listHere(root: string, below: string): Found[] {
  if (below === "" && statSync(root, { throwIfNoEntry: false }) === undefined) return [];
  return readdirSync(join(root, below), { withFileTypes: true }).flatMap((found): Found[] => {
    const path = below === "" ? found.name : `${below}/${found.name}`;
    const own = { below: path, isFolder: found.isDirectory() };
    return own.isFolder ? [own, ...listHere(root, path)] : [own];
  });
}

async function listThere({ host, name }: End, root: string, signal: AbortSignal): Promise<Found[]> {
  const { exit, stdout, stderr } = (await host?.exec(["sh", "-c", listProgram, "sh", root], { signal })) ?? fail(name);
  if (exitStatus(exit) !== 0)
    throw new AmiError("host.file", `${root}: cannot be listed: ${stderr.toString("utf8").trim()}`, { host: name });
  return stdout
    .toString("utf8")
    .split("\0")
    .filter((path) => path !== "" && path !== "./" && path !== ".")
    .map((path) => ({ below: path.slice(2).replace(/\/$/, ""), isFolder: path.endsWith("/") }));
}

function fail(name: string): never {
  throw new Error(`${name} is no other machine`);
}

/** Folders end in a slash. */
const listProgram = `[ -d "$1" ] || exit 0; cd "$1" && find . -type d -exec sh -c 'for p do printf "%s/\\0" "$p"; done' sh {} + -o -exec sh -c 'printf "%s\\0" "$@"' sh {} +`;

export async function removeBelow(to: End, base: string, paths: readonly string[], signal: AbortSignal): Promise<void> {
  if (paths.length === 0) return;
  if (to.host === undefined) {
    for (const path of paths) await rm(join(base, path), { recursive: true, force: true });
    return;
  }
  const { exit, stderr } = await to.host.exec(["sh", "-c", 'cd "$1" && xargs -0 rm -rf', "sh", base], {
    signal,
    stdin: paths.map((path) => `./${path}\0`).join(""),
  });
  if (exitStatus(exit) === 0) return;
  throw new AmiError("host.file", `not everything could be deleted: ${stderr.toString("utf8").trim()}`, {
    host: to.name,
  });
}
