import { describe, expect, it } from "vitest";
import { noCounts, type Outcome } from "../../../../src/core/events.ts";
import { exitOf, readVars } from "../../../../src/core/provision/fleet.ts";
import type { HostReport } from "../../../../src/core/provision/report.ts";

const host = (outcome: Outcome, code?: string): HostReport => ({
  host: "h",
  outcome,
  counts: noCounts(),
  stages: 1,
  roundTrips: 1,
  resources: [],
  ...(code === undefined ? {} : { error: { code, message: "", retry: "no" as const } }),
});

describe("exit code of a fleet", () => {
  it.each<[string, HostReport[], boolean, number]>([
    ["all the same", [host("same"), host("changed")], false, 0],
    ["pending under --check", [host("same"), host("pending")], true, 2],
    ["one failed", [host("failed", "apply.failed"), host("same")], false, 3],
    ["one failed under --check", [host("failed", "plan.refused"), host("pending")], true, 3],
    ["one of two unreachable", [host("failed", "ssh.connect"), host("same")], false, 3],
    ["none reachable", [host("failed", "ssh.connect"), host("failed", "ssh.auth")], false, 4],
    ["none reachable, one for its key", [host("failed", "hostkey.changed"), host("failed", "ssh.auth")], false, 4],
    ["a single one with a changed key", [host("failed", "hostkey.changed")], false, 5],
    ["a single one that is locked", [host("failed", "apply.locked")], false, 3],
    ["one did not settle", [{ ...host("changed"), settled: false }, host("same")], false, 3],
    ["interrupted", [host("cancelled", "run.cancelled"), host("failed", "apply.failed")], false, 130],
  ])("%s", (_name, hosts, check, exit) => {
    expect(exitOf(hosts, check)).toBe(exit);
  });
});

describe("--var", () => {
  it("is text with =, JSON with :=", () => {
    expect(readVars(["a=1", "b:=[1,2]", "c=x=y", "d="])).toEqual({ a: "1", b: [1, 2], c: "x=y", d: "" });
  });
  it.each(["novalue", "1a=2", "a:=nope"])("refuses %s", (word) => {
    expect(() => readVars([word])).toThrow("--var");
  });
});
