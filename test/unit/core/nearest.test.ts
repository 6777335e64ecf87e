import { describe, expect, it } from "vitest";
import { editDistance, nearest } from "../../../src/core/nearest.ts";

describe("nearest", () => {
  const commands = ["ssh", "ssh execute", "system", "provision", "config", "completion", "plugins"];

  it.each([
    ["provsion", "provision"],
    ["provisoin", "provision"],
    ["PROVISION", "provision"],
    ["shs", "ssh"],
    ["confg", "config"],
    ["plugin", "plugins"],
    ["prov", "provision"],
    ["comp", "completion"],
  ])("takes %s for %s", (typed, meant) => {
    expect(nearest(typed, commands)).toBe(meant);
  });

  it.each(["docker", "xyz", "", "s"])("does not guess what %j means", (typed) => {
    expect(nearest(typed, commands)).toBeUndefined();
  });

  it("takes the first of two that are equally close", () => {
    expect(nearest("cat", ["bat", "rat"])).toBe("bat");
  });
});

describe("edit distance", () => {
  it.each([
    ["", "", 0],
    ["a", "", 1],
    ["", "abc", 3],
    ["kitten", "sitting", 3],
    ["ab", "ba", 1],
    ["abcd", "acbd", 1],
    ["same", "same", 0],
  ])("of %j and %j is %i", (a, b, distance) => {
    expect(editDistance(a, b)).toBe(distance);
    expect(editDistance(b, a)).toBe(distance);
  });
});
