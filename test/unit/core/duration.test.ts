import { describe, expect, it } from "vitest";
import { formatDuration, parseDuration } from "../../../src/core/duration.ts";

describe("durations are read", () => {
  it.each([
    ["30", 30_000],
    ["0.5", 500],
    ["30s", 30_000],
    ["5m", 300_000],
    ["1h30m", 5_400_000],
    ["500ms", 500],
    ["1d", 86_400_000],
    ["1.5s", 1500],
    [" 2s ", 2000],
    ["0", 0],
  ])("%j is %i ms", (text, ms) => {
    expect(parseDuration(text)).toBe(ms);
  });

  it.each(["", "x", "5 m", "-3", "3x", "m", "1e3", "5m3", "1,5"])("%j is none", (text) => {
    expect(parseDuration(text)).toBeUndefined();
  });
});

describe("durations are written", () => {
  it.each([
    [0, "0 ms"],
    [12.4, "12 ms"],
    [999, "999 ms"],
    [1000, "1.0 s"],
    [1234, "1.2 s"],
    [59_900, "59.9 s"],
    [59_960, "1m 00s"],
    [61_000, "1m 01s"],
    [3_599_600, "1h 00m"],
    [5_400_000, "1h 30m"],
  ])("%i ms as %j", (ms, text) => {
    expect(formatDuration(ms)).toBe(text);
  });
});
