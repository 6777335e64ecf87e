/** ssh chmod: changes permissions on hosts. */
import { z } from "zod";
import { type Context, defineCommand } from "../../core/command.ts";
import { errorSchema } from "../../core/report.ts";
import { type Site, actOn } from "../../core/ssh/verbs/act-on.ts";
import { type ModeChange, parseMode } from "../../core/ssh/verbs/mode.ts";
import { expandAll, nothingThere, readPlaces } from "../../core/ssh/verbs/places.ts";
import { chmodTree } from "../../core/ssh/verbs/tree.ts";

const input = z.strictObject({
  mode: z
    .string()
    .refine((text) => parseMode(text) !== undefined, "is no mode, as in 0644 or u+x,go-w")
    .describe("0644, or what changes: u+x,go-w. Without u, g or o it is for all, whatever the umask"),
  paths: z.array(z.string()).default([]).describe("what it is for: HOST:PATH"),
  recursive: z.boolean().default(false).describe("all that is in folders too; links are left alone"),
});

const output = z.object({
  hosts: z.array(
    z.object({
      host: z.string(),
      changed: z.array(z.string()).optional().describe("what had other permissions; with --recursive what was named"),
      ms: z.number(),
      error: errorSchema.optional(),
    }),
  ),
});

export const command = defineCommand({
  name: "ssh chmod",
  summary: "Change permissions on hosts",
  examples: [
    { line: "ami-node ssh chmod 0600 web1:.ssh/authorized_keys", says: "exactly these" },
    { line: "ami-node ssh chmod u+x,go-w 'web*:bin/*'", says: "what changes" },
    { line: "ami-node ssh chmod -R a+rX web1:/srv/www", says: "x for folders only, and what is executable already" },
  ],
  input,
  args: { positional: ["mode", "paths"], short: { recursive: "R" }, values: { mode: "MODE", paths: "HOST:PATH" } },
  output,
  effect: "change",
  programs: "own",
  shows: "events",
  targets: "words",
  exits: { 3: "several hosts, and at least one failed", 4: "no host could be reached" },
  run: chmod,
});

type Wish = z.output<typeof input>;

async function chmod(wish: Wish, ctx: Context) {
  const places = await readPlaces(wish.paths, ctx.resolve);
  const change = parseMode(wish.mode) ?? ((mode) => mode);
  return actOn(places, ctx, `chmod ${wish.mode} ${wish.paths.join(" ")}`, (site) => changeAll(site, wish, change));
}

async function changeAll(site: Site, wish: Wish, change: ModeChange): Promise<{ changed: string[] }> {
  const { verbs, target } = site;
  const changed: string[] = [];
  for (const named of await expandAll(verbs, target, site.paths)) {
    const { path } = named;
    // The one that was named is followed.
    const found = named.type === "symlink" ? await verbs.follow(path) : named;
    if (found === undefined) throw nothingThere(target, path);
    const isFolder = found.type === "folder";
    const mode = change(found.mode, isFolder);
    if (wish.recursive && isFolder) {
      await chmodTree(site, { ...found, path }, wish.mode, change);
      site.note(`${wish.mode} for all below ${path}`);
    } else if (mode === found.mode) {
      site.note(`${path} has ${octal(mode)} already`);
      continue;
    } else {
      await verbs.chmod(path, mode);
      site.note(`${path}: ${octal(found.mode)} -> ${octal(mode)}`);
    }
    changed.push(path);
  }
  return { changed };
}

function octal(mode: number): string {
  return mode.toString(8).padStart(4, "0");
}
