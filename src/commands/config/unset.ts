/** config unset: forgets one setting. */
import { z } from "zod";
import { ownPaths } from "../../core/config/paths.ts";
import { unsetSetting } from "../../core/config/write.ts";
import { defineCommand } from "../../core/command.ts";

export const command = defineCommand({
  name: "config unset",
  summary: "Forget a setting, so that its default holds again",
  examples: [{ line: "ami-node config unset default.target", says: "the ssh group asks for --target again" }],
  input: z.strictObject({ key: z.string().min(1).describe("the setting; also one that is not known any more") }),
  args: { positional: ["key"], values: { key: "KEY" } },
  output: z.object({ key: z.string(), wasSet: z.boolean() }),
  effect: "change",
  shows: "answer",
  targets: "none",
  run: async ({ key }) => ({ output: { key, wasSet: await unsetSetting(ownPaths().settings, key) } }),
  text: ({ key, wasSet }) => (wasSet ? `${key} is not set any more` : `${key} was not set`),
});
