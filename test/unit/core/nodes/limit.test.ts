import { expect, it } from "vitest";
import { limitTargets } from "../../../../src/core/nodes/limit.ts";
import type { Target } from "../../../../src/core/targets.ts";

const node = (name: string, ...groups: string[]): Target => ({ kind: "ssh", name, host: name, vars: {}, groups });
const all = [
  node("web1", "web"),
  node("web2", "web", "prod"),
  node("db.1", "prod"),
  { kind: "local", name: "local", vars: {} } as const,
];

it.each([
  [[], ["web1", "web2", "db.1", "local"]],
  [["web*"], ["web1", "web2"]],
  [["web*,!web2"], ["web1"]],
  [["@prod"], ["web2", "db.1"]],
  [["!@prod"], ["web1", "local"]],
  [
    ["db.1", "local"],
    ["db.1", "local"],
  ],
  [["db?1"], ["db.1"]],
  [["dbx1"], []],
])("%j leaves %j", (words, names) => {
  expect(limitTargets(all, words).map((t) => t.name)).toEqual(names);
});

it.each([[[""]], [[" , "]], [["", ","]]])("%j names nothing, which is not everything", (words) => {
  expect(() => limitTargets(all, words)).toThrow(
    expect.objectContaining({ code: "usage.target", message: "--limit names nothing" }),
  );
});
