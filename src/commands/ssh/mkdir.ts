/** ssh mkdir: makes folders on hosts. */
import { z } from "zod";
import { type Context, defineCommand } from "../../core/command.ts";
import { AmiError } from "../../core/errors.ts";
import { errorSchema } from "../../core/report.ts";
import { type Site, actOn } from "../../core/ssh/verbs/act-on.ts";
import { readPlaces } from "../../core/ssh/verbs/places.ts";
import { absolute } from "../../core/ssh/verbs/verbs.ts";

const input = z.strictObject({
  paths: z.array(z.string()).default([]).describe("folders to make: HOST:PATH"),
  parents: z.boolean().default(false).describe("those they are in too, and be content with what is there already"),
  mode: z
    .string()
    .regex(/^[0-7]{3,4}$/, "is no mode, as in 0750")
    .optional()
    .describe("permissions of the folders that were named, as in 0750; else as the umask there has it"),
});

const output = z.object({
  hosts: z.array(
    z.object({
      host: z.string(),
      made: z.array(z.string()).optional(),
      ms: z.number(),
      error: errorSchema.optional(),
    }),
  ),
});

export const command = defineCommand({
  name: "ssh mkdir",
  summary: "Make folders on hosts",
  examples: [
    { line: "ami-node ssh mkdir web1:/srv/app", says: "one folder" },
    { line: "ami-node ssh mkdir -p --mode 0750 'web*:/srv/app/releases'", says: "on many hosts, with all above it" },
  ],
  input,
  args: {
    positional: ["paths"],
    short: { parents: "p", mode: "m" },
    values: { paths: "HOST:PATH", mode: "MODE" },
  },
  output,
  effect: "change",
  programs: "own",
  shows: "events",
  targets: "words",
  exits: { 3: "several hosts, and at least one failed", 4: "no host could be reached" },
  run: mkdir,
});

type Wish = z.output<typeof input>;

async function mkdir(wish: Wish, ctx: Context) {
  const places = await readPlaces(wish.paths, ctx.resolve);
  return actOn(places, ctx, `mkdir ${wish.paths.join(" ")}`, (site) => makeAll(site, wish));
}

async function makeAll(site: Site, wish: Wish): Promise<{ made: string[] }> {
  const made: string[] = [];
  const mode = wish.mode === undefined ? undefined : Number.parseInt(wish.mode, 8);
  for (const word of site.paths) {
    const path = absolute(site.verbs, word);
    const before = made.length;
    if (wish.parents) await makeWithParents(site, path, mode, made);
    else {
      if ((await site.verbs.look(path)) !== undefined) throw isThere(site, path);
      await site.verbs.makeFolder(path, mode);
      made.push(path);
    }
    for (const one of made.slice(before)) site.note(`made ${one}`);
    if (made.length === before) site.note(`${path} is there already`);
  }
  return { made };
}

async function makeWithParents(site: Site, path: string, mode: number | undefined, made: string[]): Promise<void> {
  const { verbs } = site;
  const there = await verbs.follow(path);
  if (there?.type === "folder") return;
  if (there !== undefined || path === "/") throw isThere(site, path);
  await makeWithParents(site, path.slice(0, path.lastIndexOf("/")) || "/", undefined, made);
  try {
    await verbs.makeFolder(path, mode);
  } catch (error) {
    // Somebody else made it meanwhile.
    if ((await verbs.follow(path))?.type === "folder") return;
    throw error;
  }
  made.push(path);
}

function isThere({ target }: Site, path: string): AmiError {
  return new AmiError("host.file", `${path}: there is something of that name already`, {
    host: target.name,
    hint: "a folder that may be there already: --parents",
  });
}
