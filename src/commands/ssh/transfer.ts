/** ssh transfer: copies files and folders between machines, as scp and rsync are used for. */
import { mkdir } from "node:fs/promises";
import { z } from "zod";
import { act } from "../../core/act.ts";
import { formatBytes } from "../../core/bytes.ts";
import { type Context, defineCommand } from "../../core/command.ts";
import { formatDuration } from "../../core/duration.ts";
import { AmiError, errorJson } from "../../core/errors.ts";
import { createProgress } from "../../core/progress.ts";
import { errorSchema } from "../../core/report.ts";
import { type End, here } from "../../core/ssh/transfer/end.ts";
import { createFilter } from "../../core/ssh/transfer/filter.ts";
import { createPace, parseRate } from "../../core/ssh/transfer/pace.ts";
import { join } from "../../core/ssh/transfer/plan.ts";
import { openSource } from "../../core/ssh/transfer/pieces.ts";
import { type Leg, readRoute } from "../../core/ssh/transfer/route.ts";
import { type Shared, shareSource } from "../../core/ssh/transfer/share.ts";
import {
  type Planned,
  type Wish,
  carryOut,
  mustBeHere,
  planTransfer,
  rehearse,
} from "../../core/ssh/transfer/transfer.ts";
import type { Target } from "../../core/targets.ts";

const input = z.strictObject({
  paths: z
    .array(z.string())
    .default([])
    .describe("sources, then the destination: PATH, [user@]HOST:PATH, [IPV6]:PATH, ssh://user@host:port/PATH"),
  explain: z.boolean().default(false).describe("say what goes where and which engine moves it"),
  dryRun: z.boolean().default(false).describe("only say what would travel and what would be deleted"),
  include: z
    .array(z.string().min(1))
    .default([])
    .describe("take what matches, whatever --exclude says; alone: only that"),
  exclude: z.array(z.string().min(1)).default([]).describe("leave out what matches: *.o, build/, src/**/tmp"),
  delete: z
    .boolean()
    .default(false)
    .describe("delete in the destination what a source folder does not have; asks first"),
  checksum: z.boolean().default(false).describe("compare the sha256 of both ends when it has arrived"),
  compress: z.boolean().default(false).describe("compress on the way, by zstd or gzip"),
  resume: z
    .boolean()
    .default(false)
    .describe("keep what has arrived of a file when it breaks off, and go on with what an earlier --resume kept"),
  delta: z
    .boolean()
    .default(false)
    .describe(
      "a file that is there in an older form: only what differs travels; for that perl or python3 is needed there",
    ),
  bwlimit: z
    .string()
    .refine((text) => parseRate(text) !== undefined, "is no rate, as in 500K or 10M bytes a second")
    .optional()
    .describe("at most so many bytes a second: 500K, 10M"),
});

const output = z.object({
  hosts: z.array(
    z.object({
      host: z.string(),
      moves: z
        .array(
          z.object({
            from: z.string(),
            path: z.string().describe("folder it arrived in"),
            names: z.array(z.string()).describe("what arrived there; an empty name is what was in a folder"),
            engine: z.enum(["ranges", "tar", "sftp", "delta"]),
            why: z.string().describe("why that engine"),
            files: z.number(),
            bytes: z.number().describe("that travelled"),
            deleted: z.number(),
            sha256: z.string().optional(),
          }),
        )
        .optional(),
      ms: z.number(),
      error: errorSchema.optional(),
    }),
  ),
});

export const command = defineCommand({
  name: "ssh transfer",
  summary: "Copy files and folders between machines",
  description: `Paths are written as for scp, and arrive as with cp: into a folder that is there under their own name, else under the name of the destination; DIR/. means what is in DIR. Hosts are aliases of the ssh config, names of nodes.yaml, and as a destination also lists and groups: the source is then read once for all.

Single files travel in pieces over as many channels as the distance asks for, folders as one tar stream. Every file appears whole or not at all, and a new folder too. Modes, times, symbolic and hard links are kept; special bits and owners are not.`,
  examples: [
    { line: "ami-node ssh transfer app.tar web1:/srv/", says: "a file there" },
    { line: "ami-node ssh transfer web1:/var/log/nginx ./logs", says: "a folder here" },
    {
      line: "ami-node ssh transfer site/. '@web:/var/www' --delete --exclude .git",
      says: "the same tree on a whole group",
    },
    { line: "ami-node ssh transfer --resume big.iso far:", says: "goes on where it was cut" },
    { line: "ami-node ssh transfer --delta vm.img backup:/srv/vm.img", says: "only what has changed" },
    { line: "ami-node ssh transfer 'old:/srv/*.db' new:/srv", says: "from one to another, through this machine" },
  ],
  input,
  args: { positional: ["paths"], values: { paths: "PATH", include: "PATTERN", exclude: "PATTERN", bwlimit: "RATE" } },
  output,
  effect: "change",
  programs: "own",
  shows: "events",
  targets: "words",
  exits: { 3: "several targets, and at least one failed", 4: "no target could be reached" },
  run: transfer,
});

type Input = z.output<typeof input>;
type Host = z.output<typeof output>["hosts"][number];
type MoveReport = NonNullable<Host["moves"]>[number];

