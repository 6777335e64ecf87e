/** Recordings: what is written is what is read, whole characters and all, and a killed writer's file plays. */
import { mkdtemp, readFile, rm, stat, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { castText, createEventLines } from "../../../../src/core/recording/cast.ts";
import { playKeys } from "../../../../src/core/recording/keys.ts";
import { parseCast, readCast } from "../../../../src/core/recording/read.ts";
import { startRecorder } from "../../../../src/core/recording/record.ts";
import { createTimeline } from "../../../../src/core/recording/timeline.ts";

let dir: string;
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), "ami-cast-"));
});
afterEach(() => rm(dir, { recursive: true, force: true }));

describe("the lines of a recording", () => {
  it("intervals in version 3, times in version 2, and no exit code there", () => {
    const events = [
      { at: 0.4, code: "o", data: "a" },
      { at: 1000.6, code: "r", data: "90x30" },
      { at: 1001.4, code: "o", data: 'ü"\x1b' },
      { at: 2500, code: "x", data: "3" },
    ];
    expect(events.map(createEventLines(3)).join("")).toBe(
      '[0.000, "o", "a"]\n[1.001, "r", "90x30"]\n[0.000, "o", "ü\\"\\u001b"]\n[1.499, "x", "3"]\n',
    );
    expect(events.map(createEventLines(2)).join("")).toBe(
      '[0.000, "o", "a"]\n[1.001, "r", "90x30"]\n[1.001, "o", "ü\\"\\u001b"]\n',
    );
  });

  it("rounding does not add up over many short intervals", () => {
    const line = createEventLines(3);
    let sum = 0;
    for (let i = 1; i <= 10_000; i++)
      sum += Number(/^\[([\d.]+)/.exec(line({ at: i * 0.4, code: "o", data: "" }))?.[1]);
    expect(sum).toBeCloseTo(4, 2);
  });

  it.each([2, 3] as const)("a recording of version %d is read as it was written", (version) => {
    const cast = {
      version,
      columns: 100,
      rows: 30,
      term: "xterm",
      timestamp: 1_700_000_000,
      title: "box",
      command: "top",
      idleLimit: 2500,
      events: [
        { at: 12, code: "o", data: "漢é\r\n" },
        { at: 1012, code: "m", data: "here" },
      ],
      torn: false,
    };
    expect(parseCast(castText(version, cast), "f")).toMatchObject(cast);
  });

  it.each([
    ["nothing", "", "f:"],
    ["a text", "hello\n", "f:"],
    ["version 1", '{"version": 1, "width": 80, "height": 24, "stdout": []}\n', "f:"],
    ["a broken line in the middle", '{"version":2,"width":80,"height":24}\n[1, "o"]\n[2, "o", "x"]\n', "f:2:"],
    ["a time before the beginning", '{"version":3,"term":{"cols":80,"rows":24}}\n[-1, "o", "x"]\n', "f:2:"],
  ])("%s is no recording", (_what, text, where) => {
    expect(() => parseCast(text, "f")).toThrow(expect.objectContaining({ code: "recording.file" }));
    expect(() => parseCast(text, "f")).toThrow(where);
  });

  it("comments and empty lines are passed over, and half a line at the end is left out", () => {
    const text = '{"version":3,"term":{"cols":80,"rows":24}}\n# a comment\n\n[1, "o", "x"]\n[2, "o", "y';
    expect(parseCast(text, "f")).toMatchObject({ torn: true, events: [{ at: 1000, data: "x" }] });
  });

  it("a last line that is whole but for its line break is one", () => {
    const text = '{"version":3,"term":{"cols":80,"rows":24}}\n[1, "o", "x"]';
    expect(parseCast(text, "f")).toMatchObject({ torn: false, events: [{ at: 1000, data: "x" }] });
  });

  it("what other programs write is read: absent values as null, events of later times", () => {
    const text =
      '{"version":2,"width":80,"height":24,"title":null,"idle_time_limit":null,"env":{"SHELL":null,"TERM":"xterm"}}\n[0,"z",{"a":1},2]\n[1,"o","x"]\n';
    const { term, title, events } = parseCast(text, "f");
    expect([term, title, events]).toEqual(["xterm", undefined, [{ at: 1000, code: "o", data: "x" }]]);
  });
});

it("a file that is larger than a text can be is refused by its size", async () => {
  const file = join(dir, "large.cast");
  await writeFile(file, "");
  await truncate(file, 2 ** 30);
  await expect(readCast(file)).rejects.toThrow("it is larger than 500 MiB");
});

describe("recording", () => {
  it("writes each event at once, whole characters only, into a file of ours", async () => {
    const file = join(dir, "a.cast");
    const time = { now: 0 };
    const recorder = startRecorder(file, { columns: 80, rows: 24, term: "xterm" }, () => time.now);
    const bytes = Buffer.from("漢😀");
    for (const byte of bytes) {
      time.now += 100;
      recorder.output(Buffer.of(byte));
    }
    expect((await stat(file)).mode & 0o777).toBe(0o600);
    // Nobody has ended it: this is what a killed client leaves.
    expect((await readCast(file)).events).toEqual([
      { at: 300, code: "o", data: "漢" },
      { at: 700, code: "o", data: "😀" },
    ]);
    recorder.resize(90, 30);
    recorder.input(Buffer.from("ls\r"));
    recorder.output(bytes.subarray(0, 2));
    recorder.end(7);
    recorder.end(8);
    recorder.output(Buffer.from("late"));
    const codes = (await readCast(file)).events.slice(2).map(({ code, data }) => [code, data]);
    expect(codes).toEqual([
      ["r", "90x30"],
      ["i", "ls\r"],
      ["o", "\ufffd"],
      ["x", "7"],
    ]);
  });

  it("of a terminal that does not know its size is played as one of 80x24", async () => {
    const file = join(dir, "a.cast");
    const recorder = startRecorder(file, { columns: 0, rows: 0 });
    recorder.resize(0, 0);
    recorder.end(0);
    expect(await readCast(file)).toMatchObject({ columns: 80, rows: 24, events: [{ code: "x" }] });
  });

  it("touches no file that is there, nor what a link leads to", async () => {
    const file = join(dir, "there");
    await writeFile(file, "mine");
    expect(() => startRecorder(file, { columns: 80, rows: 24 })).toThrow(
      expect.objectContaining({ code: "recording.file" }),
    );
    expect(await readFile(file, "utf8")).toBe("mine");
  });
});

describe("the timeline", () => {
  const cast = {
    version: 3 as const,
    columns: 80,
    rows: 24,
    torn: false,
    events: [
      { at: 1000, code: "o", data: "a" },
      { at: 1000, code: "i", data: "typed" },
      { at: 61_000, code: "o", data: "b" },
      { at: 61_500, code: "o", data: "c" },
    ],
  };

  it("keeps all silence, or none longer than the limit", () => {
    expect(createTimeline(cast).length).toBe(61_500);
    expect(createTimeline(cast, 2000).events.map(({ at }) => at)).toEqual([1000, 1000, 3000, 3500]);
    expect(createTimeline({ ...cast, idleLimit: 100 }).length).toBe(300);
  });

  it("tells what was written, and what comes after a time", () => {
    const timeline = createTimeline(cast);
    expect(timeline.written(0, 4)).toBe("abc");
    expect([0, 999, 1000, 61_000, 70_000].map((at) => timeline.after(at))).toEqual([0, 0, 2, 3, 4]);
  });
});

it("keys are told from what a terminal answers", () => {
  expect(playKeys(" .q\x1b[C\x1b[D\x1bOA\x03")).toEqual([
    "pause",
    "step",
    "quit",
    { seek: 5000 },
    { seek: -5000 },
    { seek: 60_000 },
    "interrupt",
  ]);
  expect(playKeys("\x1b[?1;2c\x1b[24;80R\x1bP>|tmux q 3.3a\x1b\\\x1b]11;rgb:q/q/q\x07\x1b[<0;10;5M")).toEqual([]);
});
