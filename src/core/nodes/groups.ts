/** Groups: who belongs to what, through children. Pure; without circles. */
import type { Target } from "../targets.ts";

/** Children of each group, in the order of the file. */
export type Family = ReadonlyMap<string, readonly string[]>;

/** All groups a member of `direct` belongs to: parents before children, otherwise in order. Later ones win with their vars. */
export function groupsOf(direct: readonly string[], family: Family): string[] {
  const found = new Set<string>();
  const visit = (group: string): void => {
    if (found.has(group)) return;
    for (const [parent, children] of family) {
      if (children.includes(group)) visit(parent);
    }
    found.add(group);
  };
  direct.forEach(visit);
  return [...found];
}

export function membersOf(group: string, nodes: readonly (readonly [name: string, target: Target])[]): string[] {
  return nodes.filter(([, target]) => target.groups?.includes(group) === true).map(([name]) => name);
}
