/** ssh session kill: ends a terminal that waits, and what runs in it. */
import { z } from "zod";
import { act } from "../../../core/act.ts";
import { type Context, defineCommand } from "../../../core/command.ts";
import { errorJson } from "../../../core/errors.ts";
import { killSession, sessionName } from "../../../core/jobs/session.ts";
import { errorSchema } from "../../../core/report.ts";

const input = z.strictObject({ name: sessionName.default("main").describe("as ssh session list shows it") });

const output = z.object({ hosts: z.array(z.object({ host: z.string(), error: errorSchema.optional() })) });

export const command = defineCommand({
  name: "ssh session kill",
  summary: "End a terminal that waits, and what runs in it",
  description: "It asks first.",
  examples: [{ line: "ami-node ssh session kill web1 build", says: "one of them" }],
  input,
  args: { targetWord: true, positional: ["name"], values: { name: "NAME" } },
  output,
  effect: "destroy",
  programs: "own",
  shows: "events",
  targets: "settings",
  run,
});

async function run(
  { name }: z.output<typeof input>,
  ctx: Context,
): Promise<{ output: z.output<typeof output>; exit: number }> {
  await ctx.confirm(`end the session ${name} on ${ctx.targets.map((target) => target.name).join(", ")}?`);
  const { fans, exit } = await act(ctx, {
    title: `kill session ${name}`,
    async work(target, signal) {
      await killSession(await ctx.hosts.open(target, { signal }), name, signal);
      ctx.events.emit({ kind: "note", host: target.name, level: "info", text: `session ${name}: ended` });
    },
  });
  const hosts = fans.map((fan) => ({
    host: fan.target.name,
    ...(fan.state === "done" ? {} : { error: errorJson(fan.error) }),
  }));
  return { output: { hosts }, exit };
}
