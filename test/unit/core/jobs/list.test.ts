import { describe, expect, it } from "vitest";
import { readJobs } from "../../../../src/core/jobs/list.ts";
import { readSessions } from "../../../../src/core/jobs/session.ts";

describe("jobs as their machine tells them", () => {
  it("are read with their ends, and the oldest comes first", () => {
    const said = [
      "list",
      "job bbbbbbbb 1 12 0",
      "77 boot.1 77 77 200 web1",
      "   ",
      '{"command":"sleep 9"}',
      "job aaaaaaaa 0 0 3",
      "70 boot.1 70 70 100 web1",
      "exit 137 160 full",
      '{"command":"a\\nb","session":"main"}',
      "job cccccccc 0 0 0",
      "79 boot.0 79 79 300 web1",
      "   ",
      "spoiled",
      "@n end 1000",
      "",
    ].join("\n");
    expect(readJobs(said, "n")).toEqual([
      {
        id: "aaaaaaaa",
        command: "a\nb",
        session: "main",
        state: { is: "ended", exit: { signal: "KILL" }, ended: 160_000, diskFull: true },
        started: 100_000,
        now: 1_000_000,
        stdout: 0,
        stderr: 3,
      },
      expect.objectContaining({ id: "bbbbbbbb", command: "sleep 9", state: { is: "running" }, stdout: 12 }),
      expect.objectContaining({ id: "cccccccc", command: "?", state: { is: "lost" } }),
    ]);
  });
});

describe("sessions as tmux and screen tell them", () => {
  it.each([
    ["", undefined],
    ["keeper job", "job"],
    ["keeper screen\nkeeper job", "screen"],
    ["keeper tmux\nkeeper screen\nkeeper job", "tmux"],
  ])("%j: new ones are kept by %s", (said, keeper) => {
    expect(readSessions(said)).toEqual({ all: [], keeper });
  });

  it("are found by their lines", () => {
    // tmux 3.3a and screen 4.09 of Debian 12; a screen of an older system has no date.
    const said = [
      "keeper tmux",
      "tmux 1795633824 0 build",
      "tmux 1795633825 2 with blanks in it",
      "keeper screen",
      "There are screens on:",
      "\t4242.main\t(11/25/26 19:13:11)\t(Detached)",
      "\t4243.other.one\t(Attached)",
      "\t4244.gone\t(11/25/26 19:13:11)\t(Dead ???)",
      "2 Sockets in /run/screen/S-root.",
    ].join("\n");
    expect(readSessions(said).all).toEqual([
      { name: "build", by: "tmux", attached: false, started: 1_795_633_824_000, handle: "=build" },
      {
        name: "with blanks in it",
        by: "tmux",
        attached: true,
        started: 1_795_633_825_000,
        handle: "=with blanks in it",
      },
      { name: "main", by: "screen", attached: false, handle: "4242.main" },
      { name: "other.one", by: "screen", attached: true, handle: "4243.other.one" },
    ]);
  });
});
