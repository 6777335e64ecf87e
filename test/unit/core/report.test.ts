import { describe, expect, it } from "vitest";
import { AmiError } from "../../../src/core/errors.ts";
import { type Ended, exitOfMany } from "../../../src/core/report.ts";

const unreached = new AmiError("ssh.connect", "refused");
const stranger = new AmiError("hostkey.unknown", "unknown key");
const interrupted = new AmiError("run.cancelled", "interrupted");

describe("the exit code of work on many hosts", () => {
  it.each<[string, Ended[], number]>([
    ["all well", ["ok", "ok"], 0],
    ["one failed", ["ok", "failed"], 3],
    ["one not reached", ["ok", unreached], 3],
    ["none reached", [unreached, unreached], 4],
    ["none reached, one for its key", [unreached, stranger], 4],
    ["none reached but one failed", [unreached, "failed"], 3],
    ["interrupted", ["ok", interrupted], 130],
    ["a single one: its own reason", [stranger], 5],
    ["a single one that failed", ["failed"], 3],
    ["a single one interrupted", [interrupted], 130],
    ["none at all", [], 0],
  ])("%s", (_, ends, exit) => {
    expect(exitOfMany(ends)).toBe(exit);
  });
});
