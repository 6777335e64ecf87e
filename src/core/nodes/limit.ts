/** --limit: a part of the targets, by name, pattern (`web*`), group (`@prod`) and exclusion (`!web3`). */
import type { Target } from "../targets.ts";

export function limitTargets(targets: readonly Target[], words: readonly string[]): readonly Target[] {
  const patterns = words.flatMap((word) => word.split(",")).filter((word) => word !== "");
  if (patterns.length === 0) return targets;
  const keep = patterns.filter((pattern) => !pattern.startsWith("!"));
  const drop = patterns.filter((pattern) => pattern.startsWith("!")).map((pattern) => pattern.slice(1));
  return targets.filter((target) => (keep.length === 0 || keep.some((pattern) => matches(target, pattern))) && !drop.some((pattern) => matches(target, pattern)));
}

function matches(target: Target, pattern: string): boolean {
  if (pattern.startsWith("@")) return pattern === "@all" || (target.kind === "ssh" && target.groups.includes(pattern.slice(1)));
  const glob = pattern.replaceAll(/[.+^${}()|[\]\\]/g, "\\$&").replaceAll("*", ".*").replaceAll("?", ".");
  return new RegExp(`^${glob}$`).test(target.name);
}
