/** vault rm: forgets secrets. */
import { z } from "zod";
import { type Context, defineCommand } from "../../core/command.ts";
import { nameSchema, passphraseFile, theVault } from "./words.ts";

const input = z.strictObject({
  names: z.array(nameSchema).min(1, "names nothing").describe("what they are called"),
  passphraseFile,
});

const output = z.object({ removed: z.array(z.string()), absent: z.array(z.string()) });

export const command = defineCommand({
  name: "vault rm",
  summary: "Forget secrets",
  description: "Asks first. A name that is not there is no error: it is gone already.",
  examples: [{ line: "ami-node vault rm web1.sudo --yes", says: "without a question" }],
  input,
  args: { positional: ["names"], values: { names: "NAME", passphraseFile: "FILE" } },
  output,
  effect: "destroy",
  shows: "answer",
  targets: "none",
  run: remove,
  text: ({ removed, absent }) =>
    [...removed.map((name) => `${name} is forgotten`), ...absent.map((name) => `${name} was not there`)].join("\n"),
});

async function remove(wish: z.output<typeof input>, ctx: Context): Promise<{ output: z.output<typeof output> }> {
  const vault = await theVault(ctx, wish);
  const there = new Set((await vault.list()).map(({ name }) => name));
  const names = [...new Set(wish.names)];
  const found = names.filter((name) => there.has(name));
  if (found.length > 0) await ctx.confirm(`forget ${found.join(", ")} in ${vault.where}?`);
  const removed: string[] = [];
  for (const name of found) if (await vault.remove(name)) removed.push(name);
  return { output: { removed, absent: names.filter((name) => !removed.includes(name)) } };
}
