/** plugins: programs on PATH that are commands of ours. */
import { z } from "zod";
import { defineCommand } from "../core/command.ts";
import { listPlugins, thisPlace } from "../core/plugins.ts";

export const command = defineCommand({
  name: "plugins",
  summary: "List programs named ami-node-<name> on PATH, which answer ami-node <name>",
  description:
    "A built-in command is never replaced by a plugin, and of two plugins with one name the first on PATH answers; the list says so.",
  examples: [{ line: "ami-node plugins", says: "name, path, and what hides it" }],
  input: z.strictObject({}),
  args: {},
  output: z.object({
    plugins: z.array(z.object({ name: z.string(), path: z.string(), hiddenBy: z.string().optional() })),
  }),
  effect: "read",
  shows: "answer",
  targets: "none",
  async run() {
    const { commands } = await import("./registry.ts");
    const builtins = new Set([...commands.map(({ name }) => name.split(" ", 1)[0] ?? name), "help"]);
    return { output: { plugins: listPlugins(builtins, thisPlace()) } };
  },
  text({ plugins }) {
    if (plugins.length === 0) return "no plugins: put an executable named ami-node-<name> on PATH";
    const width = Math.max(...plugins.map(({ name }) => name.length));
    return plugins
      .map(
        ({ name, path, hiddenBy }) =>
          `${name.padEnd(width)}  ${path}${hiddenBy === undefined ? "" : `  (hidden by ${hiddenBy})`}`,
      )
      .join("\n");
  },
});