async function transfer(wish: Input, ctx: Context): Promise<{ output: z.output<typeof output>; exit: number }> {
  if (wish.compress && wish.resume)
    throw new AmiError(
      "usage.input",
      "--compress sends one stream, which cannot go on in the middle: leave out --resume",
    );
  if (wish.delta && (wish.compress || wish.resume))
    throw new AmiError("usage.input", "--delta goes together with neither --compress nor --resume");
  const route = await readRoute(wish.paths, ctx.resolve);
  const title = `transfer ${wish.paths.slice(0, -1).join(" ")} -> ${wish.paths.at(-1)}`;
  if (wish.delete && !wish.dryRun)
    await ctx.confirm(`${title}: delete in the destination what the source does not have?`);
  const filter = createFilter(wish);
  const pace = createPace(wish.bwlimit === undefined ? undefined : parseRate(wish.bwlimit));
  const shared = new Map<string, Shared>();
  try {
    const byTarget = new Map(route.map(({ target, legs }) => [target.name, legs]));
    const targets = route.map(({ target }) => target);
    const { fans, exit } = await act(
      { ...ctx, targets },
      { title, work: (target, signal) => work(byTarget.get(target.name) ?? [], target, signal) },
    );
    const hosts = fans.map((fan): Host => ({
      host: fan.target.name,
      ms: fan.ms,
      ...(fan.state === "done" ? { moves: fan.value } : { error: errorJson(fan.error) }),
    }));
    return { output: { hosts }, exit };
  } finally {
    await Promise.all([...shared.values()].map((source) => source.close()));
  }

  async function work(legs: readonly Leg[], target: Target, signal: AbortSignal): Promise<MoveReport[]> {
    const reports: MoveReport[] = [];
    for (const leg of legs) reports.push(await one(leg, target, signal));
    return reports;
  }

  async function one(leg: Leg, target: Target, signal: AbortSignal): Promise<MoveReport> {
    const started = performance.now();
    if (leg.from === undefined) await mustBeHere(leg.words, signal);
    const [from, to] = await Promise.all([endOf(leg.from, ctx, signal), endOf(leg.to, ctx, signal)]);
    if (leg.isOwnFolder && !wish.dryRun) await mkdir(leg.destination, { recursive: true });
    const note = (text: string, level: "info" | "warn" = "info"): void =>
      ctx.events.emit({ kind: "note", host: target.name, level, text });
    const plan = await planTransfer(from, leg.words, to, leg.destination, { compress: wish.compress, signal });
    const places = placesOf(plan);
    if (wish.explain) note(`${places}: ${plan.engine}, ${plan.why}`);
    if (wish.compress && !plan.isCompressed)
      note("nothing is compressed: there is neither zstd nor gzip at the other end", "warn");
    const known = plan.moves.every(({ type }) => type === "file");
    const total = known ? plan.moves.reduce((sum, { size }) => sum + size, 0) : undefined;
    const onBytes = createProgress(ctx.events, { host: target.name, title: places, total });
    const how: Wish = { ...wish, filter, pace, signal, onBytes, note, openSource: sharedSource(plan) };
    const common = {
      from: from.name,
      path: plan.base,
      names: plan.moves.map((move) => move.to),
      engine: plan.engine,
      why: plan.why,
    };
    if (wish.dryRun) {
      const found = await rehearse(plan, how);
      for (const path of found.paths) note(`would copy ${join(plan.base, path)}`);
      for (const path of found.deleted) note(`would delete ${join(plan.base, path)}`);
      note(`${places}: ${count(found.files, "file")}, ${formatBytes(found.bytes)}; nothing was changed`);
      return { ...common, files: found.files, bytes: found.bytes, deleted: found.deleted.length };
    }
    const moved = await carryOut(plan, how);
    const gone = moved.deleted > 0 ? `, ${count(moved.deleted, "thing")} deleted` : "";
    const time = formatDuration(performance.now() - started);
    note(`${places} (${count(moved.files, "file")}, ${formatBytes(moved.bytes)} in ${time}${gone})`);
    const { files, bytes, deleted, sha256, isDelta } = moved;
    return {
      ...common,
      ...(isDelta === true ? { engine: "delta" as const } : {}),
      files,
      bytes,
      deleted,
      ...(sha256 === undefined ? {} : { sha256 }),
    };
  }

  /** What goes to many is read once. */
  function sharedSource(plan: Planned): Wish["openSource"] {
    const [move] = plan.moves;
    if (route.length < 2 || plan.engine !== "ranges" || plan.to.host === undefined || move === undefined)
      return undefined;
    const { name, host } = plan.from;
    const key = `${name}:${move.from}`;
    const source =
      shared.get(key) ?? shareSource(() => openSource({ name, host }, move.from, move.size, ctx.signal), route.length);
    shared.set(key, source);
    return () => source.open();
  }
}

async function endOf(target: Target | undefined, ctx: Context, signal: AbortSignal): Promise<End> {
  return target === undefined ? here : { name: target.name, host: await ctx.hosts.open(target, { signal }) };
}

/** `web1:/var/log/syslog -> ./syslog`: the first of several, and how many more. */
function placesOf({ from, to, base, moves }: Planned): string {
  const at = (end: End, path: string): string => (end.host === undefined ? path : `${end.name}:${path}`);
  const [first] = moves;
  const more = moves.length > 1 ? ` and ${moves.length - 1} more` : "";
  const place = moves.length > 1 ? base : join(base, first?.to ?? "");
  return `${at(from, first?.from ?? "")}${more} -> ${at(to, place)}`;
}

function count(many: number, what: string): string {
  return `${many} ${what}${many === 1 ? "" : "s"}`;
}
