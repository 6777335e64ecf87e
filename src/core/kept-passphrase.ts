/** Kept passphrase: what the vault knows of a key file, under `key:PATH`, so that nobody has to type it. */
import { homedir } from "node:os";
import type { Secret } from "./secret.ts";
import type { Vault } from "./vault.ts";

/** `file`: absolute; an entry may write the home as `~`. Undefined: there is none, and the vault was not opened. */
export async function keptPassphrase(
  vault: Vault,
  file: string,
  home: string = process.env["HOME"] || homedir(),
): Promise<Secret | undefined> {
  const short = file.startsWith(`${home}/`) ? [`key:~${file.slice(home.length)}`] : [];
  const names = new Set((await vault.list()).map(({ name }) => name));
  const found = [`key:${file}`, ...short].find((name) => names.has(name));
  return found === undefined ? undefined : vault.get(found);
}
