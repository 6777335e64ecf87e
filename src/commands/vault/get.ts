/** vault get: prints a secret. */
import { z } from "zod";
import { type Context, defineCommand } from "../../core/command.ts";
import { AmiError } from "../../core/errors.ts";
import { nearest } from "../../core/nearest.ts";
import { nameSchema, passphraseFile, theVault } from "./words.ts";

const input = z.strictObject({ name: nameSchema.describe("what it is called"), passphraseFile });

const output = z.object({ name: z.string(), value: z.string() });

export const command = defineCommand({
  name: "vault get",
  summary: "Print a secret",
  description: `The secret and a line break, for a pipe or for your eyes. Flags that ask for a secret take it from the vault by themselves: --ask-become-pass=vault:NAME.`,
  examples: [{ line: "ami-node vault get web1.sudo", says: "shows it" }],
  input,
  args: { positional: ["name"], values: { name: "NAME", passphraseFile: "FILE" } },
  output,
  effect: "read",
  shows: "answer",
  targets: "none",
  run: get,
  text: ({ value }) => `${value}\n`,
});

async function get(wish: z.output<typeof input>, ctx: Context): Promise<{ output: z.output<typeof output> }> {
  const vault = await theVault(ctx, wish);
  const value = await vault.get(wish.name);
  if (value !== undefined) return { output: { name: wish.name, value: value.reveal() } };
  const near = nearest(
    wish.name,
    (await vault.list()).map(({ name }) => name),
  );
  throw new AmiError("vault.absent", `the vault (${vault.where}) has no ${wish.name}`, {
    hint: near === undefined ? "see what is there with: ami-node vault list" : `did you mean ${near}?`,
  });
}
