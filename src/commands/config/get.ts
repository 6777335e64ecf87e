/** config get: one setting. */
import { z } from "zod";
import { settingKey, settingKeys } from "../../core/config/keys.ts";
import { ownPaths } from "../../core/config/paths.ts";
import { openSettings } from "../../core/config/settings.ts";
import { defineCommand } from "../../core/command.ts";

const value = z.union([z.string(), z.number(), z.boolean()]);

export const command = defineCommand({
  name: "config get",
  summary: "Print one setting",
  description: "Prints nothing and exits 1 when the setting is not set.",
  examples: [
    { line: "ami-node config get default.target", says: "where the ssh group acts when no --target is given" },
  ],
  input: z.strictObject({ key: z.enum(Object.keys(settingKeys)).describe("the setting") }),
  args: { positional: ["key"], values: { key: "KEY" } },
  output: z.object({ key: z.string(), value: value.optional() }),
  effect: "read",
  shows: "answer",
  targets: "none",
  exits: { 1: "the setting is not set" },
  async run(input) {
    const key = settingKey(input.key);
    const read = value.optional().parse(openSettings(ownPaths().settings).get(key));
    return read === undefined ? { output: { key }, exit: 1 } : { output: { key, value: read } };
  },
  text: (output) => (output.value === undefined ? "" : String(output.value)),
});
