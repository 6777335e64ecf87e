/** system info: what a machine is and has. */
import { z } from "zod";
import { type Context, defineCommand } from "../../core/command.ts";
import { AmiError, type ErrorJson, errorJson } from "../../core/errors.ts";
import { type Fan, fanout } from "../../core/fanout.ts";
import { exitStatus } from "../../core/host.ts";
import { errorSchema, exitOfMany } from "../../core/report.ts";
import type { Target } from "../../core/targets.ts";
import { card } from "../../platform/card.ts";
import { type SystemInfo, infoProgram, readInfo, systemInfo } from "../../platform/info.ts";
import { infoArgv, readWindowsInfo } from "../../platform/windows/info.ts";

const one = z.object({ host: z.string(), ...systemInfo.shape });
const failed = z.object({ host: z.string(), error: errorSchema });
const output = z.union([one, z.array(z.union([one, failed]))]);

export const command = defineCommand({
  name: "system info",
  summary: "Say what a machine is and has",
  description: `Operating system, processors, memory, disks, network, package and service manager, users, uptime and tools, asked in one round trip. What a machine cannot tell is left out.

With --json one target gives one object, several give a list in their order; sizes are bytes and times are seconds.`,
  examples: [
    { line: "ami-node system info", says: "this machine" },
    { line: "ami-node system info --target web1,web2", says: "two hosts" },
    { line: "ami-node system info --target web1 --json | jq .memory.total", says: "one figure" },
  ],
  input: z.strictObject({}),
  args: {},
  output,
  effect: "read",
  shows: "answer",
  targets: "local",
  route: { method: "GET", path: "/api/system/info" },
  run: info,
  text: (answer, look) =>
    [answer]
      .flat()
      .map((host) => card(host, look.columns))
      .join("\n"),
});

async function info(_input: object, ctx: Context): Promise<{ output: z.output<typeof output>; exit: number }> {
  const { targets, options, signal } = ctx;
  const fans = await fanout(targets, { parallel: options.parallel, timeout: options.timeout, signal }, (target, own) =>
    ask(target, ctx, own),
  );
  const exit = exitOfMany(fans.map((fan) => (fan.state === "done" ? "ok" : fan.error)));
  const [first] = fans;
  if (fans.length === 1 && first !== undefined) {
    if (first.state !== "done") throw first.error;
    return { output: { host: first.target.name, ...first.value }, exit };
  }
  return { output: fans.map(entryOf), exit };
}

async function ask(target: Target, ctx: Context, signal: AbortSignal): Promise<SystemInfo> {
  const host = await ctx.hosts.open(target, { signal });
  if (host.family === "windows")
    return readWindowsInfo((await host.exec(infoArgv, { signal })).stdout.toString("utf8"));
  const { exit, stdout, stderr } = await host.exec(["sh", "-s"], { stdin: infoProgram, signal, onlyLooks: true });
  try {
    return readInfo(stdout.toString("utf8"));
  } catch (error) {
    const said = stderr.toString("utf8").trim().split("\n")[0] ?? "";
    throw new AmiError(
      "host.unsupported",
      `sh ended with ${exitStatus(exit)} before it had answered${said === "" ? "" : `: ${said}`}`,
      {
        host: host.name,
        hint: "the machine needs a POSIX shell named sh",
        cause: error,
      },
    );
  }
}

function entryOf(fan: Fan<Target, SystemInfo>): ({ host: string } & SystemInfo) | { host: string; error: ErrorJson } {
  const host = fan.target.name;
  return fan.state === "done" ? { host, ...fan.value } : { host, error: errorJson(fan.error) };
}
