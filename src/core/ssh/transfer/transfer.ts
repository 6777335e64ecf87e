/** Transfer: looks at both ends, plans, and moves: between this machine and another, or two others through this one. */
import { randomBytes } from "node:crypto";
import { mkdirSync } from "node:fs";
import { rm } from "node:fs/promises";
import { AmiError } from "../../errors.ts";
import type { OpenFiles } from "../../files.ts";
import { cancelled } from "../patience.ts";
import { type Packing, choosePacking } from "./compress.ts";
import { moveDelta } from "./delta.ts";
import { type End, type Look, here, look } from "./end.ts";
import type { Entries } from "./entry.ts";
import { farEntries, writeFarTree } from "./far-tar.ts";
import type { Filter } from "./filter.ts";
import { type Tally, flow } from "./flow.ts";
import { localEntries, mergeTree, writeTree } from "./local-tree.ts";
import type { Pace } from "./pace.ts";
import { type SourceFile, fileError } from "./pieces.ts";
import { type Plan, arrivals, chooseEngine, isOneFile, join, mustBeSource } from "./plan.ts";
import { moveInRanges } from "./ranges.ts";
import { deletions, removeBelow } from "./mirror.ts";
import { sftpEntries, writeSftpTree } from "./sftp-tree.ts";
import { sumsBelow } from "./sums.ts";

export interface Wish {
  readonly filter: Filter;
  readonly checksum: boolean;
  readonly resume: boolean;
  /** Only what differs from the old file travels. */
  readonly delta: boolean;
  readonly delete: boolean;
  readonly pace: Pace;
  readonly signal: AbortSignal;
  /** How a single source is opened, when it goes to others too. */
  readonly openSource?: (() => Promise<SourceFile>) | undefined;
  /** All bytes so far; `total` is known for single files. */
  onBytes(done: number): void;
  note(text: string, level?: "info" | "warn"): void;
}

export interface Planned extends Plan {
  readonly tools: ReadonlySet<string>;
  readonly isCompressed: boolean;
}

/** So that nobody is troubled for what is not there. Rejects with `usage.input`. */
export async function mustBeHere(words: readonly string[], signal: AbortSignal): Promise<void> {
  const { spots } = await look(here, words, signal);
  for (const [index, found] of spots.entries()) for (const spot of found) mustBeSource(here, words[index] ?? "", spot);
}

/** One look at each end. Rejects with `usage.input`, `host.file`, `host.unsupported`, `ssh.*`. */
export async function planTransfer(
  from: End,
  words: readonly string[],
  to: End,
  destination: string,
  wish: { readonly compress: boolean; readonly signal: AbortSignal },
): Promise<Planned> {
  const isOneHost = from.host === to.host;
  const both = (): Promise<[Look, Look]> =>
    Promise.all([look(from, words, wish.signal), look(to, [destination], wish.signal)]);
  const [sources, target] = isOneHost ? await lookAtOnce(from, words, destination, wish.signal) : await both();
  const spot = target.spots[0]?.[0];
  if (spot === undefined) throw new AmiError("usage.input", `${destination}: nothing can go there`);
  const named = words.map((word, index) => ({ word, spots: sources.spots[index] ?? [] }));
  const { base, moves } = arrivals(from, named, to, { word: destination, spot });
  const far = [...(from.host === undefined ? [] : [sources]), ...(to.host === undefined ? [] : [target])];
  const tools = new Set([...(far[0]?.tools ?? [])].filter((tool) => far.every((each) => each.tools.has(tool))));
  const hasTar = tools.has("tar");
  const wantsCompression = wish.compress && choosePacking(tools) !== undefined;
  // Whether there is sftp only trying tells; the session is used afterwards.
  const isAsked = !hasTar || (isOneFile(moves) && !wantsCompression);
  const [own, other] = isAsked
    ? await Promise.all([from.host?.files?.(wish.signal), to.host?.files?.(wish.signal)])
    : [];
  const isThere = (end: End, files: OpenFiles | undefined): boolean => end.host === undefined || files !== undefined;
  const hasPieces = isThere(from, own) && isThere(to, other);
  try {
    const chosen = chooseEngine(moves, { hasTar, hasPieces, wantsCompression });
    const isCompressed = chosen.engine === "tar" && wantsCompression;
    const ends = { from: { ...from, files: own }, to: { ...to, files: other } };
    return { ...ends, base, moves, tools, isCompressed, ...chosen };
  } catch (error) {
    own?.end();
    other?.end();
    throw error;
  }
}

