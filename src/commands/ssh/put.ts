/** ssh put: copies a file of this machine to every target. */
import { createReadStream } from "node:fs";
import { stat } from "node:fs/promises";
import { basename } from "node:path";
import { z } from "zod";
import { act } from "../../core/act.ts";
import { formatBytes } from "../../core/bytes.ts";
import { type Context, defineCommand } from "../../core/command.ts";
import { formatDuration } from "../../core/duration.ts";
import { AmiError, errorJson } from "../../core/errors.ts";
import type { PutOptions } from "../../core/host.ts";
import { lookAt } from "../../core/place.ts";
import { createProgress } from "../../core/progress.ts";
import { errorSchema } from "../../core/report.ts";
import type { Target } from "../../core/targets.ts";
import { whyUnreadable } from "../../core/unreadable.ts";

const input = z.strictObject({
  local: z.string().min(1).describe("the file of this machine"),
  remote: z
    .string()
    .min(1)
    .default(".")
    .describe("where it goes; a directory keeps the name, without it the home directory"),
  mode: z
    .string()
    .regex(/^[0-7]{3,4}$/, "is no mode, as in 0644")
    .optional()
    .describe(
      "permissions, as in 0644; else an existing file keeps its own and a new one gets those of the local file",
    ),
  owner: z
    .string()
    .regex(/^[^:\s]+(:[^:\s]+)?$/, "is no owner, as in app or app:www")
    .optional()
    .describe("user, or user:group, it is to belong to; for that --become is needed"),
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
  name: "ssh put",
  summary: "Copy a file to every target",
  description: `The file appears whole or not at all: it is written beside its place and renamed, so that an interrupted copy leaves the old one and nobody reads half of the new. A link at that place is replaced by the file, not followed.`,
  examples: [
    { line: "ami-node ssh put ./app.tar /srv/app.tar --target web1", says: "to one host" },
    { line: "ami-node ssh put motd /etc/motd --target 'web*' --become --mode 0644", says: "to many, as root" },
    {
      line: "ami-node ssh put app.conf /etc/app/ --target web1 --become --owner app:app",
      says: "into a directory, for another user",
    },
  ],
  input,
  args: {
    positional: ["local", "remote"],
    values: { local: "FILE", remote: "REMOTE", mode: "MODE", owner: "USER[:GROUP]" },
  },
  output,
  effect: "change",
  programs: "own",
  shows: "events",
  targets: "settings",
  exits: { 3: "several targets, and at least one failed", 4: "no target could be reached" },
  run: put,
});

async function put(
  wish: z.output<typeof input>,
  ctx: Context,
): Promise<{ output: z.output<typeof output>; exit: number }> {
  const file = await readable(wish.local);
  const [owner, group] = wish.owner?.split(":") ?? [];
  const { fans, exit } = await act(ctx, { title: `put ${wish.local} ${wish.remote}`, work });
  const hosts = fans.map((fan) => ({
    host: fan.target.name,
    ms: fan.ms,
    ...(fan.state === "done" ? { path: fan.value, bytes: file.size } : { error: errorJson(fan.error) }),
  }));
  return { output: { hosts }, exit };

  async function work(target: Target, signal: AbortSignal): Promise<string> {
    const started = performance.now();
    const host = await ctx.hosts.open(target, { signal });
    const place = await lookAt(host, wish.remote, { name: basename(wish.local), signal });
    // A device would be replaced by a file; a directory here is one of the file's name inside the one that was named.
    if (place.type === "other" || place.type === "directory") {
      const what = place.type === "other" ? "it is not a plain file" : "there is a directory of that name";
      throw new AmiError("host.file", `${place.path}: ${what}`, { host: target.name, hint: "name another place" });
    }
    const mode =
      wish.mode === undefined ? (place.type === "absent" ? file.mode : undefined) : Number.parseInt(wish.mode, 8);
    const onProgress = createProgress(ctx.events, { host: target.name, title: place.path, total: file.size });
    const options: PutOptions = { mode, owner, group, signal, onProgress };
    await host.put(createReadStream(wish.local), place.path, options);
    const text = `${wish.local} -> ${place.path} (${formatBytes(file.size)} in ${formatDuration(performance.now() - started)})`;
    ctx.events.emit({ kind: "note", host: target.name, level: "info", text });
    return place.path;
  }
}

/** Size and permission bits. Throws `usage.input` for what is no file that can be read. */
async function readable(path: string): Promise<{ size: number; mode: number }> {
  const found = await stat(path).catch((error: unknown) => {
    throw new AmiError("usage.input", `${path} cannot be read: ${whyUnreadable(error)}`, { cause: error });
  });
  if (found.isDirectory()) {
    throw new AmiError("usage.input", `${path} is a directory; put copies single files`, {
      hint: `pack it on the way: tar cf - ${path} | ami-node ssh execute --stdin 'tar xf - -C DIR'`,
    });
  }
  if (!found.isFile()) throw new AmiError("usage.input", `${path} is not a plain file`);
  return { size: found.size, mode: found.mode & 0o777 };
}
