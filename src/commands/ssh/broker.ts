/** ssh broker: keeps logged-in connections open for the commands that follow. */
import { z } from "zod";
import { type Context, defineCommand } from "../../core/command.ts";
import { formatDuration, parseDuration } from "../../core/duration.ts";
import { AmiError, exitCodes } from "../../core/errors.ts";

const input = z.strictObject({
  persist: z
    .string()
    .refine((text) => (parseDuration(text) ?? 0) > 0, "is not a time like 30s or 10m")
    .optional()
    .describe("how long a connection stays open unused; else the setting ssh.persist says, else 10m"),
});

const output = z.object({
  folder: z.string().describe("where it listened; nobody else can get in there"),
  end: z.enum(["idle", "told", "replaced", "interrupted"]),
});

export const command = defineCommand({
  name: "ssh broker",
  summary: "Keep connections open for the commands that follow",
  description: `While it runs, ssh execute takes the connections that it holds, as ssh does with ControlPersist: no handshake, no login. It need not be started by hand: with the setting ssh.persist the first ssh execute starts it in the background.

It ends when nothing was used for that long. See ssh list and ssh close.`,
  examples: [{ line: "ami-node ssh broker --persist 1h", says: "in the foreground, to see it" }],
  input,
  args: { values: { persist: "TIME" } },
  output,
  effect: "change",
  shows: "events",
  targets: "none",
  exits: { 130: "ended by Ctrl-C" },
  run: broker,
});

async function broker(
  wish: z.output<typeof input>,
  ctx: Context,
): Promise<{ output: z.output<typeof output>; exit?: number }> {
  const [{ brokerPlace }, { askBroker }, { serveBroker }, { version }] = await Promise.all([
    import("../../core/broker/place.ts"),
    import("../../core/broker/ask.ts"),
    import("../../core/broker/serve.ts"),
    import("../../core/version.ts"),
  ]);
  if (process.platform === "win32" || ctx.answering === undefined) {
    throw new AmiError("host.unsupported", "there is no broker on Windows", {
      hint: "every command works without it, with a connection of its own",
    });
  }
  const place = brokerPlace(process.env);
  const other = await askBroker(place, { wish: "list" }).catch(() => undefined);
  if (other !== undefined) {
    throw new AmiError("run.refused", `a broker runs already, as process ${other.pid}`, {
      hint: "end it with: ami-node ssh close --all",
    });
  }
  const setting = ctx.settings.get("ssh.persist");
  const persist = parseDuration(wish.persist ?? (typeof setting === "string" ? setting : "10m")) ?? 600_000;
  const end = await serveBroker({
    place,
    version,
    answering: await ctx.answering(),
    persist,
    signal: ctx.signal,
    onReady() {
      const text = `connections stay open for ${formatDuration(persist)}; ${place.folder}`;
      ctx.events.emit({ kind: "note", level: "info", text });
    },
  });
  return { output: { folder: place.folder, end }, ...(end === "interrupted" ? { exit: exitCodes.interrupted } : {}) };
}
