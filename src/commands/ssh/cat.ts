/** ssh cat: what is in files of hosts, byte for byte. */
import { Readable } from "node:stream";
import { z } from "zod";
import { type Context, defineCommand } from "../../core/command.ts";
import { AmiError, asAmiError } from "../../core/errors.ts";
import { emitOutput } from "../../core/output.ts";
import { errorSchema } from "../../core/report.ts";
import { type Site, actOn } from "../../core/ssh/verbs/act-on.ts";
import { expandAll, readPlaces } from "../../core/ssh/verbs/places.ts";

const input = z.strictObject({
  paths: z.array(z.string()).default([]).describe("files, in the order they are to come: HOST:PATH"),
});

const output = z.object({
  hosts: z.array(
    z.object({
      host: z.string(),
      files: z.array(z.object({ path: z.string(), bytes: z.number() })).optional(),
      ms: z.number(),
      error: errorSchema.optional(),
    }),
  ),
});

export const command = defineCommand({
  name: "ssh cat",
  summary: "Print files of hosts",
  description: `What is in them comes byte for byte, one file after the other; of several hosts each line is prefixed by its host. A file that is not there is found before anything is printed.`,
  examples: [
    { line: "ami-node ssh cat web1:/etc/hostname", says: "one file" },
    { line: "ami-node ssh cat 'web1:/var/log/app/*.gz' | zcat", says: "several, as they are" },
    { line: "ami-node ssh cat 'web*:/etc/os-release'", says: "of many hosts" },
  ],
  input,
  args: { positional: ["paths"], values: { paths: "HOST:PATH" } },
  output,
  effect: "read",
  shows: "events",
  targets: "words",
  exits: { 3: "several hosts, and at least one failed", 4: "no host could be reached" },
  run: cat,
});

async function cat({ paths }: z.output<typeof input>, ctx: Context) {
  const places = await readPlaces(paths, ctx.resolve);
  return actOn(places, ctx, `cat ${paths.join(" ")}`, (site) => printAll(site, ctx));
}

async function printAll(site: Site, ctx: Context): Promise<{ files: { path: string; bytes: number }[] }> {
  const { target, host, verbs, paths, signal } = site;
  const found = await expandAll(verbs, target, paths);
  for (const { path, type } of found) {
    const end = type === "symlink" ? await verbs.follow(path) : undefined;
    if (type === "folder" || end?.type === "folder") {
      throw new AmiError("host.file", `${path}: it is a folder`, {
        host: target.name,
        hint: `look into it with: ami-node ssh ls ${target.name}:${path}`,
      });
    }
  }
  const files: { path: string; bytes: number }[] = [];
  for (const { path } of found) {
    const source = await host.get(path, { signal });
    let broken: unknown;
    source.once("error", (error) => (broken = error));
    let bytes = 0;
    const counted = async function* (): AsyncGenerator<Buffer> {
      for await (const chunk of source as AsyncIterable<Buffer>) {
        bytes += chunk.length;
        yield chunk;
      }
    };
    const streams = { stdout: Readable.from(counted(), { objectMode: false }), stderr: Readable.from([]) };
    await emitOutput(streams, {
      host: target.name,
      emit: (event) => ctx.events.emit(event),
      caughtUp: () => ctx.caughtUp?.() ?? Promise.resolve(),
    });
    if (broken !== undefined) throw asAmiError(broken);
    files.push({ path, bytes });
  }
  return { files };
}
