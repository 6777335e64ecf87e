/** ssh connect: a terminal on a target. */
import { z } from "zod";
import { shellLine } from "../../core/argv.ts";
import { type Context, defineCommand } from "../../core/command.ts";
import { AmiError, exitCodes } from "../../core/errors.ts";
import { exitStatus } from "../../core/host.ts";
import { sessionName, sitInSession } from "../../core/jobs/session.ts";
import { sit, takeSeat } from "../../core/seat.ts";

const input = z.strictObject({
  run: z.string().min(1).optional().describe("run this line there instead of the login shell, as in 'top -d 1'"),
  resume: sessionName
    .optional()
    .describe("into a session that survives the connection, made when there is none, and into it again after a loss"),
});

const output = z.object({
  host: z.string(),
  exit: z.number().int().optional().describe("of the shell; absent when it was left by ~."),
});

export const command = defineCommand({
  name: "ssh connect",
  summary: "Open a terminal on a target",
  description: `The login shell of the user there, in this terminal: keys, colours, full-screen programs and changes of the window's size all pass. It ends with the shell, whose exit code becomes ours.

At the beginning of a line ~. closes the connection, also one that hangs; ~~ sends a tilde, ~? lists these keys. EscapeChar and RemoteCommand of the ssh config are heeded.`,
  examples: [
    { line: "ami-node ssh connect user@host", says: "the login shell" },
    { line: "ami-node ssh connect web1 --become", says: "as root" },
    { line: "ami-node ssh connect web1 --run 'journalctl -f'", says: "one program" },
    {
      line: "ami-node ssh connect web1 --resume",
      says: "goes on where it was left; by tmux or screen where there is one",
    },
  ],
  input,
  args: { targetWord: true, values: { run: "LINE", resume: "NAME" }, alone: { resume: "main" } },
  output,
  effect: "change",
  shows: "events",
  interactive: true,
  targets: "settings",
  exits: { 130: "left by ~." },
  run: connect,
});

async function connect(
  wish: z.output<typeof input>,
  ctx: Context,
): Promise<{ output: z.output<typeof output>; exit: number }> {
  const seat = takeSeat(ctx);
  if (wish.resume !== undefined && wish.run !== undefined)
    throw new AmiError("usage.input", "--resume is for the shell of a session, and --run for one line: leave one out");
  const { name } = seat.target;
  const host = await ctx.hosts.open(seat.target, { signal: ctx.signal });
  const exit =
    wish.resume === undefined
      ? await sit(ctx, seat, host, wish.run === undefined ? undefined : shellLine(wish.run))
      : await sitInSession(ctx, seat, wish.resume, "if absent");
  if (exit === undefined) return { output: { host: name }, exit: exitCodes.interrupted };
  return { output: { host: name, exit: exitStatus(exit) }, exit: exitStatus(exit) };
}
