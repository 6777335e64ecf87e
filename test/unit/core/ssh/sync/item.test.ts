/** What has to be done so that one tree becomes the other, as a table. */
import { expect, it } from "vitest";
import { type Changes, type How, type Item, compare, isNothing } from "../../../../../src/core/ssh/sync/item.ts";

const file = (more: Partial<Item> = {}): Item => ({ type: "file", size: 1, mode: 0o644, mtime: 10, ...more });
const own = (stamp: string, more: Partial<Item> = {}): Item => file({ stamp, ...more });
const folder = (more: Partial<Item> = {}): Item => ({ type: "folder", size: 0, mode: 0o755, mtime: 0, ...more });
const link = (leadsTo: string): Item => ({ type: "symlink", size: 1, mode: 0o777, mtime: 0, leadsTo });

type Tree = Record<string, Item>;
const cases: [string, Tree, Tree, Partial<How>, Partial<Changes>][] = [
  ["what is not there is sent, folders first", { d: folder(), "d/f": own("1") }, {}, {}, { send: ["d", "d/f"] }],
  ["what is alike is not", { f: own("1"), d: folder() }, { f: file(), d: folder() }, {}, {}],
  ["another size is sent", { f: own("1", { size: 2 }) }, { f: file() }, {}, { send: ["f"] }],
  ["another time is sent", { f: own("1", { mtime: 11 }) }, { f: file() }, {}, { send: ["f"] }],
  ["another mode of a file is sent", { f: own("1", { mode: 0o600 }) }, { f: file() }, {}, { send: ["f"] }],
  ["of what was sent the stamp decides", { f: own("2") }, { f: own("1") }, {}, { send: ["f"] }],
  [
    "another mode of a folder is changed",
    { d: folder({ mode: 0o700 }) },
    { d: folder() },
    {},
    { modes: new Map([["d", 0o700]]) },
  ],
  [
    "a link that leads elsewhere is sent",
    { l: link("a"), m: link("b") },
    { l: link("x"), m: link("b") },
    {},
    { send: ["l"] },
  ],
  ["a file replaces a link at once", { l: own("1") }, { l: link("x") }, {}, { send: ["l"] }],
  ["what is not here stays", {}, { f: file() }, {}, {}],
  [
    "or goes, a folder as one",
    {},
    { d: folder(), "d/f": file(), "d.x": file() },
    { delete: true },
    { gone: ["d", "d.x"] },
  ],
  ["but for what could not be read", {}, { "d/f": file() }, { delete: true, unreadable: ["d"] }, {}],
  ["a folder of others is not replaced", { d: own("1") }, { d: folder() }, {}, { blocked: ["d"] }],
  [
    "nor anything put through a link of others",
    { d: folder(), "d/f": own("1") },
    { d: link("/srv") },
    {},
    { blocked: ["d"] },
  ],
  [
    "but with delete it is",
    { d: own("1") },
    { d: folder(), "d/f": file() },
    { delete: true },
    { clear: ["d"], send: ["d"] },
  ],
  [
    "a folder that holds what is left out stays, and all else in it goes",
    {},
    { d: folder({ holds: true }), "d/e": folder({ holds: true }), "d/e/f": file(), "d/g": folder(), "d/g/h": file() },
    { delete: true },
    { gone: ["d/e/f", "d/g"] },
  ],
  [
    "and makes no room for a file",
    { d: own("1") },
    { d: folder({ holds: true }), "d/f": file() },
    { delete: true },
    { blocked: ["d"] },
  ],
  [
    "a file of ours makes room for a folder",
    { d: folder(), "d/f": own("1") },
    { d: own("0") },
    {},
    { clear: ["d"], send: ["d", "d/f"] },
  ],
];

it.each(cases)("%s", (_title, here, there, how, changes) => {
  const all = { delete: false, unreadable: [], ...how };
  const found = compare(new Map(Object.entries(here)), new Map(Object.entries(there)), all);
  expect(found).toEqual({ send: [], clear: [], gone: [], modes: new Map(), blocked: [], ...changes });
  expect(isNothing(found)).toBe(Object.keys(changes).every((key) => key === "blocked"));
});
