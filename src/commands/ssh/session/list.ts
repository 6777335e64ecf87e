/** ssh session list: the terminals that wait on targets. */
import { z } from "zod";
import { columns } from "../../../core/columns.ts";
import { type Context, defineCommand } from "../../../core/command.ts";
import { errorJson } from "../../../core/errors.ts";
import { fanout } from "../../../core/fanout.ts";
import { findSessions } from "../../../core/jobs/session.ts";
import { errorSchema, exitOfMany } from "../../../core/report.ts";
import { visible } from "../../../core/visible.ts";

const output = z.object({
  sessions: z.array(
    z.object({
      host: z.string(),
      name: z.string(),
      by: z.enum(["tmux", "screen", "job"]).describe("job: kept by ourselves"),
      attached: z.boolean().describe("always false for those kept by ourselves, where it is not known"),
      started: z.string().optional(),
    }),
  ),
  failed: z.array(z.object({ host: z.string(), error: errorSchema })).describe("hosts that could not be asked"),
});

export const command = defineCommand({
  name: "ssh session list",
  summary: "List the terminals that wait on targets",
  description: "All of tmux and screen of the user there, whoever made them, and those kept by ourselves.",
  examples: [{ line: "ami-node ssh session list web1", says: "on one host" }],
  input: z.strictObject({}),
  args: { targetWord: true },
  output,
  effect: "read",
  shows: "answer",
  targets: "settings",
  route: { method: "GET", path: "/api/ssh/sessions" },
  run,
  text({ sessions, failed }) {
    const rows = sessions.map(({ name, host, by, attached, started }) => [
      visible(name),
      host,
      by,
      attached ? "attached" : by === "job" ? "" : "detached",
      started?.replace("T", " ").replace(/\.\d+Z$/, "") ?? "",
    ]);
    const head = ["name", "host", "by", "state", "started (UTC)"];
    const lines = rows.length > 0 ? [columns([head, ...rows])] : failed.length > 0 ? [] : ["there are no sessions"];
    return [...lines, ...failed.map(({ host, error }) => `${host}: ${error.message}`)].join("\n");
  },
});

async function run(_input: object, ctx: Context): Promise<{ output: z.output<typeof output>; exit: number }> {
  const { targets, options, signal } = ctx;
  const fans = await fanout(
    targets,
    { parallel: options.parallel, timeout: options.timeout, signal },
    async (target, own) => findSessions(await ctx.hosts.open(target, { signal: own }), own),
  );
  const [only] = fans;
  if (fans.length === 1 && only !== undefined && only.state !== "done") throw only.error;
  const sessions = fans.flatMap((fan) =>
    fan.state !== "done"
      ? []
      : fan.value.all.map(({ name, by, attached, started }) => ({
          host: fan.target.name,
          name,
          by,
          attached,
          ...(started === undefined ? {} : { started: new Date(started).toISOString() }),
        })),
  );
  const failed = fans.flatMap((fan) =>
    fan.state === "done" ? [] : [{ host: fan.target.name, error: errorJson(fan.error) }],
  );
  return {
    output: { sessions, failed },
    exit: exitOfMany(fans.map((fan) => (fan.state === "done" ? "ok" : fan.error))),
  };
}
