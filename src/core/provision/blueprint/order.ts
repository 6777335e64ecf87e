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
  const order: ResourceNode[] = [];
  const placed = new Set<ResourceNode>();
  const left = [...nodes];
  for (;;) {
    const next = left.findIndex((node) => before(node).every((other) => placed.has(other)));
    if (next < 0) break;
    for (const node of left.splice(next, 1)) {
      placed.add(node);
      order.push(node);
    }
  }
  return { order: [...order, ...left], cycles: cyclesOf(left, before) };
}

/** Resources with one of the tags, and everything they come after or whose result they use. In the given order. */
export function selected(nodes: readonly ResourceNode[], tags: readonly string[], usesOf: (node: ResourceNode) => readonly string[]): ResourceNode[] {
  const before = edges(nodes);
  const byRegister = new Map(nodes.flatMap((node) => (node.common.register === undefined ? [] : [[node.common.register, node] as const])));
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
