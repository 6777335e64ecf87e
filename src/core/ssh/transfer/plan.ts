/** Plan: what goes where, and which engine moves it. Pure: decided from what was seen, printed by --explain. */
import { AmiError } from "../../errors.ts";
import type { End, Spot } from "./end.ts";
import { nameOf } from "./words.ts";

export type Engine = "ranges" | "tar" | "sftp";

export interface Move {
  readonly from: string;
  readonly type: "file" | "folder";
  readonly size: number;
  /** Below `base`; "" is `base` itself, for what is in a folder (`dir/.`). */
  readonly to: string;
}

export interface Plan {
  readonly from: End;
  readonly to: End;
  /** The folder of the destination that everything arrives in. */
  readonly base: string;
  readonly moves: readonly Move[];
  readonly engine: Engine;
  /** Why that engine. */
  readonly why: string;
}

export interface Source {
  /** As written. */
  readonly word: string;
  readonly spots: readonly Spot[];
}

/** Where everything arrives. Throws `usage.input` or `host.file` for what cannot be. */
export function arrivals(
  from: End,
  sources: readonly Source[],
  to: End,
  dst: { readonly word: string; readonly spot: Spot },
): { base: string; moves: Move[] } {
  const { spot } = dst;
  const found = sources.flatMap(({ word, spots }) => spots.map((each) => ({ word, spot: each })));
  const isMany = found.length > 1;
  for (const { word, spot: each } of found) mustBeSource(from, word, each);
  if (spot.type === "other") throw fileError(to, spot.path, "it is neither a file nor a folder");
  if (spot.type === "absent" && !spot.hasFolder)
    throw fileError(to, spot.path, "there is no folder it could be in", "make the folder first");
  const inside = spot.type === "folder";
  if (!inside && isMany) {
    const why = `${found.length} sources need a folder to go to, and ${spot.path} is ${spot.type === "file" ? "a file" : "none"}`;
    throw new AmiError("usage.input", why, { host: to.name, hint: "make the folder, or name one source" });
  }
  const moves = found.map(({ word, spot: each }): Move => {
    const type = each.type === "folder" ? "folder" : "file";
    if (type === "folder" && spot.type === "file")
      throw fileError(to, spot.path, "it is a file, and a folder is to go there");
    const hasName = type === "file" || nameOf(word) !== "";
    const to_ = inside ? (hasName ? last(each.path) : "") : last(spot.path);
    return { from: each.path, type, size: each.size, to: to_ };
  });
  const twice = moves.find((move, at) => move.to !== "" && moves.findIndex((other) => other.to === move.to) < at);
  if (twice !== undefined) {
    throw new AmiError("usage.input", `two sources would both become ${join(spot.path, twice.to)}`, {
      hint: "copy them one after the other, under different names",
    });
  }
  return { base: inside ? spot.path : folderOf(spot.path), moves };
}

/** Throws `usage.input` or `host.file` for what cannot be sent. */
export function mustBeSource(from: End, word: string, { path, type }: Spot): void {
  if (type === "absent") throw fileError(from, path, "there is no such file or folder");
  if (type === "other") throw fileError(from, path, "it is neither a file nor a folder");
  if (word === "") throw new AmiError("usage.input", "a source is empty", { hint: "the whole home folder is HOST:." });
}

export interface Abilities {
  /** All other machines that take part. */
  readonly hasTar: boolean;
  /** They read and write files in pieces; not known when it does not matter. */
  readonly hasPieces: boolean;
  readonly wantsCompression: boolean;
}

/** Throws `host.unsupported` when nothing can move it. */
export function chooseEngine(moves: readonly Move[], able: Abilities): { engine: Engine; why: string } {
  const isSingle = isOneFile(moves);
  if (isSingle && able.hasPieces && !able.wantsCompression)
    return {
      engine: "ranges",
      why: "one file, and both ends have sftp: poured to a near machine, else in pieces, many at once",
    };
  const what = isSingle ? "one file" : moves.length === 1 ? "a folder" : `${moves.length} things`;
  if (able.hasTar) {
    const why = able.wantsCompression
      ? ", compressed on the way"
      : isSingle
        ? ", but there is no sftp for this user"
        : ", in one stream";
    return { engine: "tar", why: `${what}${why}` };
  }
  if (able.hasPieces) return { engine: "sftp", why: `${what}, and there is no tar there` };
  throw new AmiError("host.unsupported", "there is neither tar nor sftp at the other end", {
    hint: "single files go without both: ami-node ssh put, ami-node ssh get",
  });
}

export function isOneFile(moves: readonly Move[]): boolean {
  return moves.length === 1 && moves[0]?.type === "file";
}

function last(path: string): string {
  return path.slice(path.lastIndexOf("/") + 1);
}

function folderOf(path: string): string {
  return path.slice(0, path.lastIndexOf("/")) || "/";
}

export function join(folder: string, name: string): string {
  if (name === "") return folder;
  return folder.endsWith("/") ? `${folder}${name}` : `${folder}/${name}`;
}

function fileError(end: End, path: string, why: string, hint?: string): AmiError {
  return end.host === undefined
    ? new AmiError("usage.input", `${path} of this machine: ${why}`, { hint })
    : new AmiError("host.file", `${path}: ${why}`, { host: end.name, hint: hint ?? "look at the path" });
}
