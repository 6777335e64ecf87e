/** Words that the verbs of the vault have in common. */
import { z } from "zod";
import type { Context, VaultWish } from "../../core/command.ts";
import { AmiError } from "../../core/errors.ts";
import type { Vault } from "../../core/vault.ts";

export const nameSchema = z
  .string()
  .regex(/^[^\s\p{C}](?:[^\p{C}]{0,253}[^\s\p{C}])?$/u, "is no name: 1 to 255 characters, none of them a line break")
  // Readers of JSON pass over an entry of that name, for reasons of their own.
  .refine((name) => name !== "__proto__", "is no name for a secret");

export const passphraseFile = z
  .string()
  .min(1)
  .optional()
  .describe("file that holds the passphrase of the vault; else AMI_NODE_VAULT_PASSPHRASE, or you are asked");

export async function theVault(ctx: Context, wish: VaultWish): Promise<Vault> {
  if (ctx.vault === undefined) throw new AmiError("host.unsupported", "there is no vault here");
  return ctx.vault({ passphraseFile: wish.passphraseFile, newPassphraseFile: wish.newPassphraseFile });
}
