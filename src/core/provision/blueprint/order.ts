/** Order: `after` applied to resources, otherwise as they are written; and which of them `--tags` selects. */
import type { ResourceNode } from "../wish.ts";

export interface Ordered {
  readonly order: readonly ResourceNode[];
  /** Resources that wait for each other, each cycle once, in the order of waiting. */
  readonly cycles: readonly (readonly ResourceNode[])[];
}

/** Stable: of those that may come next, the first written comes first. Unknown ids are ignored; nodes of a cycle come last. */
export function inOrder(nodes: readonly ResourceNode[]): Ordered {
  const before = edges(nodes);
  const waits = nodes.map((node) => before(node).length);
  const followers = new Map<ResourceNode, number[]>();
  for (const [i, node] of nodes.entries())
    for (const other of before(node)) followers.set(other, [...(followers.get(other) ?? []), i]);
  const order: ResourceNode[] = [];
  const placed = new Set<ResourceNode>();
  for (let at = 0; at < nodes.length; at++) {
    const node = nodes[at];
    if (node === undefined || placed.has(node) || waits[at] !== 0) continue;
    placed.add(node);
    order.push(node);
    for (const i of followers.get(node) ?? []) {
      waits[i] = (waits[i] ?? 0) - 1;
      // One written earlier may come now: go back to it.
      if (waits[i] === 0 && i <= at) at = i - 1;
    }
  }
  const left = nodes.filter((node) => !placed.has(node));
  return { order: [...order, ...left], cycles: cyclesOf(left, before) };
}

/** Resources with one of the tags, and everything they come after or whose result they use. In the given order. */
export function selected(
  nodes: readonly ResourceNode[],
  tags: readonly string[],
  usesOf: (node: ResourceNode) => readonly string[],
): ResourceNode[] {
  const before = edges(nodes);
  const byRegister = new Map(
    nodes.flatMap((node) => (node.common.register === undefined ? [] : [[node.common.register, node] as const])),
  );
  const chosen = new Set<ResourceNode>();
  const choose = (node: ResourceNode): void => {
    if (chosen.has(node)) return;
    chosen.add(node);
    for (const other of before(node)) choose(other);
    for (const name of usesOf(node)) {
      const other = byRegister.get(name);
      if (other !== undefined) choose(other);
    }
  };
  for (const node of nodes) if (node.common.tags.some((tag) => tags.includes(tag))) choose(node);
  return nodes.filter((node) => chosen.has(node));
}

function edges(nodes: readonly ResourceNode[]): (node: ResourceNode) => readonly ResourceNode[] {
  // Of two with one id, which is told as a mistake, the first is meant.
  const byId = new Map(nodes.toReversed().flatMap((node) => (node.id === undefined ? [] : [[node.id, node] as const])));
  return (node) => node.common.after.map((id) => byId.get(id)).filter((other) => other !== undefined);
}

/** Every cycle that a walk along `next` meets, once. */
export function cyclesOf<T>(all: readonly T[], next: (one: T) => readonly T[]): T[][] {
  const done = new Set<T>();
  const cycles: T[][] = [];
  const walk = (one: T, path: readonly T[]): void => {
    const start = path.indexOf(one);
    if (start >= 0) cycles.push(path.slice(start));
    if (start >= 0 || done.has(one)) return;
    for (const other of next(one)) walk(other, [...path, one]);
    done.add(one);
  };
  for (const one of all) walk(one, []);
  return cycles;
}
