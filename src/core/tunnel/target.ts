/** Target: tunnels lead through one, as the user who logs in. */
import type { Context } from "../command.ts";
import { AmiError } from "../errors.ts";
import type { Target } from "../targets.ts";

/** Throws `usage.*` unless that is what was asked for. */
export function onlyTarget({ targets, options }: Pick<Context, "targets" | "options">): Target {
  const [target, ...others] = targets;
  if (target === undefined || others.length > 0) {
    throw new AmiError("usage.target", `connections go through one target, and ${targets.length} were given`, {
      hint: "run it once for each, with ports of its own",
    });
  }
  if (options.become !== undefined) {
    throw new AmiError("usage.input", "connections are carried by the user who logs in; --become cannot change that", {
      hint: `log in as that user: ${options.become.user}@${target.name.replace(/^.*@/, "")}`,
    });
  }
  return target;
}