async function lookAtOnce(
  end: End,
  words: readonly string[],
  destination: string,
  signal: AbortSignal,
): Promise<[Look, Look]> {
  const all = await look(end, [...words, destination], signal);
  return [
    { ...all, spots: all.spots.slice(0, -1) },
    { ...all, spots: all.spots.slice(-1) },
  ];
}

export interface Moved extends Tally {
  /** Files taken away by --delete. */
  readonly deleted: number;
  /** Of a single file whose ends were compared. */
  readonly sha256?: string | undefined;
  readonly isDelta?: boolean | undefined;
}

/** Does it. Rejects with `host.file`, `run.failed`, `ssh.*`, `run.cancelled`; what it left half done is taken away. */
export async function carryOut(plan: Planned, wish: Wish): Promise<Moved> {
  try {
    return plan.engine === "ranges" ? await moveFile(plan, wish) : await moveTree(plan, wish);
  } catch (error) {
    throw wish.signal.aborted ? cancelled(plan.to.name, wish.signal.reason) : fileError(plan.to, plan.base, error);
  } finally {
    letGo(plan);
  }
}

function letGo({ from, to }: Plan): void {
  from.files?.end();
  to.files?.end();
}

async function moveFile(plan: Planned, wish: Wish): Promise<Moved> {
  const [move] = plan.moves;
  if (move === undefined) throw new Error("there is nothing to move");
  const { from, to, base } = plan;
  const open = wish.openSource;
  const what = { source: move.from, size: move.size, base, name: move.to };
  if (wish.delta) {
    const { tools } = plan;
    const moved = await moveDelta({ ...wish, ...what, from, to, tools });
    if (typeof moved !== "string")
      return { files: 1, folders: 0, links: 0, bytes: moved.bytes, deleted: 0, sha256: moved.sha256, isDelta: true };
    wish.note(`the whole file travels: ${moved}`);
  }
  // What --delta tried has ended its sessions.
  const ends = wish.delta ? { from: plain(from), to: plain(to) } : { from, to };
  const { bytes, sha256 } = await moveInRanges({ ...wish, ...what, ...ends, open });
  return { files: 1, folders: 0, links: 0, bytes, deleted: 0, sha256 };
}

function plain({ name, host }: End): End {
  return { name, host };
}

async function moveTree(plan: Planned, wish: Wish): Promise<Moved> {
  if (wish.delta) wish.note("--delta is for single files: all of it travels");
  const tally: Tally = { files: 0, folders: 0, links: 0, bytes: 0 };
  const { filter, pace, signal, onBytes } = wish;
  const paths = new Set<string>();
  const files: string[] = [];
  const entries = flow(sourceOf(plan, wish), { tally, pace, signal, onBytes, onEntry: (path) => paths.add(path) });
  await write(plan, wish.checksum ? watched(entries, files) : entries, wish);
  if (wish.checksum) await compareTrees(plan, files, wish);
  const gone = wish.delete ? await deletions(plan.to, plan.base, plan.moves, paths, filter, signal) : [];
  await removeBelow(plan.to, plan.base, gone, signal);
  return { ...tally, deleted: gone.length };
}

/** What will come, as a stream. */
function sourceOf(plan: Planned, wish: Wish): Entries {
  const { from, moves } = plan;
  const skipped = (path: string, why: string): void => wish.note(`${path} is left out: ${why}`, "warn");
  if (from.host === undefined)
    return localEntries(moves, { filter: wish.filter, skipped, hasHardlinks: plan.engine !== "sftp" });
  const { filter, signal } = wish;
  if (plan.engine === "sftp") return sftpEntries(from, moves, { filter, signal, skipped });
  return farEntries(from.host, moves, { filter, signal, skipped, packing: packingOf(plan) });
}

