/** Declarations: every command, resource type and probe kind found in its folder. */
import { readFileSync, readdirSync } from "node:fs";
import { join, relative } from "node:path";
import { pathToFileURL } from "node:url";
import type { Command } from "../../src/core/command.ts";
import type { ResourceType } from "../../src/core/resource.ts";
import { wordsOf } from "../../src/cli/declared.ts";
import { kebab } from "../../src/cli/flags.ts";
import { globalFlags } from "../../src/cli/globals.ts";

export interface Found<T> {
  /** As imported by the registry beside it: `./ssh/execute.ts`. */
  readonly file: string;
  readonly says: T;
}

const commandFolder = "src/commands";
const resourceFolder = "src/core/resources";
const probeFolder = "src/core/provision/probes";

/** Sorted by name. Fails on two of one name, on a name that is not where its file says, on flags that collide. */
export async function readCommands(root: string): Promise<Found<Command>[]> {
  const found = await readAll(root, commandFolder, "command", isCommand);
  for (const { file, says } of found) {
    const words = file.replace(/^\.\//, "").replace(/\.ts$/, "").split("/").join(" ");
    if (says.name !== words) throw new Error(`${commandFolder}/${file}: is named ${says.name}; its file says ${words}`);
    checkFlags(says);
  }
  return found.toSorted((a, b) => (a.says.name < b.says.name ? -1 : 1));
}

export async function readResources(root: string): Promise<Found<ResourceType>[]> {
  const found = await readAll(root, resourceFolder, "resource", isResource);
  for (const { file, says } of found) {
    if (`./${says.type}.ts` !== file) throw new Error(`${resourceFolder}/${file}: its type is ${says.type}`);
  }
  return found.toSorted((a, b) => (a.says.type < b.says.type ? -1 : 1));
}

export async function readProbes(root: string): Promise<Found<{ readonly kind: string }>[]> {
  const found = await readAll(root, probeFolder, "probe", isProbe);
  for (const { file, says } of found) {
    if (`./${says.kind}.ts` !== file) throw new Error(`${probeFolder}/${file}: its kind is ${says.kind}`);
  }
  return found.toSorted((a, b) => (a.says.kind < b.says.kind ? -1 : 1));
}

async function readAll<T>(
  root: string,
  folder: string,
  name: string,
  is: (value: unknown) => value is T,
): Promise<Found<T>[]> {
  const base = join(root, folder);
  const files = readdirSync(base, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith(".ts") && entry.name !== "registry.ts")
    .map((entry) => join(entry.parentPath, entry.name))
    .filter((file) => new RegExp(`^export const ${name}\\b`, "m").test(readFileSync(file, "utf8")))
    .toSorted();
  const found: Found<T>[] = [];
  for (const file of files) {
    const module: unknown = await import(pathToFileURL(file).href);
    const value =
      typeof module === "object" && module !== null
        ? Object.entries(module).find(([key]) => key === name)?.[1]
        : undefined;
    if (!is(value)) throw new Error(`${relative(root, file)}: \`export const ${name}\` is not a ${name} declaration`);
    found.push({ file: `./${relative(base, file).replaceAll("\\", "/")}`, says: value });
  }
  return found;
}

function isCommand(value: unknown): value is Command {
  return (
    has(value, "name", "string") &&
    has(value, "summary", "string") &&
    has(value, "run", "function") &&
    has(value, "input", "object")
  );
}

function isResource(value: unknown): value is ResourceType {
  return (
    has(value, "type", "string") &&
    has(value, "summary", "string") &&
    has(value, "schema", "object") &&
    has(value, "plan", "function")
  );
}

function isProbe(value: unknown): value is { readonly kind: string } {
  return has(value, "kind", "string") && has(value, "sh", "function") && has(value, "parse", "function");
}

function has(value: unknown, key: string, type: string): boolean {
  return (
    typeof value === "object" &&
    value !== null &&
    Object.entries(value).some(([name, member]) => name === key && typeof member === type)
  );
}

function checkFlags(command: Command): void {
  const { flags } = wordsOf(command);
  const taken = new Set([...globalFlags.map((flag) => kebab(flag.field)), "help", "version"]);
  const shorts = new Set(["h"]);
  for (const flag of flags) {
    const name = kebab(flag.field);
    if (taken.has(name)) throw new Error(`${command.name}: the flag --${name} is taken`);
    taken.add(name);
    if (flag.short === undefined) continue;
    if (shorts.has(flag.short)) throw new Error(`${command.name}: the short flag -${flag.short} is taken`);
    shorts.add(flag.short);
  }
}
