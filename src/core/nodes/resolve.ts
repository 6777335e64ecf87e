/** Resolve: from the words of `--target` and `--targets-file` to targets. */
import type { Readable } from "node:stream";
import { AmiError } from "../errors.ts";
import { nearest } from "../nearest.ts";
import { expandRanges, isPattern, matchesName, splitList } from "../names.ts";
import { type Target, parseTarget } from "../targets.ts";
import type { Inventory } from "./inventory.ts";
import { type TargetWord, readTargetsFile } from "./targets-file.ts";

export interface ResolveTargetsOptions {
  readonly inventory: Inventory;
  /** One target per line; `-` is standard input. Its targets come after the words. */
  readonly targetsFile?: string | undefined;
  /** Read for `-`. Default: the process's. */
  readonly stdin?: Readable | undefined;
}

/**
 * Rejects with `usage.target`: see `selectTargets`; also for a word that names nothing (an empty one, as an unset variable
 * leaves it) and a targets file that cannot be read.
 */
export async function resolveTargets(
  words: readonly string[],
  options: ResolveTargetsOptions,
): Promise<readonly Target[]> {
  const { inventory, targetsFile, stdin } = options;
  if (words.some((word) => splitList([word]).length === 0))
    throw new AmiError("usage.target", "--target names nothing", { hint: "is a variable in it not set?" });
  const typed = splitList(words).map((word): TargetWord => ({ word }));
  const listed = targetsFile === undefined ? [] : await readTargetsFile(targetsFile, stdin);
  return select([...typed, ...listed], inventory);
}

/**
 * Each word is a name of the inventory, `@group`, `@all`, a pattern of names (`web*`), a range (`web[1-3]`), or any
 * address that `parseTarget` takes; `user@` and `:port` may stand around all of them but groups and override the
 * inventory. `!word` takes out again, wherever it stands. Each target comes once, where it was first named; no two
 * have the same name. Throws `usage.target` for what cannot be read or matches nothing, with the nearest name.
 */
export function selectTargets(words: readonly string[], inventory: Inventory): readonly Target[] {
  return select(
    splitList(words).map((word) => ({ word })),
    inventory,
  );
}

function select(words: readonly TargetWord[], inventory: Inventory): readonly Target[] {
  const wanted = words.filter(({ word }) => !word.startsWith("!"));
  const unwanted = words.filter(({ word }) => word.startsWith("!"));
  if (wanted.length === 0 && unwanted[0] !== undefined) {
    throw bad(unwanted[0], "nothing is named that it could be taken from", `write @all,${unwanted[0].word}`);
  }
  const found = new Map<string, Found>();
  for (const word of wanted) {
    for (const one of named(word, inventory)) {
      const key = identity(one);
      if (!found.has(key)) found.set(key, one);
    }
  }
  const out = new Set<string>();
  for (const word of unwanted) {
    for (const key of excluded(word, found, inventory)) out.add(key);
  }
  const left = [...found].filter(([key]) => !out.has(key)).map(([, one]) => one);
  if (left.length === 0 && wanted.length > 0) {
    throw new AmiError("usage.target", `no target is left of ${words.map(({ word }) => word).join(",")}`, {
      hint: "every target named is taken out again by a !word",
    });
  }
  return distinctNames(left);
}

/** A target and how it was asked for. */
interface Found {
  readonly target: Target;
  /** Name in the inventory. */
  readonly node?: string | undefined;
  /** As written, ranges expanded. */
  readonly word: string;
}

function named(written: TargetWord, inventory: Inventory): Found[] {
  if (written.word.startsWith("@")) return inGroup(written, inventory);
  return placed(written, () => expandRanges(written.word)).flatMap((word) => {
    const { user, name, port } = cut(word);
    if (isPattern(name)) return matching({ ...written, word }, inventory);
    const node = inventory.nodes.get(name);
    if (node !== undefined) return [{ target: overridden(node, user, port, written), node: name, word }];
    const target = placed(written, () => parseTarget(word));
    return [{ target: { ...target, vars: inventory.vars }, word }];
  });
}

function inGroup(written: TargetWord, inventory: Inventory): Found[] {
  const group = written.word.slice(1);
  const names = group === "all" ? [...inventory.nodes.keys()] : inventory.groups.get(group);
  if (names === undefined) {
    const [plain = ""] = group.split(":");
    if (plain !== group && (plain === "all" || inventory.groups.has(plain)))
      throw bad(written, "a group takes no port", `write @${plain}, and the ports in nodes.yaml`);
    const near = nearest(group, [...inventory.groups.keys(), "all"]);
    throw bad(
      written,
      "there is no such group",
      near === undefined ? whatThereIs(inventory) : `did you mean @${near}?`,
    );
  }
  if (names.length === 0) throw bad(written, "no node is in it", whatThereIs(inventory));
  return names.flatMap((name) => {
    const target = inventory.nodes.get(name);
    return target === undefined ? [] : [{ target, node: name, word: name }];
  });
}

