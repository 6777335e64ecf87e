/** vault list: what is in the vault, by name. */
import { z } from "zod";
import { columns } from "../../core/columns.ts";
import { type Context, defineCommand } from "../../core/command.ts";
import { theVault } from "./words.ts";

const output = z.object({
  vault: z.string().describe("where it is"),
  store: z.enum(["file", "keyring"]),
  entries: z.array(z.object({ name: z.string(), changed: z.string().optional().describe("ISO 8601") })),
});

export const command = defineCommand({
  name: "vault list",
  summary: "List the names of all secrets",
  description: "Names and times only, so no passphrase is needed.",
  examples: [{ line: "ami-node vault list", says: "names, and when each was stored" }],
  input: z.strictObject({}),
  args: {},
  output,
  effect: "read",
  shows: "answer",
  targets: "none",
  run: list,
  text: ({ vault, entries }) =>
    entries.length === 0
      ? `nothing in ${vault}`
      : columns(entries.map(({ name, changed }) => [name, changed?.replace(/T(\d+:\d+).*/, " $1") ?? ""])),
});

async function list(_wish: unknown, ctx: Context): Promise<{ output: z.output<typeof output> }> {
  const vault = await theVault(ctx, {});
  return { output: { vault: vault.where, store: vault.store, entries: [...(await vault.list())] } };
}
