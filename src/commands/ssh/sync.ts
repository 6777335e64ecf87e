/** ssh sync: keeps folders of hosts like one of this machine. */
import { homedir } from "node:os";
import { resolve } from "node:path";
import { z } from "zod";
import { act } from "../../core/act.ts";
import { type Context, defineCommand } from "../../core/command.ts";
import { AmiError, errorJson, exitCodes } from "../../core/errors.ts";
import { errorSchema } from "../../core/report.ts";
import { type Kept, keepLike } from "../../core/ssh/sync/keep.ts";
import { openNear } from "../../core/ssh/sync/near.ts";
import { createFilter } from "../../core/ssh/transfer/filter.ts";
import { readWord } from "../../core/ssh/transfer/words.ts";
import { readPlaces } from "../../core/ssh/verbs/places.ts";
import type { Target } from "../../core/targets.ts";

const input = z.strictObject({
  source: z.string().min(1).describe("a folder of this machine"),
  destination: z.string().min(1).describe("the folder that is to become like it: HOST:PATH; it is made"),
  once: z.boolean().default(false).describe("end when it is like it, and do not go on watching"),
  delete: z.boolean().default(false).describe("delete there what is not here; asks first"),
  include: z
    .array(z.string().min(1))
    .default([])
    .describe("take what matches, whatever --exclude says; alone: only that"),
  exclude: z.array(z.string().min(1)).default([]).describe("leave out what matches: .git, *.o, build/, src/**/tmp"),
});

const output = z.object({
  hosts: z.array(
    z.object({
      host: z.string(),
      path: z.string().optional(),
      rounds: z.number().optional().describe("how often something had to be brought there"),
      changed: z.number().optional(),
      deleted: z.number().optional(),
      bytes: z.number().optional().describe("in files, that travelled"),
      ms: z.number(),
      error: errorSchema.optional(),
    }),
  ),
});

export const command = defineCommand({
  name: "ssh sync",
  summary: "Keep folders of hosts like one of this machine",
  description: `What is in the source comes to be in the destination, and whatever changes here from then on follows, until Ctrl-C. Only what differs travels: at first, and of what others wrote while a connection was lost, size, time and mode tell what that is.

Each file is replaced in one step. Modes, times and symbolic links are kept. What is excluded is neither sent nor deleted, and an empty source deletes nothing.`,
  examples: [
    { line: "ami-node ssh sync site/ web1:/var/www --exclude .git", says: "while you work on it" },
    {
      line: "ami-node ssh sync . '@web:/srv/app' --delete --yes --exclude node_modules",
      says: "exactly like it, on a group",
    },
    { line: "ami-node ssh sync conf web1:/etc/app --once --become", says: "once, as root" },
  ],
  input,
  args: {
    positional: ["source", "destination"],
    values: { source: "FOLDER", destination: "HOST:PATH", include: "PATTERN", exclude: "PATTERN" },
  },
  output,
  effect: "change",
  programs: "own",
  shows: "events",
  interactive: true,
  targets: "words",
  exits: { 3: "several hosts, and at least one failed", 4: "no host could be reached", 130: "ended by Ctrl-C" },
  run: sync,
});

type Answer = z.output<typeof output>;

async function sync(wish: z.output<typeof input>, ctx: Context): Promise<{ output: Answer; exit: number }> {
  const word = readWord(wish.source);
  if (word.at === "there") {
    throw new AmiError("usage.input", `${wish.source}: what changes on another machine is not followed yet`, {
      hint: "copy it from there: ami-node ssh transfer HOST:DIR/. DIR --delete",
    });
  }
  const root = resolve(word.path.replace(/^~(?=\/|$)/, homedir()));
  const places = await readPlaces([wish.destination], ctx.resolve);
  const path = places[0]?.paths[0] || ".";
  const title = `sync ${wish.source} -> ${wish.destination}`;
  if (wish.delete) await ctx.confirm(`${title}: delete there what is not here?`);
  const filter = createFilter(wish);
  const warn = (text: string): void => ctx.events.emit({ kind: "note", level: "warn", text });
  const near = openNear(root, { filter, watch: !wish.once, warn });
  if (near.blind !== undefined) warn(`${near.blind}: all of ${root} is looked at every two seconds instead`);
  try {
    const work = (target: Target, signal: AbortSignal): Promise<Kept> => {
      const { events } = ctx;
      const open = () => ctx.hosts.open(target, { signal });
      return keepLike({ ...wish, near, path, filter, events, name: target.name, signal, open });
    };
    const targets = places.map(({ target }) => target);
    const { fans, exit } = await act({ ...ctx, targets }, { title, work });
    const hosts = fans.map((fan) => ({
      host: fan.target.name,
      ms: fan.ms,
      ...(fan.state === "done" ? fan.value : { error: errorJson(fan.error) }),
    }));
    return { output: { hosts }, exit: ctx.signal.aborted && exit === exitCodes.ok ? exitCodes.interrupted : exit };
  } finally {
    near.close();
  }
}
