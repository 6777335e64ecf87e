/** Vault: where secrets are kept on this machine, by name. */
import type { Secret } from "./secret.ts";

export interface Vault {
  /** `keyring`: that of the operating system (Secret Service, Keychain, Credential Manager). */
  readonly store: "file" | "keyring";
  /** For people: the path of the file, or what the keyring is called. */
  readonly where: string;
  /** By name, sorted. Asks for no passphrase. */
  list(): Promise<readonly VaultEntry[]>;
  /** Undefined: there is none of that name. Rejects with `vault.locked` or `vault.damaged`. */
  get(name: string): Promise<Secret | undefined>;
  /** Stores a value, whole or not at all, also with other writers about. Rejects like `get`. */
  set(name: string, value: Secret): Promise<"new" | "replaced" | "same">;
  /** false: there was none of that name. */
  remove(name: string): Promise<boolean>;
  /** Present when the vault has a passphrase: gives it another one and every entry a fresh key. Resolves with their number. */
  rotate?(): Promise<number>;
}

export interface VaultEntry {
  readonly name: string;
  /** When it was last stored, ISO 8601; unknown in a keyring. */
  readonly changed?: string;
}
