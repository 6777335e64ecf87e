/** config list: every setting there is. */
import { z } from "zod";
import { ownPaths } from "../../core/config/paths.ts";
import { listSettings } from "../../core/config/settings.ts";
import { defineCommand } from "../../core/command.ts";

export const command = defineCommand({
  name: "config list",
  summary: "Show every setting, its value and its meaning",
  examples: [{ line: "ami-node config list", says: "settings without a value have their default" }],
  input: z.strictObject({}),
  args: {},
  output: z.object({
    settings: z.array(
      z.object({
        key: z.string(),
        says: z.string(),
        value: z.union([z.string(), z.number(), z.boolean()]).optional(),
        problem: z.string().optional(),
      }),
    ),
  }),
  effect: "read",
  shows: "answer",
  targets: "none",
  run: async () => ({ output: { settings: listSettings(ownPaths().settings) } }),
  text({ settings }) {
    const shown = settings.map((entry) => [
      entry.key,
      entry.value === undefined ? "-" : String(entry.value),
      entry.problem ?? entry.says,
    ]);
    const width = (column: number) => Math.max(...shown.map((row) => row[column]?.length ?? 0));
    const [keys, values] = [width(0), width(1)];
    return shown
      .map(([key = "", value = "", says = ""]) => `${key.padEnd(keys)}  ${value.padEnd(values)}  ${says}`.trimEnd())
      .join("\n");
  },
});
