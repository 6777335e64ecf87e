/** ssh key agent list: what the running agent holds. */
import { z } from "zod";
import { columns } from "../../../../core/columns.ts";
import { defineCommand } from "../../../../core/command.ts";
import { agentSocket, talkToAgent } from "../../../../core/ssh/agent-talk.ts";
import { bitsOf } from "../../../../core/ssh/key/halves.ts";
import { fingerprint } from "../../../../core/ssh/known-hosts.ts";
import { visible } from "../../../../core/visible.ts";

export const command = defineCommand({
  name: "ssh key agent list",
  summary: "Show the keys that the agent holds",
  examples: [{ line: "ami-node ssh key agent list", says: "type, fingerprint and comment of each" }],
  input: z.strictObject({}),
  args: {},
  output: z.object({
    keys: z.array(
      z.object({
        type: z.string(),
        bits: z.number().int().optional().describe("absent for certificates and keys on tokens"),
        fingerprint: z.string(),
        comment: z.string(),
      }),
    ),
  }),
  effect: "read",
  shows: "answer",
  targets: "none",
  exits: { 6: "no agent answers" },
  async run(_input, ctx) {
    const keys = await talkToAgent(agentSocket(process.env), ctx.signal).list();
    return {
      output: {
        keys: keys.map(({ type, blob, comment }) => ({
          type,
          ...(/-cert-|^sk-/.test(type) ? {} : { bits: bitsOf(blob) }),
          fingerprint: fingerprint(blob),
          comment,
        })),
      },
    };
  },
  text: ({ keys }) =>
    keys.length === 0
      ? "the agent holds no keys"
      : visible(columns(keys.map((key) => [key.type, String(key.bits ?? ""), key.fingerprint, key.comment]))),
});