async function write(plan: Planned, entries: Entries, wish: Wish): Promise<void> {
  const { to, base } = plan;
  const { signal } = wish;
  if (to.host === undefined) return writeHere(entries, base);
  if (plan.engine === "sftp") return writeSftpTree(to, entries, base, signal);
  return writeFarTree(to.host, entries, base, { signal, packing: packingOf(plan) });
}

function packingOf({ isCompressed, tools }: Planned): Packing | undefined {
  return isCompressed ? choosePacking(tools) : undefined;
}

async function writeHere(entries: Entries, base: string): Promise<void> {
  const temp = join(base, `.ami-${randomBytes(8).toString("hex")}.partial`);
  mkdirSync(temp, { mode: 0o700 });
  try {
    await writeTree(entries, temp);
    mergeTree(temp, base);
  } finally {
    await rm(temp, { recursive: true, force: true });
  }
}

async function* watched(entries: ReturnType<typeof flow>, files: string[]): ReturnType<typeof flow> {
  for await (const entry of entries) {
    if (entry.type === "file") files.push(entry.path);
    yield entry;
  }
}

/** Sums of all files at both ends; those at the source are found where they came from. */
async function compareTrees(plan: Planned, files: readonly string[], wish: Wish): Promise<void> {
  for (const move of plan.moves) {
    const own = files.filter((path) => move.to === "" || path === move.to || path.startsWith(`${move.to}/`));
    const below = own.map((path) => (path === move.to ? "" : move.to === "" ? path : path.slice(move.to.length + 1)));
    const isFile = move.type === "file";
    const folder = isFile ? move.from.slice(0, move.from.lastIndexOf("/")) || "/" : move.from;
    const names = isFile ? [move.from.slice(move.from.lastIndexOf("/") + 1)] : below;
    const [sent, came] = await Promise.all([
      sumsBelow(plan.from, folder, names, wish.signal),
      sumsBelow(plan.to, plan.base, own, wish.signal),
    ]);
    const wrong = own.filter((_, index) => sent[index] !== came[index]);
    if (wrong.length > 0) {
      throw new AmiError("run.failed", `${wrong.length} of ${own.length} files differ from their source: ${wrong[0]}`, {
        hint: "did the source change meanwhile? Try again",
        retry: "yes",
      });
    }
  }
}

export interface DryRun {
  readonly files: number;
  readonly bytes: number;
  readonly deleted: readonly string[];
  readonly paths: readonly string[];
}

/** What would travel and what would go, without changing anything. */
export async function rehearse(plan: Planned, wish: Wish): Promise<DryRun> {
  try {
    return await listAll(plan, wish);
  } finally {
    letGo(plan);
  }
}

async function listAll(plan: Planned, wish: Wish): Promise<DryRun> {
  const paths = new Set<string>();
  const [move] = plan.moves;
  if (plan.engine === "ranges" && move !== undefined)
    return { files: 1, bytes: move.size, paths: [move.to], deleted: [] };
  let files = 0;
  let bytes = 0;
  for await (const entry of await listed(plan, wish)) {
    if (entry.path !== "") paths.add(entry.path);
    if (entry.type !== "folder") files++;
    if (entry.type === "file") bytes += entry.size;
  }
  const deleted = wish.delete ? await deletions(plan.to, plan.base, plan.moves, paths, wish.filter, wish.signal) : [];
  return { files, bytes, paths: [...paths], deleted };
}

/** Without sftp it has to come here to be counted. */
async function listed(plan: Planned, wish: Wish): Promise<Entries> {
  const { from, moves } = plan;
  const { filter, signal } = wish;
  const files = from.files ?? (await from.host?.files?.(signal));
  if (files === undefined) return sourceOf(plan, wish);
  return sftpEntries({ ...from, files }, moves, { filter, signal, skipped: () => undefined, contents: false });
}
