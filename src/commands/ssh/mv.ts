/** ssh mv: renames and moves files and folders within a host. */
import { z } from "zod";
import { type Context, defineCommand } from "../../core/command.ts";
import { AmiError } from "../../core/errors.ts";
import { errorSchema } from "../../core/report.ts";
import { type Site, actOn, at } from "../../core/ssh/verbs/act-on.ts";
import { type Place, expandAll, readPlaces } from "../../core/ssh/verbs/places.ts";
import { absolute, below } from "../../core/ssh/verbs/verbs.ts";

const input = z.strictObject({
  paths: z.array(z.string()).default([]).describe("what is to move, then where to: HOST:PATH of the same host"),
  noClobber: z.boolean().default(false).describe("fail where something has the new name already"),
  force: z.boolean().default(false).describe("replace a file that has the new name without asking"),
});

const moved = z.object({ from: z.string(), to: z.string(), replaced: z.boolean() });

const output = z.object({
  hosts: z.array(
    z.object({
      host: z.string(),
      moved: z.array(moved).optional(),
      ms: z.number(),
      error: errorSchema.optional(),
    }),
  ),
});

export const command = defineCommand({
  name: "ssh mv",
  summary: "Rename and move files and folders within a host",
  description: `Into a folder that is there things move under their own name. A file is replaced in one step, after a question; a folder never is. Between hosts things are copied: ssh transfer.`,
  examples: [
    { line: "ami-node ssh mv web1:/srv/app.new web1:/srv/app", says: "another name" },
    { line: "ami-node ssh mv 'web*:/var/log/*.1' 'web*:/var/old'", says: "into a folder, on many hosts" },
    { line: "ami-node ssh mv -n web1:a.txt web1:b.txt", says: "never onto something" },
  ],
  input,
  args: { positional: ["paths"], short: { noClobber: "n", force: "f" }, values: { paths: "HOST:PATH" } },
  output,
  effect: "destroy",
  programs: "own",
  shows: "events",
  targets: "words",
  exits: { 3: "several hosts, and at least one failed", 4: "no host could be reached" },
  run: mv,
});

type Wish = z.output<typeof input>;
type Moved = z.output<typeof moved>;

async function mv(wish: Wish, ctx: Context) {
  const [to, ...from] = [wish.paths.at(-1), ...wish.paths.slice(0, -1)];
  if (to === undefined || from.length === 0) {
    throw new AmiError("usage.input", "a source and a destination are needed", {
      hint: "as in: ami-node ssh mv web1:/srv/a web1:/srv/b",
    });
  }
  const places = await readPlaces(from, ctx.resolve);
  const destinations = await readPlaces([to], ctx.resolve);
  const destination = destinations[0]?.paths[0] ?? "";
  const namesOf = (all: readonly Place[]): string => JSON.stringify(all.map(({ target }) => target.name).toSorted());
  if (namesOf(places) !== namesOf(destinations)) {
    throw new AmiError("usage.input", "mv stays within a host, and these are different ones", {
      hint: "copy it: ami-node ssh transfer",
    });
  }
  const plans = new Map<string, readonly Moved[]>();
  if (!wish.force && !wish.noClobber) {
    // What would be replaced is known before anything moves, and asked about once.
    const victims: string[] = [];
    for (const { target, paths } of places) {
      const plan = await at(target, paths, ctx, ctx.signal, (site) => planMoves(site, destination, wish));
      plans.set(target.name, plan);
      victims.push(...plan.filter(({ replaced }) => replaced).map((each) => `${target.name}:${each.to}`));
    }
    if (victims.length > 0) await ctx.confirm(`replace ${victims.join(", ")}?`);
  }
  return actOn(places, ctx, `mv ${wish.paths.join(" ")}`, async (site) => {
    const plan = plans.get(site.target.name) ?? (await planMoves(site, destination, wish));
    for (const { from: source, to: place, replaced } of plan) {
      await site.verbs.move(source, place, { replace: replaced });
      site.note(`${source} -> ${place}${replaced ? " (replaced)" : ""}`);
    }
    return { moved: plan.map((each) => ({ ...each })) };
  });
}

async function planMoves({ verbs, target, paths }: Site, destination: string, wish: Wish): Promise<Moved[]> {
  const found = await expandAll(verbs, target, paths);
  const place = absolute(verbs, destination);
  const isFolder = (await verbs.follow(place))?.type === "folder";
  const fail = (path: string, why: string, hint?: string): AmiError =>
    new AmiError("host.file", `${path}: ${why}`, { host: target.name, hint });
  if (!isFolder && (found.length > 1 || destination.endsWith("/")))
    throw fail(place, "it is no folder that things could move into", "make it: ami-node ssh mkdir");
  const taken = new Set<string>();
  const plan: Moved[] = [];
  for (const { path, name, type } of found) {
    const to = isFolder ? below(place, name) : place;
    if (path === "/" || to === path || to.startsWith(`${path}/`)) throw fail(path, `it cannot move to ${to}`);
    const there = await verbs.look(to);
    if (there?.type === "folder") throw fail(to, "there is a folder of that name");
    if (there !== undefined && type === "folder") throw fail(to, "there is something of that name, and no folder");
    if (there !== undefined && wish.noClobber) throw fail(to, "there is something of that name");
    if (taken.has(to)) throw fail(to, "two things would get this name");
    taken.add(to);
    plan.push({ from: path, to, replaced: there !== undefined });
  }
  return plan;
}
