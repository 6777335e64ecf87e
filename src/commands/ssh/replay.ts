/** ssh replay: shows a recording of a terminal, or turns it into another form. */
import { open, rename, rm } from "node:fs/promises";
import { existsSync } from "node:fs";
import { z } from "zod";
import { type Context, defineCommand } from "../../core/command.ts";
import { formatDuration, parseDuration } from "../../core/duration.ts";
import { AmiError, exitCodes } from "../../core/errors.ts";
import { type Cast, castText } from "../../core/recording/cast.ts";
import { play } from "../../core/recording/play.ts";
import { readCast } from "../../core/recording/read.ts";
import { type Timeline, createTimeline } from "../../core/recording/timeline.ts";
import { whyUnreadable } from "../../core/unreadable.ts";

const time = z.string().refine((text) => parseDuration(text) !== undefined, "is no time, as in 90, 90s or 1m30s");

const input = z.strictObject({
  file: z.string().min(1).describe("the recording, an asciicast of version 2 or 3"),
  speed: z.number().positive().max(1000).default(1).describe("times as fast"),
  idleLimit: time.optional().describe("wait no longer than this where nothing happened"),
  from: time.optional().describe("begin here; what was before is on the screen at once"),
  to: time.optional().describe("end here"),
  export: z.string().min(1).optional().describe("show nothing; write it to this file in another form"),
  format: z
    .enum(["asciicast-v2", "asciicast-v3", "raw"])
    .default("asciicast-v2")
    .describe("of the exported file; raw is what the terminal got"),
});

const output = z.object({
  file: z.string(),
  columns: z.number().int(),
  rows: z.number().int(),
  seconds: z.number().describe("from the first to the last event, idle time cut as asked"),
  events: z.number().int(),
  exit: z.number().int().optional().describe("of the shell that was recorded"),
  complete: z.boolean().describe("false: whoever recorded it was cut off"),
  exported: z.string().optional(),
});

export const command = defineCommand({
  name: "ssh replay",
  summary: "Show a recording of a terminal",
  description: `Keys while it plays: space pauses and goes on, the arrows left and right go back and forth by 5 s, up and down by a minute, . shows the next piece, q ends it.

The terminal should be as large as the one that was recorded. Where stdout is none, all that was shown is written at once.`,
  examples: [
    { line: "ami-node ssh replay demo.cast --idle-limit 1s", says: "without long silences" },
    { line: "ami-node ssh replay demo.cast --from 1m30s --speed 4", says: "a part of it, four times as fast" },
    { line: "ami-node ssh replay demo.cast | less -R", says: "what was shown, without waiting" },
    { line: "ami-node ssh replay demo.cast --export demo-v2.cast", says: "as asciicast of version 2" },
  ],
  input,
  args: {
    positional: ["file"],
    values: { file: "FILE", idleLimit: "TIME", from: "TIME", to: "TIME", export: "FILE" },
  },
  output,
  effect: "read",
  shows: "events",
  interactive: true,
  targets: "none",
  exits: { 130: "ended by Ctrl-C" },
  run: replay,
});

type Wish = z.output<typeof input>;
type Output = z.output<typeof output>;

async function replay(wish: Wish, ctx: Context): Promise<{ output: Output; exit?: number }> {
  const [idleLimit, from = 0, to = Number.POSITIVE_INFINITY] = [wish.idleLimit, wish.from, wish.to].map((text) =>
    text === undefined ? undefined : parseDuration(text),
  );
  if (from > to) throw new AmiError("usage.input", `--from ${wish.from} is after --to ${wish.to}`);
  const cast = await readCast(wish.file);
  const timeline = createTimeline(cast, idleLimit);
  const said: Output = { ...summary(wish.file, cast), seconds: timeline.length / 1000 };
  if (from > timeline.length && from > 0) {
    throw new AmiError("usage.input", `--from ${wish.from} is after the end, at ${formatDuration(timeline.length)}`);
  }
  if (wish.export !== undefined) {
    await writeExport(wish.export, wish.format, cast, ctx);
    return { output: { ...said, exported: wish.export } };
  }
  const { terminal, stdio, options } = ctx;
  if (options.json) return { output: said };
  if (terminal === undefined) {
    await dump(timeline, { from, to }, stdio?.stdout);
    return { output: said };
  }
  if (terminal.columns < cast.columns || terminal.rows < cast.rows) {
    const text = `it was recorded at ${cast.columns}x${cast.rows}, and this terminal has ${terminal.columns}x${terminal.rows}`;
    ctx.events.emit({ kind: "note", level: "warn", text });
  }
  const ended = await play(timeline, terminal, { speed: wish.speed, from, to, signal: ctx.signal });
  return { output: said, exit: ended === "interrupt" ? exitCodes.interrupted : exitCodes.ok };
}

function summary(file: string, cast: Cast): Omit<Output, "seconds"> {
  const { version, columns, rows, events, torn } = cast;
  const exit = Number.parseInt(events.findLast(({ code }) => code === "x")?.data ?? "", 10);
  return {
    file,
    columns,
    rows,
    events: events.length,
    ...(Number.isNaN(exit) ? {} : { exit }),
    // Version 2 does not say how it ended.
    complete: !torn && (version === 2 || !Number.isNaN(exit)),
  };
}

async function dump(
  timeline: Timeline,
  { from, to }: { from: number; to: number },
  stdout: NodeJS.WriteStream | undefined,
): Promise<void> {
  // What begins at the first moment is part of it.
  const text = timeline.written(from === 0 ? 0 : timeline.after(from), timeline.after(to));
  await new Promise<void>((done) => {
    if (stdout === undefined || text === "") return done();
    stdout.write(text, () => done());
  });
}

/** Beside its place and renamed; what is there already is only replaced when somebody says so. */
async function writeExport(file: string, format: Wish["format"], cast: Cast, ctx: Context): Promise<void> {
  if (existsSync(file)) await ctx.confirm(`${file} is there already; replace it?`);
  const text =
    format === "raw"
      ? createTimeline(cast).written(0, cast.events.length)
      : castText(format === "asciicast-v2" ? 2 : 3, cast);
  const temp = `${file}.${process.pid}.part`;
  try {
    const handle = await open(temp, "wx", 0o600);
    try {
      await handle.writeFile(text);
    } finally {
      await handle.close();
    }
    await rename(temp, file);
  } catch (cause) {
    await rm(temp, { force: true });
    throw new AmiError("recording.file", `${file} cannot be written: ${whyUnreadable(cause)}`, { cause });
  }
}
