/** ssh health forget: removes what is remembered of hosts. */
import { z } from "zod";
import { type Context, defineCommand } from "../../../core/command.ts";

const input = z.strictObject({});
const output = z.array(z.object({ host: z.string(), forgotten: z.number().int().describe("minutes and hours") }));

export const command = defineCommand({
  name: "ssh health forget",
  summary: "Forget what is remembered of hosts",
  description: `Removes what ssh health remembers of the targets on this machine. Contacts nothing.`,
  examples: [
    { line: "ami-node ssh health forget web1", says: "one host" },
    { line: "ami-node ssh health forget --target 'web*' --yes", says: "several, without a question" },
  ],
  input,
  args: { targetWord: true },
  output,
  effect: "destroy",
  programs: "own",
  shows: "answer",
  targets: "settings",
  run,
  text: (hosts) =>
    hosts
      .map(({ host, forgotten }) => `${host}: ${forgotten === 0 ? "nothing was remembered" : "forgotten"}`)
      .join("\n"),
});

async function run(_wish: z.output<typeof input>, ctx: Context): Promise<{ output: z.output<typeof output> }> {
  const { openMemory, placeOf } = await import("../../../core/health/memory.ts");
  const names = ctx.targets.map(({ name }) => name);
  await ctx.confirm(`forget what is remembered of ${names.length > 3 ? `${names.length} hosts` : names.join(", ")}?`);
  const history = await openMemory(ctx.events);
  try {
    return { output: ctx.targets.map((target) => ({ host: target.name, forgotten: history.forget(placeOf(target)) })) };
  } finally {
    history.close();
  }
}
