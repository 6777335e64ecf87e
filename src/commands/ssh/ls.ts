/** ssh ls: lists folders of hosts. */
import { z } from "zod";
import { formatBytes } from "../../core/bytes.ts";
import { type Context, defineCommand } from "../../core/command.ts";
import { errorJson } from "../../core/errors.ts";
import { fanout } from "../../core/fanout.ts";
import { errorSchema, exitOfMany } from "../../core/report.ts";
import { type Site, at } from "../../core/ssh/verbs/act-on.ts";
import { modeLetters } from "../../core/ssh/verbs/mode.ts";
import { expandAll, readPlaces } from "../../core/ssh/verbs/places.ts";
import type { Found } from "../../core/ssh/verbs/verbs.ts";
import { visibleLine } from "../../core/visible.ts";

const input = z.strictObject({
  paths: z.array(z.string()).default([]).describe("what to list: HOST:PATH; HOST: is the home folder there"),
  long: z.boolean().default(false).describe("mode, owner, group, size and time too"),
  all: z.boolean().default(false).describe("names that begin with a dot too"),
  recursive: z.boolean().default(false).describe("the folders in a folder too, and what is in them"),
  directory: z.boolean().default(false).describe("a folder itself, not what is in it"),
  bytes: z.boolean().default(false).describe("sizes to the byte"),
  sort: z.enum(["name", "time", "size"]).default("name").describe("newest or largest first"),
});

const entry = z.object({
  name: z.string(),
  path: z.string(),
  type: z.enum(["file", "folder", "symlink", "pipe", "socket", "device"]),
  size: z.number().describe("bytes"),
  mode: z.string().describe("octal, as in 0644"),
  owner: z.string().describe("name, or number where the host tells no name"),
  group: z.string(),
  mtime: z.number().describe("seconds"),
  target: z.string().optional().describe("where a symlink leads"),
});

const list = z.object({
  folder: z.string().optional().describe("absent: things that were named themselves"),
  entries: z.array(entry),
});

const output = z.object({
  long: z.boolean(),
  bytes: z.boolean(),
  hosts: z.array(z.object({ host: z.string(), lists: z.array(list).optional(), error: errorSchema.optional() })),
});

export const command = defineCommand({
  name: "ssh ls",
  summary: "List folders of hosts",
  description: `Paths are written as for scp; patterns are looked up on the host. Names are shown so that they cannot harm a terminal: a newline in one is \\n.`,
  examples: [
    { line: "ami-node ssh ls web1:", says: "the home folder there" },
    { line: "ami-node ssh ls -l web1:/etc/nginx", says: "with modes, owners, sizes and times" },
    { line: "ami-node ssh ls 'web*:/var/log/*.log' --sort size", says: "of many hosts, the largest first" },
    { line: "ami-node ssh ls web1:/srv --json | jq '.hosts[0].lists[0].entries[].name'", says: "for programs" },
  ],
  input,
  args: {
    positional: ["paths"],
    short: { long: "l", all: "a", recursive: "R", directory: "d" },
    values: { paths: "HOST:PATH" },
  },
  output,
  effect: "read",
  shows: "answer",
  targets: "words",
  exits: { 3: "several hosts, and at least one failed", 4: "no host could be reached" },
  run: ls,
  text: textOf,
});

type Wish = z.output<typeof input>;
type Answer = z.output<typeof output>;
type List = z.output<typeof list>;
type Entry = z.output<typeof entry>;

async function ls(wish: Wish, ctx: Context): Promise<{ output: Answer; exit: number }> {
  const places = await readPlaces(wish.paths, ctx.resolve);
  const { options, signal } = ctx;
  const pathsOf = new Map(places.map(({ target, paths }) => [target.name, paths]));
  const fans = await fanout(
    places.map(({ target }) => target),
    { parallel: options.parallel, timeout: options.timeout, signal },
    (target, own) => at(target, pathsOf.get(target.name) ?? [], ctx, own, (site) => listAt(site, wish)),
  );
  const [first] = fans;
  if (fans.length === 1 && first !== undefined && first.state !== "done") throw first.error;
  const hosts = fans.map((fan) => ({
    host: fan.target.name,
    ...(fan.state === "done" ? { lists: fan.value } : { error: errorJson(fan.error) }),
  }));
  const exit = exitOfMany(fans.map((fan) => (fan.state === "done" ? "ok" : fan.error)));
  return { output: { long: wish.long, bytes: wish.bytes, hosts }, exit };
}

