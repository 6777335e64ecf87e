/** config set: keeps one setting. */
import { z } from "zod";
import { settingKey, settingKeys } from "../../core/config/keys.ts";
import { ownPaths } from "../../core/config/paths.ts";
import { setSetting } from "../../core/config/write.ts";
import { defineCommand } from "../../core/command.ts";

export const command = defineCommand({
  name: "config set",
  summary: "Keep a setting",
  examples: [
    {
      line: "ami-node config set default.target web1,web2",
      says: "the ssh group acts on these when no --target is given",
    },
    { line: "ami-node config set parallel 20", says: "at most 20 targets at once" },
  ],
  input: z.strictObject({
    key: z.enum(Object.keys(settingKeys)).describe("the setting"),
    value: z.string().describe("its value"),
  }),
  args: { positional: ["key", "value"], values: { key: "KEY", value: "VALUE" } },
  output: z.object({ key: z.string(), value: z.union([z.string(), z.number(), z.boolean()]) }),
  effect: "change",
  shows: "answer",
  targets: "none",
  async run(input) {
    const key = settingKey(input.key);
    return { output: { key, value: await setSetting(ownPaths().settings, key, input.value) } };
  },
  text: ({ key, value }) => `${key} = ${value}`,
});
