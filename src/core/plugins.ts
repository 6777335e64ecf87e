/** Plugins: programs named `ami-node-foo` on PATH that answer `ami-node foo`, as git and kubectl have them. */
import { accessSync, constants, readdirSync, statSync } from "node:fs";
import { delimiter, join } from "node:path";

export interface Plugin {
  /** The word after `ami-node`. */
  readonly name: string;
  readonly path: string;
  /** Why it is never run: a built-in command of that name, or an earlier program on PATH. */
  readonly hiddenBy?: string | undefined;
}

export interface Place {
  readonly path: string | undefined;
  readonly platform: NodeJS.Platform;
  /** Endings that make a file a program on Windows: `.EXE;.CMD`. */
  readonly pathExt?: string | undefined;
}

const prefix = "ami-node-";

export function thisPlace(env: NodeJS.ProcessEnv = process.env): Place {
  return { path: env["PATH"], platform: process.platform, pathExt: env["PATHEXT"] };
}

/** Every plugin in the order of PATH, hidden ones included. `builtins`: first words of our own commands. */
export function listPlugins(builtins: ReadonlySet<string>, place: Place): Plugin[] {
  const seen = new Map<string, string>();
  const plugins: Plugin[] = [];
  for (const folder of foldersOf(place)) {
    for (const file of namesIn(folder)) {
      const name = pluginName(file, place);
      const path = join(folder, file);
      if (name === undefined || !isProgram(path, place)) continue;
      const hiddenBy = builtins.has(name) ? `the built-in command ${name}` : seen.get(name);
      plugins.push({ name, path, ...(hiddenBy === undefined ? {} : { hiddenBy }) });
      if (!seen.has(name)) seen.set(name, path);
    }
  }
  return plugins;
}

/** The program that answers `ami-node <name>`. Never asked for built-in names. */
export function findPlugin(name: string, place: Place): string | undefined {
  if (!isPluginName(name)) return undefined;
  for (const folder of foldersOf(place)) {
    for (const ending of endingsOf(place)) {
      const path = join(folder, `${prefix}${name}${ending}`);
      if (isProgram(path, place)) return path;
    }
  }
  return undefined;
}

function isPluginName(name: string): boolean {
  return /^[A-Za-z0-9][A-Za-z0-9._-]*$/.test(name);
}

/** Relative entries (and empty ones, which mean the working directory) are left out: a folder must not grow commands. */
function foldersOf(place: Place): string[] {
  const separator = place.platform === "win32" ? ";" : delimiter;
  const folders = (place.path ?? "").split(separator).filter((folder) => /^([/\\]|[A-Za-z]:)/.test(folder));
  return [...new Set(folders)];
}

function endingsOf(place: Place): string[] {
  if (place.platform !== "win32") return [""];
  return (place.pathExt ?? ".COM;.EXE;.BAT;.CMD").split(";").map((ending) => ending.toLowerCase());
}

function pluginName(file: string, place: Place): string | undefined {
  const ending = endingsOf(place).find((end) => file.toLowerCase().endsWith(end));
  if (!file.startsWith(prefix) || ending === undefined) return undefined;
  const name = file.slice(prefix.length, file.length - ending.length);
  return isPluginName(name) ? name : undefined;
}

function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder).toSorted();
  } catch {
    // PATH names folders that are missing or closed to us on most machines; no program can be run from them.
    return [];
  }
}

function isProgram(path: string, place: Place): boolean {
  try {
    if (!statSync(path).isFile()) return false;
    if (place.platform !== "win32") accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
