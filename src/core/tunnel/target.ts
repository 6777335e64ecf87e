/** Target: tunnels lead through one, as the user who logs in, within the time that --timeout gives. */
import type { Context } from "../command.ts";
import { AmiError, asAmiError } from "../errors.ts";
import { fanout } from "../fanout.ts";
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

/** Until what is to last is up. Rejects with `run.timeout` when that takes longer than --timeout says. */
export async function inTime<T>(
  target: Target,
  { options, signal }: Pick<Context, "options" | "signal">,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const wish = { parallel: 1, timeout: options.timeout, signal };
  const [fan] = await fanout([target], wish, (_target, own) => work(own));
  if (fan === undefined || fan.state !== "done") throw asAmiError(fan?.error);
  return fan.value;
}
