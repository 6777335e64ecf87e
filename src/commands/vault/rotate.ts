/** vault rotate: another passphrase, and new keys for all that is in the vault. */
import { z } from "zod";
import { type Context, defineCommand } from "../../core/command.ts";
import { AmiError } from "../../core/errors.ts";
import { passphraseFile, theVault } from "./words.ts";

const input = z.strictObject({
  passphraseFile,
  newPassphraseFile: z.string().min(1).optional().describe("file that holds the passphrase it is to get"),
});

const output = z.object({ vault: z.string(), entries: z.number().int() });

export const command = defineCommand({
  name: "vault rotate",
  summary: "Give the vault another passphrase",
  description: `Every entry is sealed anew with a key nobody has seen before, and the file is replaced whole. Copies of the old file still open with the old passphrase. A keyring has no passphrase of ours.`,
  examples: [{ line: "ami-node vault rotate", says: "asks for the old one and twice for the new one" }],
  input,
  args: { values: { passphraseFile: "FILE", newPassphraseFile: "FILE" } },
  output,
  effect: "change",
  shows: "answer",
  targets: "none",
  run: rotate,
  text: ({ vault, entries }) => `${vault} has a new passphrase; ${entries} sealed anew`,
});

async function rotate(wish: z.output<typeof input>, ctx: Context): Promise<{ output: z.output<typeof output> }> {
  const vault = await theVault(ctx, wish);
  if (vault.rotate === undefined) {
    throw new AmiError("usage.input", `${vault.where} has no passphrase of ours`, {
      hint: "the system looks after it; a vault file has one: ami-node config set vault.store file",
    });
  }
  return { output: { vault: vault.where, entries: await vault.rotate() } };
}
