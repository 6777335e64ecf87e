/** ssh get: copies a file of every target to this machine. */
import { basename } from "node:path";
import { z } from "zod";
import { act } from "../../core/act.ts";
import { formatBytes } from "../../core/bytes.ts";
import { type Context, defineCommand } from "../../core/command.ts";
import { formatDuration } from "../../core/duration.ts";
import { AmiError, errorJson } from "../../core/errors.ts";
import { receive, destinations } from "../../core/download.ts";
import { lookAt } from "../../core/place.ts";
import { createProgress } from "../../core/progress.ts";
import { errorSchema } from "../../core/report.ts";
import type { Target } from "../../core/targets.ts";

const input = z.strictObject({
  remote: z.string().min(1).describe("the file of the target"),
  local: z
    .string()
    .min(1)
    .default(".")
    .describe("where it goes; a directory keeps the name, and several targets get a directory each in it"),
});

const output = z.object({
  hosts: z.array(
    z.object({
      host: z.string(),
      path: z.string().optional(),
      bytes: z.number().optional(),
      ms: z.number(),
      error: errorSchema.optional(),
    }),
  ),
});

export const command = defineCommand({
  name: "ssh get",
  summary: "Copy a file of every target here",
  description: `The file appears whole or not at all: an existing one is replaced only when the new one is complete. A new file gets the permissions it has on the target.

From several targets it goes to LOCAL/HOST/NAME.`,
  examples: [
    { line: "ami-node ssh get /var/log/syslog --target web1", says: "into this folder" },
    { line: "ami-node ssh get /etc/hosts hosts.web1 --target web1", says: "under another name" },
    {
      line: "ami-node ssh get /etc/nginx/nginx.conf conf/ --target 'web*'",
      says: "of many: conf/web1/nginx.conf, conf/web2/nginx.conf",
    },
  ],
  input,
  args: { positional: ["remote", "local"], values: { remote: "REMOTE", local: "LOCAL" } },
  output,
  effect: "read",
  shows: "events",
  targets: "settings",
  exits: { 3: "several targets, and at least one failed", 4: "no target could be reached" },
  run: get,
});

async function get(
  wish: z.output<typeof input>,
  ctx: Context,
): Promise<{ output: z.output<typeof output>; exit: number }> {
  const name = basename(wish.remote);
  if (wish.remote.endsWith("/") || name === "." || name === "..") {
    throw new AmiError("usage.input", `${wish.remote} names a directory; get copies single files`, {
      hint: `unpack it on the way: ami-node ssh execute 'tar cf - ${wish.remote}' --target HOST | tar xf -`,
    });
  }
  const places = await destinations(
    wish.local,
    name,
    ctx.targets.map((target) => target.name),
  );
  const { fans, exit } = await act(ctx, { title: `get ${wish.remote}`, work });
  const hosts = fans.map((fan) => ({
    host: fan.target.name,
    ms: fan.ms,
    ...(fan.state === "done" ? fan.value : { error: errorJson(fan.error) }),
  }));
  return { output: { hosts }, exit };

  async function work(target: Target, signal: AbortSignal): Promise<{ path: string; bytes: number }> {
    const started = performance.now();
    const path = places.get(target.name) ?? name;
    const host = await ctx.hosts.open(target, { signal });
    const place = await lookAt(host, wish.remote, { signal });
    if (place.type !== "file") {
      const what = { absent: "there is no such file", directory: "it is a directory", other: "it is not a plain file" }[
        place.type
      ];
      throw new AmiError("host.file", `${place.path}: ${what}`, { host: target.name });
    }
    const onProgress = createProgress(ctx.events, { host: target.name, title: place.path, total: place.size });
    const bytes = await receive(await host.get(place.path, { signal }), path, { mode: place.mode, onProgress, signal });
    const text = `${place.path} -> ${path} (${formatBytes(bytes)} in ${formatDuration(performance.now() - started)})`;
    ctx.events.emit({ kind: "note", host: target.name, level: "info", text });
    return { path, bytes };
  }
}
