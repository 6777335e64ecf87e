/** Forecasts: told where history shows a clear direction, and nowhere else. */
import { describe, expect, it } from "vitest";
import { forecastsOf, rising, spoken, usedUp } from "../../../../src/core/health/forecast.ts";
import { type Point, slopeOf } from "../../../../src/core/health/slope.ts";
import type { HistoryRow } from "../../../../src/core/store/history-rows.ts";

const minute = 60_000;
const hour = 60 * minute;
const day = 24 * hour;
const gib = 2 ** 30;
/** Any moment. */
const now = 1_700_000_000_000;

/** Evenly spaced points that end now; `value` gets the share of the time that has passed. */
function series(span: number, count: number, value: (passed: number, i: number) => number): Point[] {
  return Array.from({ length: count }, (_, i) => {
    const passed = count === 1 ? 1 : i / (count - 1);
    return { at: now - span + passed * span, value: value(passed, i) };
  });
}

/** 0 up to 1, the same each time (mulberry32). */
function dice(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

describe("what is used up", () => {
  const roll = dice(1);
  it.each<[string, Point[], number, RegExp]>([
    ["a disk that fills evenly", series(2 * day, 48, (p) => (5 - 2 * p) * gib), 100 * gib, /^3 days$/],
    ["with noise on top", series(2 * day, 48, (p) => (5 - 2 * p + roll() / 10) * gib), 100 * gib, /^3 days$/],
    ["with one outlier", series(2 * day, 48, (p, i) => (i === 20 ? 90 : 50 - 20 * p) * gib), 1000 * gib, /^3 days$/],
    ["within minutes", series(20 * minute, 21, (p) => (10 - 6 * p) * gib), 100 * gib, /^1[34] minutes$/],
    [
      "in steps, once a day",
      series(10 * day, 240, (p) => (40 - Math.floor(10 * p) * 2) * gib),
      100 * gib,
      /^1\d days$/,
    ],
    [
      "after somebody tidied up",
      [...series(3 * day, 36, (p) => (20 - 19 * p) * gib)].map((point, i) =>
        i < 18 ? { ...point, value: (10 - i / 2) * gib } : { ...point, value: (60 - (i - 18)) * gib },
      ),
      100 * gib,
      /^\d days$/,
    ],
    ["very many points", series(30 * day, 5000, (p) => (100 - 70 * p) * gib), 100 * gib, /^13 days$/],
  ])("is foretold: %s", (_name, points, size, left) => {
    const found = usedUp(points, size, now);
    expect(found).toBeDefined();
    expect(spoken(found?.left ?? 0)).toMatch(left);
  });

  it.each<[string, Point[]]>([
    ["nothing is known", []],
    ["one look", series(0, 1, () => gib)],
    ["a few looks only", series(day, 9, (p) => (50 - 40 * p) * gib)],
    ["looks of five minutes", series(5 * minute, 30, (p) => (50 - 40 * p) * gib)],
    ["it does not change", series(10 * day, 100, () => 50 * gib)],
    ["there is more and more room", series(10 * day, 100, (p) => (10 + 4 * p) * gib)],
    ["it would take years", series(10 * day, 100, (p) => (90 - p / 10) * gib)],
    ["it is far beyond what was watched", series(hour, 60, (p) => (50 - p) * gib)],
    ["one large file came, and stays", series(2 * day, 48, (p) => (p < 0.5 ? 50 : 40) * gib)],
    ["it has stopped", series(4 * day, 96, (p) => (p < 0.55 ? 50 - 40 * p : 28) * gib)],
    ["it is full already", series(2 * day, 48, (p) => Math.max(0, 5 - 10 * p) * gib)],
    [
      "nobody looked for days",
      series(2 * day, 48, (p) => (5 - 2 * p) * gib).map((p) => ({ ...p, at: p.at - 3 * day })),
    ],
  ])("is not foretold when %s", (_name, points) => {
    expect(usedUp(points, 100 * gib, now)).toBeUndefined();
  });

  it("is foretold of noise once in a thousand times at most", () => {
    const told = Array.from({ length: 1000 }, (_, seed) => {
      const chance = dice(seed + 1);
      return usedUp(
        series(day, 10 + (seed % 90), () => (10 + 2 * chance()) * gib),
        100 * gib,
        now,
      );
    }).filter((found) => found !== undefined);
    expect(told.length).toBeLessThanOrEqual(1);
  });
});

describe("latency", () => {
  /** Slow by day, quick by night. */
  const daily = (at: number): number => 10 + 5 * Math.sin((2 * Math.PI * at) / day);
  const roll = dice(7);
  it.each<[string, Point[], { percent: number; per: string } | undefined]>([
    ["doubles in five days", series(5 * day, 120, (p) => 20 + 20 * p), { percent: 13, per: "day" }],
    [
      "rises under the waves of day and night",
      series(6 * day, 144, () => 0).map(({ at }) => ({
        at,
        value: daily(at) * (1 + (at - now + 6 * day) / (10 * day)),
      })),
      { percent: 8, per: "day" },
    ],
    ["grows slowly", series(28 * day, 200, (p) => 20 + 16 * p), { percent: 14, per: "week" }],
    ["waves only", series(6 * day, 144, () => 0).map(({ at }) => ({ at, value: daily(at) })), undefined],
    ["is noise", series(6 * day, 144, () => 10 + 10 * roll()), undefined],
    ["rose once and stays", series(6 * day, 144, (p) => (p < 0.5 ? 10 : 20) + roll() / 10), undefined],
    ["falls", series(6 * day, 144, (p) => 40 - 20 * p), undefined],
    ["rises since yesterday only", series(day, 144, (p) => 20 + 20 * p), undefined],
    ["rises by what nobody feels", series(6 * day, 144, (p) => 0.1 + 0.2 * p), undefined],
  ])("%s", (_name, points, says) => {
    const found = rising(points);
    if (says === undefined) expect(found).toBeUndefined();
    else {
      expect(found?.per).toBe(says.per);
      expect(Math.abs((found?.percent ?? 0) - says.percent)).toBeLessThanOrEqual(1);
    }
  });
});

describe("in words", () => {
  const rows = (span: number, count: number, more: (passed: number) => Partial<HistoryRow>): HistoryRow[] =>
    series(span, count, (passed) => passed).map(({ at, value }) => ({
      at,
      span: minute,
      tries: 1,
      failures: 0,
      disks: [],
      ...more(value),
    }));

  it("names the disk, the time and the rate", () => {
    const disk = (mount: string, size: number, available: number) => ({ mount, size, available });
    const found = forecastsOf(
      rows(2 * day, 48, (p) => ({
        disks: [disk("/", 50 * gib, 20 * gib), disk("/var", 100 * gib, (6 - 2.4 * p) * gib)],
      })),
      now,
    );
    expect(found).toMatchObject([
      { about: "disk", mount: "/var", says: "/var full in about 3 days at this rate (1.2 GiB a day)" },
    ]);
    expect((found[0]?.in ?? 0) / day).toBeCloseTo(3, 1);
  });

  it("does not take a disk that was made larger for one that grows", () => {
    const found = forecastsOf(
      rows(2 * day, 48, (p) => ({
        disks: [{ mount: "/", size: (p < 0.9 ? 100 : 200) * gib, available: (p < 0.9 ? 50 - 40 * p : 114) * gib }],
      })),
      now,
    );
    expect(found).toEqual([]);
  });

  it("speaks of memory and of latency", () => {
    const leak = rows(5 * hour, 60, (p) => ({ memory: (4 - 2 * p) * gib, memoryTotal: 8 * gib }));
    expect(forecastsOf(leak, now).map(({ says }) => says)).toEqual([
      "memory used up in about 5 hours at this rate (410 MiB an hour)",
    ]);
    const slow = rows(5 * day, 120, (p) => ({ rtt50: 10 + 18 * p, connect: 300 }));
    expect(forecastsOf(slow, now).map(({ says }) => says)).toEqual(["latency rising 19 % a day"]);
  });

  it.each([
    [30_000, "1 minute"],
    [40 * minute, "40 minutes"],
    [119 * minute, "119 minutes"],
    [14 * hour, "14 hours"],
    [3 * day, "3 days"],
    [20 * day, "20 days"],
    [42 * day, "6 weeks"],
  ])("%d ms are %s", (ms, says) => {
    expect(spoken(ms)).toBe(says);
  });
});

it("a slope is that of the line, and an outlier does not move it", () => {
  const line = series(100 * minute, 50, (p) => 10 + 3 * p);
  const spoilt = line.map((point, i) => (i % 10 === 3 ? { ...point, value: 1000 } : point));
  for (const points of [line, spoilt]) expect((slopeOf(points)?.slope ?? 0) * 100 * minute).toBeCloseTo(3, 1);
});
