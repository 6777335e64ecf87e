/** Which vault: the one the setting names; else a vault file that is there already, a keyring that answers, a new file. */
import { access } from "node:fs/promises";
import { AmiError } from "../../errors.ts";
import type { Vault } from "../../vault.ts";
import { fileVault, type Passphrases } from "./file.ts";
import { keyringVault } from "./keyring.ts";

export interface VaultOptions {
  readonly file: string;
  readonly store: "auto" | "file" | "keyring";
  readonly passphrases: Passphrases;
  readonly signal: AbortSignal;
}

/** Rejects with `tool.missing` when a keyring is asked for and none answers. */
export async function openVault({ file, store, passphrases, signal }: VaultOptions): Promise<Vault> {
  // Two vaults would hide each other's secrets, so a file that was begun is gone on with.
  if (store === "file" || (store === "auto" && (await exists(file)))) return fileVault(file, passphrases, signal);
  const keyring = await keyringVault(signal);
  if (!("missing" in keyring)) return keyring;
  if (store === "auto") return fileVault(file, passphrases, signal);
  throw new AmiError("tool.missing", `there is no keyring here: ${keyring.missing}`, {
    hint: "keep secrets in a file instead: ami-node config set vault.store file",
  });
}

function exists(file: string): Promise<boolean> {
  return access(file).then(
    () => true,
    () => false,
  );
}
