/** ssh session new: a terminal that waits when it is left. */
import { z } from "zod";
import { type Context, defineCommand } from "../../../core/command.ts";
import { errorJson, exitCodes } from "../../../core/errors.ts";
import { exitStatus } from "../../../core/host.ts";
import { newSession, sessionName, sitInSession } from "../../../core/jobs/session.ts";
import { act } from "../../../core/act.ts";
import { errorSchema } from "../../../core/report.ts";
import { takeSeat } from "../../../core/seat.ts";

const input = z.strictObject({
  name: sessionName.default("main").describe("what to call it"),
  detach: z.boolean().default(false).describe("only make it; works on several targets and without a terminal here"),
});

const output = z.object({
  name: z.string(),
  exit: z.number().int().optional().describe("of the shell in it, or of the program that shows it"),
  hosts: z
    .array(
      z.object({
        host: z.string(),
        by: z.enum(["tmux", "screen", "job"]).optional().describe("what keeps it; job: we ourselves"),
        error: errorSchema.optional(),
      }),
    )
    .optional()
    .describe("with --detach"),
});

export const command = defineCommand({
  name: "ssh session new",
  summary: "Open a terminal that waits when it is left",
  description: `A session of tmux, else of screen; where there is neither, a login shell of ours under script of util-linux (Linux), which is shown again by its last lines. It survives lost connections, and is attached to again by itself. It is left as tmux (Ctrl-B d) and screen (Ctrl-A d) have it, or by ~. at the beginning of a line.`,
  examples: [
    { line: "ami-node ssh session new web1", says: "called main" },
    { line: "ami-node ssh session new web1 build", says: "called build" },
  ],
  input,
  args: { targetWord: true, positional: ["name"], values: { name: "NAME" } },
  output,
  effect: "change",
  programs: "user",
  announces: () => [{ does: "terminal" }],
  shows: "events",
  interactive: true,
  targets: "settings",
  exits: { 130: "left by ~." },
  run,
});

async function run(
  { name, detach }: z.output<typeof input>,
  ctx: Context,
): Promise<{ output: z.output<typeof output>; exit: number }> {
  if (detach) {
    const { fans, exit } = await act(ctx, {
      title: `session ${name}`,
      work: async (target, signal) => newSession(await ctx.hosts.open(target, { signal }), name, signal),
    });
    const hosts = fans.map((fan) => ({
      host: fan.target.name,
      ...(fan.state === "done" ? { by: fan.value } : { error: errorJson(fan.error) }),
    }));
    return { output: { name, hosts }, exit };
  }
  const exit = await sitInSession(ctx, takeSeat(ctx), name, "always");
  if (exit === undefined) return { output: { name }, exit: exitCodes.interrupted };
  return { output: { name, exit: exitStatus(exit) }, exit: exitStatus(exit) };
}
