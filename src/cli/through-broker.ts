/** Through the broker: starts one where the settings want one, and has it run the command. */
import { ownPaths } from "../core/config/paths.ts";
import { openSettings } from "../core/config/settings.ts";
import { asAmiError } from "../core/errors.ts";
import type { World } from "./main.ts";

/** undefined: run it here. There is no broker and none is wanted, or it is not for it; nothing was done. */
export async function throughBroker(argv: readonly string[], world: World): Promise<number | undefined> {
  const { env, signal, stdio } = world;
  if (process.platform === "win32" || !isWanted(env)) return undefined;
  const [{ brokerPlace }, { startBroker }, { handOver }] = await Promise.all([
    import("../core/broker/place.ts"),
    import("../core/broker/start.ts"),
    import("./hand-over.ts"),
  ]);
  try {
    await startBroker(brokerPlace(env), env, signal);
  } catch (error) {
    // The command can do without.
    if (!signal.aborted && !argv.includes("--quiet"))
      stdio.stderr.write(`warning: the connection will not stay open: ${asAmiError(error).message}\n`);
    return undefined;
  }
  return handOver(argv, env, world);
}

function isWanted(env: NodeJS.ProcessEnv): boolean {
  try {
    return openSettings(ownPaths(env).settings).get("ssh.persist") !== undefined;
  } catch {
    return false; // what is wrong with the settings is told by the command
  }
}
