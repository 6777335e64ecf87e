/** shell probe: exit codes, read. What the lines do is tried in test/integration/probes.test.ts. */
import { expect, it } from "vitest";
import { probe } from "../../../../../src/core/provision/probes/shell.ts";

const lines = [{ kind: "shell", line: "true" } as const, { kind: "shell", line: "false" } as const];

it("one code for each line, in order", () => {
  expect(probe.parse(Buffer.from("0\n127\n"), lines)).toEqual([{ code: 0 }, { code: 127 }]);
});

it("too few codes, or words among them, are an error and not a guess", () => {
  expect(() => probe.parse(Buffer.from("0\n"), lines)).toThrow("2 lines were run");
  expect(() => probe.parse(Buffer.from("0\nsh: oops\n"), lines)).toThrow("sh: oops");
  expect(() => probe.parse(Buffer.from(""), lines)).toThrow("2 lines were run");
});
