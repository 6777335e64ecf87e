/** vault set: stores a secret under a name. */
import { buffer } from "node:stream/consumers";
import { z } from "zod";
import { type Context, defineCommand } from "../../core/command.ts";
import { AmiError } from "../../core/errors.ts";
import { Secret } from "../../core/secret.ts";
import { asText, readSecretFile } from "../../core/source.ts";
import { nameSchema, passphraseFile, theVault } from "./words.ts";

const input = z.strictObject({
  name: nameSchema.describe("what to call it, as in web1.sudo"),
  valueFile: z.string().min(1).optional().describe("take the secret from this file; - is stdin"),
  passphraseFile,
});

const output = z.object({ name: z.string(), outcome: z.enum(["new", "replaced", "same"]), vault: z.string() });

export const command = defineCommand({
  name: "vault set",
  summary: "Store a secret under a name",
  description: `The secret is typed unseen, or comes from a file or from stdin; it is never a word of the command line, where others on this machine could read it. One line break at its end is left out.`,
  examples: [
    { line: "ami-node vault set web1.sudo", says: "asks for it" },
    { line: "pass show web1 | ami-node vault set web1.sudo", says: "from another program" },
    { line: "ami-node vault set tls.key --value-file ./key.pem", says: "a whole file" },
  ],
  input,
  args: { positional: ["name"], values: { name: "NAME", valueFile: "FILE", passphraseFile: "FILE" } },
  output,
  effect: "change",
  shows: "answer",
  targets: "none",
  run: set,
  text: ({ name, outcome, vault }) =>
    outcome === "same" ? `${name} is so already in ${vault}` : `${name} is ${outcome} in ${vault}`,
});

async function set(wish: z.output<typeof input>, ctx: Context): Promise<{ output: z.output<typeof output> }> {
  const value = await valueOf(wish, ctx);
  if (value.reveal() === "") {
    throw new AmiError("usage.input", "the secret is empty", { hint: `to forget one: ami-node vault rm ${wish.name}` });
  }
  const vault = await theVault(ctx, wish);
  return { output: { name: wish.name, outcome: await vault.set(wish.name, value), vault: vault.where } };
}

async function valueOf({ name, valueFile }: z.output<typeof input>, ctx: Context): Promise<Secret> {
  if (valueFile !== undefined && valueFile !== "-") return readSecretFile(valueFile);
  const stdin = ctx.stdio?.stdin;
  if (stdin === undefined) throw new AmiError("usage.input", "there is no stdin here to take the secret from");
  if (stdin.isTTY === true && valueFile === undefined && ctx.secret !== undefined) return ctx.secret(`${name}:`);
  return new Secret(asText(await buffer(stdin), "stdin").replace(/\r?\n$/, ""));
}
