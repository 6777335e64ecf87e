/** Target names: what may stand behind --target, for completion: nodes, groups, ssh aliases. */
import { ownPaths } from "../core/config/paths.ts";
import { openSettings } from "../core/config/settings.ts";
import { asAmiError } from "../core/errors.ts";
import type { Inventory } from "../core/nodes/inventory.ts";
import { sshAliases } from "../core/ssh/config/aliases.ts";

/** `sshConfig`: the file named on the same command line. */
export async function targetNames(env: NodeJS.ProcessEnv, sshConfig: string | undefined): Promise<string[]> {
  const paths = ownPaths(env);
  const settings = openSettings(paths.settings);
  const named = settingOf(settings.get, "inventory");
  const inventory = await inventoryOr(named ?? paths.nodes);
  const nodes = [...(inventory?.nodes.keys() ?? [])];
  const groups = inventory === undefined ? [] : ["all", ...inventory.groups.keys()].map((group) => `@${group}`);
  return [
    ...new Set([
      "local",
      ...nodes,
      ...groups,
      ...sshAliases(sshConfig ?? settingOf(settings.get, "ssh.config"), env["HOME"]),
    ]),
  ];
}

function settingOf(get: (key: string) => unknown, key: string): string | undefined {
  try {
    const value = get(key);
    return typeof value === "string" ? value : undefined;
  } catch (error) {
    return silent(error);
  }
}

async function inventoryOr(file: string): Promise<Inventory | undefined> {
  const { readInventory } = await import("../core/nodes/inventory.ts");
  try {
    return await readInventory(file, { optional: true });
  } catch (error) {
    return silent(error);
  }
}

/** What is wrong with a file is said by the next command that needs it, not at a key press. Bugs are not swallowed. */
function silent(error: unknown): undefined {
  if (asAmiError(error).code === "internal.bug") throw error;
  return undefined;
}