async function listAt(site: Site, wish: Wish): Promise<List[]> {
  const { verbs } = site;
  const found = await expandAll(verbs, site.target, site.paths);
  const isFolder = await Promise.all(
    found.map(async ({ type, path }) => {
      if (wish.directory) return false;
      // The one that was named is followed.
      return type === "folder" || (type === "symlink" && (await verbs.follow(path))?.type === "folder");
    }),
  );
  const plain = found.filter((_, at) => isFolder[at] !== true);
  const own: List[] = plain.length === 0 ? [] : [{ entries: sorted(plain, wish.sort).map(entryOf) }];
  const folders = found.filter((_, at) => isFolder[at] === true);
  return [...own, ...(await Promise.all(folders.map(({ path }) => listFolder(site, path, wish)))).flat()];
}

/** A folder before what is in it. */
async function listFolder(site: Site, path: string, wish: Wish): Promise<List[]> {
  site.signal.throwIfAborted();
  const all = await site.verbs.list(path);
  const shown = sorted(
    all.filter(({ name }) => wish.all || !name.startsWith(".")),
    wish.sort,
  );
  const inside = wish.recursive ? shown.filter(({ type }) => type === "folder") : [];
  const further = await Promise.all(inside.map((folder) => listFolder(site, folder.path, wish)));
  return [{ folder: path, entries: shown.map(entryOf) }, ...further.flat()];
}

function sorted(all: readonly Found[], by: Wish["sort"]): Found[] {
  const byName = all.toSorted((a, b) => (a.path < b.path ? -1 : 1));
  if (by === "name") return byName;
  return byName.toSorted((a, b) => (by === "time" ? b.mtime - a.mtime : b.size - a.size));
}

function entryOf({ leadsTo, mode, ...found }: Found): Entry {
  return {
    ...found,
    mode: mode.toString(8).padStart(4, "0"),
    ...(leadsTo === undefined ? {} : { target: leadsTo }),
  };
}

/** As `ls` has it: a heading before each folder when there are several, or several hosts. */
function textOf({ hosts, long, bytes }: Answer): string {
  const isMany = hosts.length > 1;
  const parts = hosts.flatMap(({ host, lists = [], error }) => {
    if (error !== undefined) return [`${host}: ${error.message}`];
    return lists.map(({ folder, entries }) => {
      const title = folder === undefined ? (isMany ? `${host}:` : undefined) : `${host}:${visibleLine(folder)}:`;
      const names = entries.map(({ name, path }) => visibleLine(folder === undefined ? path : name));
      const lines = long ? longLines(entries, names, bytes) : names;
      return [...(title === undefined || (!isMany && lists.length === 1) ? [] : [title]), ...lines].join("\n");
    });
  });
  return parts.join("\n\n");
}

const marks: Readonly<Record<Entry["type"], string>> = {
  file: "-",
  folder: "d",
  symlink: "l",
  pipe: "p",
  socket: "s",
  device: "c",
};

function longLines(entries: readonly Entry[], names: readonly string[], bytes: boolean): string[] {
  const rows = entries.map((each) => [
    `${marks[each.type]}${modeLetters(Number.parseInt(each.mode, 8))}`,
    visibleLine(each.owner),
    visibleLine(each.group),
    bytes ? String(each.size) : formatBytes(each.size),
    timeOf(each.mtime),
  ]);
  const widths = [0, 1, 2, 3, 4].map((at) => Math.max(...rows.map((row) => row[at]?.length ?? 0)));
  return entries.map((each, index) => {
    const cells = (rows[index] ?? []).map((cell, at) =>
      at === 3 ? cell.padStart(widths[at] ?? 0) : cell.padEnd(widths[at] ?? 0),
    );
    const leads = each.target === undefined ? "" : ` -> ${visibleLine(each.target)}`;
    return `${cells.join("  ")}  ${names[index]}${leads}`;
  });
}

/** By the clock here. */
function timeOf(seconds: number): string {
  const at = new Date(seconds * 1000);
  const two = (number: number): string => String(number).padStart(2, "0");
  const day = `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())}`;
  return `${day} ${two(at.getHours())}:${two(at.getMinutes())}`;
}
