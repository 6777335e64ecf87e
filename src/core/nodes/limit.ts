/** --limit: a part of the targets, by name, pattern (`web*`), range (`web[1-3]`), group (`@prod`) and exclusion (`!web3`). */
import { AmiError } from "../errors.ts";
import { expandRanges, matchesName, splitList } from "../names.ts";
import type { Target } from "../targets.ts";

/** Without words all of them. Throws `usage.target` for a range that cannot be read, and for words that name nothing: an
 * unset variable must not mean every target. */
export function limitTargets(targets: readonly Target[], words: readonly string[]): readonly Target[] {
  const patterns = splitList(words);
  if (words.length === 0) return targets;
  if (patterns.length === 0)
    throw new AmiError("usage.target", "--limit names nothing", { hint: "is a variable in it not set?" });
  const keep = patterns.filter((pattern) => !pattern.startsWith("!")).flatMap(expandRanges);
  const drop = patterns
    .filter((pattern) => pattern.startsWith("!"))
    .flatMap((pattern) => expandRanges(pattern.slice(1)));
  const any = (target: Target, list: readonly string[]): boolean => list.some((pattern) => matches(target, pattern));
  return targets.filter((target) => (keep.length === 0 || any(target, keep)) && !any(target, drop));
}

function matches(target: Target, pattern: string): boolean {
  if (pattern === "@all") return true;
  if (pattern.startsWith("@")) return target.groups?.includes(pattern.slice(1)) === true;
  return matchesName(target.name, pattern);
}
