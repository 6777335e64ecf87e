/** config path: where our files are. */
import { z } from "zod";
import { ownPaths } from "../../core/config/paths.ts";
import { defineCommand } from "../../core/command.ts";

export const command = defineCommand({
  name: "config path",
  summary: "Print where the settings are kept",
  examples: [
    { line: "ami-node config path", says: "the settings file" },
    { line: 'tail "$(ami-node config path --log)"', says: "what ami-node did last, and what went wrong" },
  ],
  input: z.strictObject({
    log: z.boolean().default(false).describe("the log file instead: errors and actions as JSON lines"),
  }),
  args: {},
  output: z.object({ path: z.string() }),
  effect: "read",
  shows: "answer",
  targets: "none",
  run: async ({ log }) => ({ output: { path: log ? ownPaths().log : ownPaths().settings } }),
  text: ({ path }) => path,
});
