/** entries probe: one digit for each directory. What counts as empty is tried in test/integration/probes.test.ts. */
import { expect, it } from "vitest";
import { probe } from "../../../../../src/core/provision/probes/entries.ts";

const two = [{ kind: "entries", path: "/a" } as const, { kind: "entries", path: "/b" } as const];

it("1 is empty, anything else is not", () => {
  expect(probe.parse(Buffer.from("1\n0\n"), two)).toEqual([{ empty: true }, { empty: false }]);
});

it("too few answers are an error and not a guess", () => {
  expect(() => probe.parse(Buffer.from("1\n"), two)).toThrow("2 directories were asked for, 1 answered");
});

it("runs no program at all", () => {
  expect(probe.sh(two)).not.toMatch(/\b(ls|find|test|stat)\b/);
});
