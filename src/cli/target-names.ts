/** Target names: what may stand behind --target, for completion: nodes, groups, ssh aliases. */
import { existsSync } from "node:fs";
import { ownPaths } from "../core/config/paths.ts";
import type { Settings } from "../core/command.ts";
import { asAmiError } from "../core/errors.ts";
import type { Inventory } from "../core/nodes/inventory.ts";
import { sshAliases } from "../core/ssh/config/aliases.ts";

/** `sshConfig`: the file named on the same command line. Files that do not exist load nothing. */
export async function targetNames(env: NodeJS.ProcessEnv, sshConfig: string | undefined): Promise<string[]> {
  const paths = ownPaths(env);
  const settings = await settingsOr(paths.settings);
  const inventory = await inventoryOr(settingOf(settings, "inventory") ?? paths.nodes);
  const nodes = [...(inventory?.nodes.keys() ?? [])];
  const groups = inventory === undefined ? [] : ["all", ...inventory.groups.keys()].map((group) => `@${group}`);
  const aliases = sshAliases(sshConfig ?? settingOf(settings, "ssh.config"), env["HOME"]);
  return [...new Set(["local", ...nodes, ...groups, ...aliases])];
}

async function settingsOr(file: string): Promise<Settings | undefined> {
  if (!existsSync(file)) return undefined;
  return (await import("../core/config/settings.ts")).openSettings(file);
}

function settingOf(settings: Settings | undefined, key: string): string | undefined {
  try {
    const value = settings?.get(key);
    return typeof value === "string" ? value : undefined;
  } catch (error) {
    return silent(error);
  }
}

async function inventoryOr(file: string): Promise<Inventory | undefined> {
  if (!existsSync(file)) return undefined;
  const { readInventory } = await import("../core/nodes/inventory.ts");
  try {
    return await readInventory(file);
  } catch (error) {
    return silent(error);
  }
}

/** What is wrong with a file is said by the next command that needs it, not at a key press. Bugs are not swallowed. */
function silent(error: unknown): undefined {
  if (asAmiError(error).code === "internal.bug") throw error;
  return undefined;
}