function matching(written: TargetWord, inventory: Inventory): Found[] {
  const { user, name: pattern, port } = cut(written.word);
  const matches = [...inventory.nodes].filter(([name]) => matchesName(name, pattern));
  if (matches.length === 0) {
    const near = nearestTo(pattern, inventory.nodes.keys());
    const hint = near === undefined ? whatThereIs(inventory) : `did you mean ${near}?`;
    throw bad(written, "no name of the inventory matches", hint);
  }
  return matches.map(([name, node]) => ({
    target: overridden(node, user, port, written),
    node: name,
    word: `${user === undefined ? "" : `${user}@`}${name}${port === undefined ? "" : `:${port}`}`,
  }));
}

/** The name whose beginning is closest to the plain part of a pattern. */
function nearestTo(pattern: string, names: Iterable<string>): string | undefined {
  const plain = pattern.replaceAll(/[*?]/g, "");
  const starts = new Map([...names].toReversed().map((name) => [name.slice(0, plain.length), name]));
  return starts.get(nearest(plain, starts.keys()) ?? "");
}

/** `user@name:port` for a name of the inventory: neither brackets nor several colons. */
function cut(word: string): { user: string | undefined; name: string; port: string | undefined } {
  const at = word.lastIndexOf("@");
  const [, name, port] = /^([^:]*)(?::([^:]*))?$/.exec(word.slice(at + 1)) ?? [];
  return { user: at < 0 ? undefined : word.slice(0, at), name: name ?? word, port };
}

/** The node with the user and port of the word; they are read as those of any address are. */
function overridden(node: Target, user: string | undefined, port: string | undefined, written: TargetWord): Target {
  if (user === undefined && port === undefined) return node;
  if (node.kind === "local")
    throw bad(written, `${node.name} is this machine: it has neither user nor port`, "use --become USER");
  const text = `${user === undefined ? "" : `${user}@`}${node.name}${port === undefined ? "" : `:${port}`}`;
  const parts = placed(written, () => parseTarget(text));
  if (parts.kind === "local") return node;
  return { ...node, user: parts.user ?? node.user, port: parts.port ?? node.port };
}

/** What makes two words the same target: two names of the inventory never are, even with one address. */
function identity({ target, node }: Found): string {
  if (target.kind === "local") return JSON.stringify(["local", node]);
  return JSON.stringify([target.host.toLowerCase(), target.user, target.port, node]);
}

/** Keys of `found` that a `!word` takes out. One that nothing here or in the inventory answers to is a slip of the pen. */
function excluded(written: TargetWord, found: ReadonlyMap<string, Found>, inventory: Inventory): string[] {
  const word = written.word.slice(1);
  const inner = { ...written, word };
  if (word.startsWith("@")) {
    const names = new Set(inGroup(inner, inventory).map(({ node }) => node));
    return [...found].filter(([, { node }]) => names.has(node)).map(([key]) => key);
  }
  return placed(inner, () => expandRanges(word)).flatMap((pattern) => {
    const hits = [...found].filter(([, one]) => answersTo(one, pattern)).map(([key]) => key);
    if (hits.length === 0 && ![...inventory.nodes.keys()].some((name) => matchesName(name, pattern))) {
      const near = nearest(pattern, [...inventory.nodes.keys(), ...[...found.values()].map((one) => one.target.name)]);
      throw bad(
        written,
        "it takes nothing out",
        near === undefined ? whatThereIs(inventory) : `did you mean !${near}?`,
      );
    }
    return hits;
  });
}

function answersTo({ target, node, word }: Found, pattern: string): boolean {
  if (target.kind === "ssh" && target.host === pattern) return true;
  return [node ?? target.name, target.name, word].some((name) => matchesName(name, pattern));
}

/** Output is told apart by names: a node asked for twice with different users is called as it was written. */
function distinctNames(list: readonly Found[]): Target[] {
  const taken = new Set<string>();
  return list.map(({ target, word }) => {
    const name = taken.has(target.name) ? word : target.name;
    taken.add(name);
    return name === target.name ? target : { ...target, name };
  });
}

/** Runs what reads a word; its error gets the place of the word. */
function placed<T>({ at }: TargetWord, work: () => T): T {
  try {
    return work();
  } catch (error) {
    if (!(error instanceof AmiError) || at === undefined) throw error;
    throw new AmiError("usage.target", `${at}: ${error.message}`, { hint: error.hint, cause: error });
  }
}

function bad({ word, at }: TargetWord, why: string, hint: string): AmiError {
  const place = at === undefined ? "" : `${at}: `;
  return new AmiError("usage.target", `${place}target ${JSON.stringify(word)}: ${why}`, { hint });
}

function whatThereIs({ file, nodes, groups }: Inventory): string {
  if (file === undefined) return "there is no nodes.yaml to take names and groups from";
  const names = [...nodes.keys(), ...[...groups.keys()].map((group) => `@${group}`)];
  const shown = names.slice(0, 12).join(", ");
  return names.length === 0 ? `${file} names no nodes` : `${file} has ${shown}${names.length > 12 ? ", ..." : ""}`;
}
