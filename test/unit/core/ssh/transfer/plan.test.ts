import { describe, expect, it } from "vitest";
import { localHost } from "../../../../../src/core/hosts/local.ts";
import { type Spot, here } from "../../../../../src/core/ssh/transfer/end.ts";
import { type Source, arrivals, chooseEngine } from "../../../../../src/core/ssh/transfer/plan.ts";

const far = { name: "web1", host: localHost() };
const spot = (path: string, type: Spot["type"], more: Partial<Spot> = {}): Spot => ({
  path,
  type,
  size: 0,
  hasFolder: true,
  ...more,
});
const source = (word: string, ...spots: Spot[]): Source => ({ word, spots });
const file = source("a.txt", spot("/w/a.txt", "file", { size: 7 }));
const folder = source("dir", spot("/w/dir", "folder"));
const contents = source("dir/.", spot("/w/dir", "folder"));
const plan = (sources: Source[], to: Spot) => {
  const { base, moves } = arrivals(here, sources, far, { word: "x", spot: to });
  return { base, moves: moves.map((move) => `${move.from} -> ${move.to}`) };
};

describe("where things arrive, as with cp -r", () => {
  it.each([
    ["a file in a folder keeps its name", [file], spot("/d", "folder"), "/d", ["/w/a.txt -> a.txt"]],
    ["a file under a new name", [file], spot("/d/new", "absent"), "/d", ["/w/a.txt -> new"]],
    ["a file in place of a file", [file], spot("/d/old", "file"), "/d", ["/w/a.txt -> old"]],
    ["a file in the root", [file], spot("/new", "absent"), "/", ["/w/a.txt -> new"]],
    ["a folder in a folder", [folder], spot("/d", "folder"), "/d", ["/w/dir -> dir"]],
    ["a folder under a new name", [folder], spot("/d/new", "absent"), "/d", ["/w/dir -> new"]],
    ["what is in a folder into one", [contents], spot("/d", "folder"), "/d", ["/w/dir -> "]],
    ["what is in a folder as a new one", [contents], spot("/d/new", "absent"), "/d", ["/w/dir -> new"]],
    ["several", [file, folder], spot("/d", "folder"), "/d", ["/w/a.txt -> a.txt", "/w/dir -> dir"]],
    [
      "all that a pattern found",
      [source("*", spot("/w/a", "file"), spot("/w/b", "folder"))],
      spot("/d", "folder"),
      "/d",
      ["/w/a -> a", "/w/b -> b"],
    ],
  ] as const)("%s", (_, sources, to, base, moves) => {
    expect(plan([...sources], to)).toEqual({ base, moves });
  });

  it.each([
    ["a source that is missing", [source("x", spot("/w/x", "absent"))], spot("/d", "folder"), "no such file"],
    ["a device as source", [source("x", spot("/dev/null", "other"))], spot("/d", "folder"), "neither a file nor"],
    ["a device as destination", [file], spot("/dev/null", "other"), "neither a file nor"],
    ["no folder to be in", [file], spot("/no/x", "absent", { hasFolder: false }), "no folder"],
    ["several into a file", [file, folder], spot("/d/f", "file"), "need a folder"],
    ["several into nothing", [file, folder], spot("/d/f", "absent"), "need a folder"],
    ["a folder over a file", [folder], spot("/d/f", "file"), "it is a file"],
    ["two of one name", [file, source("v/a.txt", spot("/v/a.txt", "file"))], spot("/d", "folder"), "both become"],
  ] as const)("refuses %s", (_, sources, to, words) => {
    expect(() => plan([...sources], to)).toThrow(words);
  });
});

it("chooses the engine by what moves and by what the other end has", () => {
  const one = [{ from: "/a", type: "file", size: 1, to: "a" }] as const;
  const tree = [{ from: "/a", type: "folder", size: 0, to: "a" }] as const;
  const able = { hasTar: true, hasPieces: true, wantsCompression: false };
  expect(chooseEngine(one, able).engine).toBe("ranges");
  expect(chooseEngine(one, { ...able, wantsCompression: true }).engine).toBe("tar");
  expect(chooseEngine(one, { ...able, hasPieces: false }).engine).toBe("tar");
  expect(chooseEngine(tree, able).engine).toBe("tar");
  expect(chooseEngine(tree, { ...able, hasTar: false }).engine).toBe("sftp");
  expect(() => chooseEngine(tree, { ...able, hasTar: false, hasPieces: false })).toThrow("neither tar nor sftp");
});
