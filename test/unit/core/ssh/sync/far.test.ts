/** What is remembered of what was sent when the other side has to be looked at anew. */
import { expect, it } from "vitest";
import { type Far, overKeys, remember } from "../../../../../src/core/ssh/sync/far.ts";
import type { Item } from "../../../../../src/core/ssh/sync/item.ts";

const far = (items: Record<string, Item>): Far => ({
  root: "/home/me",
  keys: "/home/me/.ssh/authorized_keys",
  items: new Map(Object.entries(items)),
});
const file = (more: Partial<Item> = {}): Item => ({ type: "file", size: 1, mode: 0o644, mtime: 10, ...more });

it("what was sent and is still the same keeps its stamp, and nothing else does", () => {
  const known = far({ same: file({ stamp: "1" }), other: file({ stamp: "2" }), never: file() });
  const found = remember(far({ same: file(), other: file({ size: 2 }), never: file(), fresh: file() }), known);
  expect([...found.items].map(([path, { stamp }]) => [path, stamp])).toEqual([
    ["same", "1"],
    ["other", undefined],
    ["never", undefined],
    ["fresh", undefined],
  ]);
  expect(remember(found, undefined)).toBe(found);
});

it.each([
  [".ssh", true],
  [".ssh/authorized_keys", true],
  [".ssh/known_hosts", false],
  [".sshd", false],
])("the keys go with %s: %s", (path, goes) => {
  expect(overKeys([path], far({})) !== undefined).toBe(goes);
});
