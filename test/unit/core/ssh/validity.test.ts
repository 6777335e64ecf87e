import { describe, expect, it } from "vitest";
import { readValidity } from "../../../../src/core/ssh/key/validity.ts";

const now = Date.UTC(2026, 0, 15, 12, 0, 30) / 1000;
const utc = (...parts: [number, number, number, number?, number?, number?]): number => Date.UTC(...parts) / 1000;

describe("from when to when", () => {
  it.each([
    ["+1h", { after: now - 90, before: now + 3600 }],
    ["+52w", { after: now - 90, before: now + 52 * 604_800 }],
    ["-1d:+1w2d", { after: now - 86_400, before: now + 777_600 }],
    ["20260101Z:20260201120000Z", { after: utc(2026, 0, 1), before: utc(2026, 1, 1, 12) }],
    ["202601010830Z:forever", { after: utc(2026, 0, 1, 8, 30), before: "forever" }],
    ["always:20270101Z", { after: 0, before: utc(2027, 0, 1) }],
    ["forever", { after: 0, before: "forever" }],
    [
      "20260101:20260102",
      { after: new Date(2026, 0, 1).getTime() / 1000, before: new Date(2026, 0, 2).getTime() / 1000 },
    ],
  ])("%s", (text, expected) => {
    expect(readValidity(text, now)).toEqual(expected);
  });

  it.each([
    "",
    "52w",
    "+",
    "+5x",
    "20260230Z:forever",
    "20261301Z:forever",
    "+1h:+2h:+3h",
    "+2h:+1h",
    "20260101",
    "forever:+1h",
    "+1h:always",
  ])("not: %j", (text) => expect(readValidity(text, now)).toBeTypeOf("string"));
});
