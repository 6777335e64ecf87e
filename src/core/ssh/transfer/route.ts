/** Route: from the words of a transfer to who sends what to whom. */
import { folderOf } from "../../download.ts";
import { AmiError } from "../../errors.ts";
import type { Target } from "../../targets.ts";
import { readWord } from "./words.ts";

export interface Leg {
  /** undefined: this machine. */
  readonly from: Target | undefined;
  /** Paths at the source. */
  readonly words: readonly string[];
  /** undefined: this machine. */
  readonly to: Target | undefined;
  readonly destination: string;
  /** The destination is a folder of ours that may have to be made. */
  readonly isOwnFolder: boolean;
}

/** For each machine that is told about, its part of the work: one leg after the other. */
export type Route = readonly { readonly target: Target; readonly legs: readonly Leg[] }[];

/**
 * To another machine, or to many; or from one machine or many to this one, each then into a folder of its name.
 * Rejects with `usage.input` for words that cannot be read or go together, and as `resolve` does.
 */
export async function readRoute(
  paths: readonly string[],
  resolve: (word: string) => Promise<readonly Target[]>,
): Promise<Route> {
  const destination = paths.at(-1);
  if (paths.length < 2 || destination === undefined) {
    throw new AmiError("usage.input", "a source and a destination are needed", {
      hint: "as in: ami-node ssh transfer app.tar web1:/srv/",
    });
  }
  const senders = await readSenders(paths.slice(0, -1), resolve);
  const word = readWord(destination);
  if (word.at === "there") {
    const far = senders.filter(({ target }) => target !== undefined);
    if (far.length > 1) {
      throw new AmiError("usage.input", "sources of several machines cannot go to another machine at once", {
        hint: "copy them one after the other, or here first",
      });
    }
    const to = remote(await resolve(word.target), destination);
    const path = word.path === "" ? "." : word.path;
    return to.map((target) => ({
      target,
      legs: senders.map((from) => leg(from, target, path)),
    }));
  }
  const own = senders.flatMap(({ target, words }) => (target === undefined ? [] : [{ target, words }]));
  if (own.length < senders.length) {
    throw new AmiError("usage.input", "a source and the destination are both on this machine", {
      hint: "for that there is cp; paths of other machines are written HOST:PATH",
    });
  }
  const isMany = own.length > 1;
  return own.map(({ target, words }) => {
    const path = isMany ? `${word.path.replace(/\/+$/, "")}/${folderOf(target.name)}` : word.path;
    return { target, legs: [{ ...leg({ target, words }, undefined, path), isOwnFolder: isMany }] };
  });
}

export interface Sender {
  readonly target: Target | undefined;
  readonly words: string[];
}

/** Sources of one machine belong together, in the order they were named. */
export async function readSenders(
  paths: readonly string[],
  resolve: (word: string) => Promise<readonly Target[]>,
): Promise<Sender[]> {
  const senders = new Map<string, Sender>();
  for (const path of paths) {
    const word = readWord(path);
    const targets = word.at === "here" ? [undefined] : remote(await resolve(word.target), path);
    for (const target of targets) {
      const key = target === undefined ? "" : `:${target.name}`;
      const sender = senders.get(key) ?? { target, words: [] };
      senders.set(key, sender);
      sender.words.push(word.path);
    }
  }
  return [...senders.values()];
}

function leg({ target, words }: Sender, to: Target | undefined, destination: string): Leg {
  return { from: target, words, to, destination, isOwnFolder: false };
}

function remote(targets: readonly Target[], word: string): readonly Target[] {
  const own = targets.find(({ kind }) => kind === "local");
  if (own === undefined) return targets;
  throw new AmiError("usage.input", `${word}: ${own.name} is this machine`, { hint: "write its paths without a host" });
}
