import { describe, expect, it } from "vitest";
import { expandRanges, splitList } from "../../../src/core/names.ts";
import { fold, foldNames } from "../../../src/core/fold.ts";

describe("names with their numbers as ranges", () => {
  it.each([
    ["web1", "web1"],
    ["web1 web2 web3", "web[1-3]"],
    ["web3 web1 web2", "web[1-3]"],
    ["web1 web2 web7 db", "web[1-2],web7,db"],
    ["web9 web10 web11", "web[9-11]"],
    ["n08 n09 n10", "n[08-10]"],
    ["n1 n01 n2", "n[1-2],n01"],
    ["web1.eu web2.eu web1.us", "web[1-2].eu,web1.us"],
    ["r1n1 r1n2 r1n3 r2n1", "r1n[1-3],r2n1"],
    ["10.0.0.1 10.0.0.2 10.0.0.9", "10.0.0.[1-2],10.0.0.9"],
    ["web web1 web2", "web,web[1-2]"],
    ["a b a", "a,b"],
    ["n99999999999999999998 n99999999999999999999", "n[99999999999999999998-99999999999999999999]"],
    ["", ""],
  ])("%s is written %s", (names, folded) => {
    expect(foldNames(names.split(" "))).toBe(folded);
  });
});

it("can be read back as targets", () => {
  const names = ["web1", "web2", "web07", "web08", "web12", "db", "r1n1", "r1n2"];
  const back = splitList([foldNames(names)]).flatMap(expandRanges);
  expect(back.toSorted()).toEqual(names.toSorted());
});

describe("equal things", () => {
  it("stand together, the commonest first, otherwise in the order they came", () => {
    const groups = fold(["b", "a", "c", "a", "c", "a"], (word) => word);
    expect(groups.map(({ key, members }) => [key, members.length])).toEqual([
      ["a", 3],
      ["c", 2],
      ["b", 1],
    ]);
  });
});
