/** Target: tunnels lead through one. */
import { AmiError } from "../errors.ts";
import type { Target } from "../targets.ts";

/** Throws `usage.target` unless there is one. */
export function onlyTarget(targets: readonly Target[]): Target {
  const [target, ...others] = targets;
  if (target !== undefined && others.length === 0) return target;
  throw new AmiError("usage.target", `connections go through one target, and ${targets.length} were given`, {
    hint: "run it once for each, with ports of its own",
  });
}
