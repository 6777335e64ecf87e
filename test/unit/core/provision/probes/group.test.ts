/** group probe: group entries, read. */
import { describe, expect, it } from "vitest";
import { probe } from "../../../../../src/core/provision/probes/group.ts";

const ask = (...names: string[]) => names.map((name) => ({ kind: "group", name }) as const);

describe("the group probe", () => {
  it("reads number and sorted members; the first of several entries counts", () => {
    const output = Buffer.from("sudo:x:27:bob,ann\nempty:x:5:\nsudo:x:99:eve\n+:::\n");
    expect(probe.parse(output, ask("empty", "sudo", "none"))).toEqual([
      { gid: 5, members: [] },
      { gid: 27, members: ["ann", "bob"] },
      undefined,
    ]);
  });

  it("nothing printed is no group", () => {
    expect(probe.parse(Buffer.from(""), ask("sudo"))).toEqual([undefined]);
  });

  it("is one query however many groups, and none for names that cannot be asked for", () => {
    expect(probe.sh(ask(...Array.from({ length: 200 }, (_, i) => `g${i}`))).match(/getent/g)).toHaveLength(1);
    expect(probe.sh(ask("27", "-x"))).not.toContain("getent");
  });
});
