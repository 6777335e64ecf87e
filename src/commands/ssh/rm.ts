/** ssh rm: deletes files and folders of hosts. */
import { posix } from "node:path";
import { z } from "zod";
import { type Context, defineCommand } from "../../core/command.ts";
import { AmiError } from "../../core/errors.ts";
import { errorSchema } from "../../core/report.ts";
import { type Site, actOn } from "../../core/ssh/verbs/act-on.ts";
import { expand, nothingThere, readPlaces } from "../../core/ssh/verbs/places.ts";
import { removeTree } from "../../core/ssh/verbs/tree.ts";
import { type Found, type Verbs, absolute } from "../../core/ssh/verbs/verbs.ts";

const input = z.strictObject({
  paths: z.array(z.string()).default([]).describe("what is to go: HOST:PATH"),
  recursive: z.boolean().default(false).describe("folders too, with all that is in them"),
  force: z.boolean().default(false).describe("do not ask, and take what is not there for deleted"),
});

const output = z.object({
  hosts: z.array(
    z.object({
      host: z.string(),
      deleted: z.array(z.string()).optional(),
      ms: z.number(),
      error: errorSchema.optional(),
    }),
  ),
});

export const command = defineCommand({
  name: "ssh rm",
  summary: "Delete files and folders of hosts",
  description: `It asks first; --yes or --force answers. A link is deleted, never what it leads to. Nothing of a host is deleted when something that was named is not there, or is a folder and --recursive is missing. The root folder, the home folder, what that is in, and what ends in . or .. are refused.`,
  examples: [
    { line: "ami-node ssh rm web1:/tmp/dump.sql", says: "a file, after a question" },
    { line: "ami-node ssh rm -r -f 'web*:/srv/app/releases/old'", says: "a folder of many hosts, without one" },
    { line: "ami-node ssh rm --yes 'web1:/tmp/*.log'", says: "what matches there" },
  ],
  input,
  args: { positional: ["paths"], short: { recursive: "r", force: "f" }, values: { paths: "HOST:PATH" } },
  output,
  effect: "destroy",
  programs: "own",
  shows: "events",
  targets: "words",
  exits: { 3: "several hosts, and at least one failed", 4: "no host could be reached" },
  run: rm,
});

type Wish = z.output<typeof input>;

async function rm(wish: Wish, ctx: Context) {
  const places = await readPlaces(wish.paths, ctx.resolve);
  const title = `rm ${wish.paths.join(" ")}`;
  const hosts = places.length > 1 ? ` on ${places.length} hosts` : "";
  const how = wish.recursive ? ", folders with all that is in them" : "";
  if (!wish.force) await ctx.confirm(`delete ${wish.paths.join(" ")}${hosts}${how}?`);
  return actOn(places, ctx, title, (site) => removeAll(site, wish));
}

async function removeAll(site: Site, wish: Wish): Promise<{ deleted: string[] }> {
  const found: Found[] = [];
  for (const path of site.paths) found.push(...(await doomed(site, path, wish)));
  const deleted: string[] = [];
  for (const one of found) {
    if (one.type === "folder") await removeTree(site, one);
    else await site.verbs.remove(one);
    deleted.push(one.path);
    site.note(`deleted ${one.path}`);
  }
  return { deleted };
}

async function doomed({ verbs, target }: Site, word: string, wish: Wish): Promise<Found[]> {
  const path = absolute(verbs, word);
  if (path === verbs.home || path === verbs.start) throw refused(path, target.name, "it is the home folder");
  if (/(?:^|\/)\.{1,2}\/*$/.test(word)) throw refused(path, target.name, "it ends in . or ..");
  const found = await expand(verbs, word);
  if (found.length === 0 && !wish.force) throw nothingThere(target, path);
  for (const one of found) {
    if (one.path === "/") throw refused("/", target.name, "it is all there is");
    if (one.type === "folder" && isAbove(one.path, verbs))
      throw refused(one.path, target.name, "the home folder is in it");
    if (one.type !== "folder" || wish.recursive) continue;
    throw new AmiError("host.file", `${one.path}: it is a folder`, {
      host: target.name,
      hint: "to delete it with all that is in it: --recursive",
    });
  }
  return found;
}

/** Patterns and `..` lead there too. */
function isAbove(path: string, { home, start }: Verbs): boolean {
  return [home, start].some((one) => `${one}/`.startsWith(`${posix.normalize(path)}/`));
}

function refused(path: string, host: string, why: string): AmiError {
  return new AmiError("usage.input", `${path} is not deleted: ${why}`, {
    host,
    hint: "if you mean it, run rm there: ami-node ssh execute",
  });
}
