/** completion: a script that teaches a shell our words. The script asks `ami-node __complete`, so it never grows old. */
import { z } from "zod";
import { defineCommand } from "../core/command.ts";
import { bash } from "./completion/bash.ts";
import { fish } from "./completion/fish.ts";
import { zsh } from "./completion/zsh.ts";

const scripts = { bash, zsh, fish };

export const command = defineCommand({
  name: "completion",
  summary: "Print a completion script for your shell",
  examples: [
    { line: "source <(ami-node completion bash)", says: "in ~/.bashrc; zsh alike" },
    { line: "ami-node completion fish | source", says: "in ~/.config/fish/config.fish" },
  ],
  input: z.strictObject({ shell: z.enum(["bash", "zsh", "fish"]).describe("the shell") }),
  args: { positional: ["shell"] },
  output: z.object({ script: z.string() }),
  effect: "read",
  shows: "answer",
  targets: "none",
  run: async ({ shell }) => ({ output: { script: scripts[shell] } }),
  text: ({ script }) => script,
});
