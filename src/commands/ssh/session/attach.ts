/** ssh session attach: back to a terminal that was left. */
import { z } from "zod";
import { type Context, defineCommand } from "../../../core/command.ts";
import { exitCodes } from "../../../core/errors.ts";
import { exitStatus } from "../../../core/host.ts";
import { sessionName, sitInSession } from "../../../core/jobs/session.ts";
import { takeSeat } from "../../../core/seat.ts";

const input = z.strictObject({ name: sessionName.default("main").describe("as ssh session list shows it") });

const output = z.object({
  name: z.string(),
  exit: z.number().int().optional().describe("of the shell in it, or of the program that shows it"),
});

export const command = defineCommand({
  name: "ssh session attach",
  summary: "Go back to a terminal that was left",
  description:
    "Whoever else is attached is sent away. A lost connection is made again, and the session attached to. Sessions that were made by tmux or screen themselves are found as well.",
  examples: [
    { line: "ami-node ssh session attach web1", says: "the one called main" },
    { line: "ami-node ssh session attach web1 build", says: "another one" },
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
  { name }: z.output<typeof input>,
  ctx: Context,
): Promise<{ output: z.output<typeof output>; exit: number }> {
  const exit = await sitInSession(ctx, takeSeat(ctx), name, "never");
  if (exit === undefined) return { output: { name }, exit: exitCodes.interrupted };
  return { output: { name, exit: exitStatus(exit) }, exit: exitStatus(exit) };
}
