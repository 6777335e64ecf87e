import { describe, expect, it } from "vitest";
import { command } from "../../../../src/commands/ssh/diagnose.ts";
import { about, certain, here } from "../../../../src/core/diagnose/finding.ts";
import { testContext } from "../context.ts";

const { ok } = about("resolve");
const { fail } = about("tcp");
const { skipped } = about("banner");

describe("ssh diagnose", () => {
  it("refuses this machine, to which there is no way", async () => {
    await expect(command.run({ fix: false }, testContext())).rejects.toMatchObject({ code: "usage.target" });
  });

  it("mends one target at a time", async () => {
    const ctx = testContext({ targets: ["a", "b"] });
    await expect(command.run({ fix: true }, ctx)).rejects.toMatchObject({ code: "usage.input" });
  });

  const output = [
    {
      host: "web1",
      healthy: false,
      first: "tcp.refused",
      ms: 1234,
      findings: [
        ok("resolve", "web1 is 192.0.2.1"),
        fail("tcp.refused", "nobody listens", {
          evidence: ["192.0.2.1:22: refused"],
          cause: certain("sshd is off"),
          fix: here("ssh web1"),
        }),
        skipped("banner", "not examined, because nobody listens"),
      ],
      mended: [],
    },
  ];

  it("shows what is wrong, why and what mends it, and no passes", () => {
    expect(command.text?.(command.output.parse(output), { columns: 80 })).toBe(`web1: does not work (1.2 s)
  fail    nobody listens  [tcp.refused]
          192.0.2.1:22: refused
          cause (certain): sshd is off
          fix here: ssh web1
  skipped banner: not examined, because nobody listens
`);
  });

  it("shows passes when asked for all", () => {
    expect(command.text?.(output, { columns: 80, verbose: true })).toMatch(/^ {2}ok {6}web1 is 192\.0\.2\.1$/m);
  });
});
