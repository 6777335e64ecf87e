import { expect, it } from "vitest";
import { noPaint, openPaint, wantsColor } from "../../../src/ui/paint.ts";

it.each([
  ["a terminal", true, "auto", true, {}, true],
  ["a pipe", true, "auto", false, {}, false],
  ["--no-color", false, "always", true, { FORCE_COLOR: "1" }, false],
  ["FORCE_COLOR in a pipe", true, "auto", false, { FORCE_COLOR: "1" }, true],
  ["FORCE_COLOR before NO_COLOR", true, "auto", false, { FORCE_COLOR: "1", NO_COLOR: "1" }, true],
  ["FORCE_COLOR=0", true, "auto", true, { FORCE_COLOR: "0" }, false],
  ["NO_COLOR", true, "always", true, { NO_COLOR: "1" }, false],
  ["an empty NO_COLOR, which says nothing", true, "auto", true, { NO_COLOR: "" }, true],
  ["the setting always", true, "always", false, {}, true],
  ["the setting never", true, "never", true, {}, false],
  ["a dumb terminal", true, "auto", true, { TERM: "dumb" }, false],
] as const)("colour on %s", (_name, flag, setting, isTerminal, env, wants) => {
  expect(wantsColor(flag, setting, isTerminal, env)).toBe(wants);
});

it("paints, or leaves the text as it is", async () => {
  expect((await openPaint(true)).red("x")).toBe("\u001b[31mx\u001b[39m");
  expect(await openPaint(false)).toBe(noPaint);
  expect(noPaint.host("web1")).toBe("web1");
});

it("a host has one colour, whenever it is asked", async () => {
  const [one, two] = [await openPaint(true), await openPaint(true)];
  expect(one.host("web1")).toBe(two.host("web1"));
  const colors = new Set(Array.from({ length: 20 }, (_, i) => one.host(`web${i}`).slice(0, 5)));
  expect(colors.size).toBeGreaterThan(3);
});
