import { describe, expect, it } from "vitest";
import { judge, judgeRuns, judgeTrees, skip, startGoal } from "../../../bench/verdicts.ts";

describe("a figure", () => {
  it.each([
    [2, "<=", 2, "pass"],
    [2.01, "<=", 2, "FAIL"],
    [100, "<", 100, "FAIL"],
    [99, "<", 100, "pass"],
    [50, ">=", 50, "pass"],
    [49.9, ">=", 50, "FAIL"],
  ] as const)("of %d against %s %d: %s", (value, sign, goal, outcome) => {
    expect(judge("x", value, sign, goal).outcome).toBe(outcome);
  });

  it.each([NaN, Math.max(), 1 / 0])("that is none (%d) fails in every direction", (value) => {
    for (const sign of ["<=", "<", ">="] as const)
      expect(judge("x", value, sign, 5, " MB")).toEqual({
        what: "x",
        measured: "nothing",
        goal: `${sign} 5 MB`,
        outcome: "FAIL",
      });
  });

  it("that cannot be had here is named with its reason", () => {
    expect(skip("beside docker", "docker")).toMatchObject({ outcome: "skip", measured: "no docker" });
  });
});

describe("runs", () => {
  it("that ended badly are a failure, however many went well", () => {
    const runs = [0, 3, 0, 3, 124].map((rc) => ({ label: "bp100/ami-node/10/first", rc }));
    expect(judgeRuns([...runs, { label: "ssh", rc: 0 }])).toEqual([
      { what: "bp100/ami-node/10/first", measured: "exit 3, 124", goal: "exit 0", outcome: "FAIL" },
    ]);
    expect(judgeRuns([{ label: "ssh", rc: 0 }])).toEqual([]);
  });
});

describe("start-up", () => {
  it("is promised to be twice docker's at most, and 3.5 times with Node inside", () => {
    expect(["dist/bin/ami-node-linux-x64", "ami-node-linux-x64-musl", "ami-node-linux-x64-sea"].map(startGoal)).toEqual(
      [2, 2, 3.5],
    );
  });
});

describe("trees", () => {
  const [a, b] = ["0123456789ab", "ba9876543210"];
  const said = (first: string, noop: string, peer = `10 ${a} `): string =>
    `noise\nbp100/ansible/10 first: ${peer}\nbp100/ansible/10 noop:  10 ${a} \nbp100/ami-node/10 first: ${first}\nbp100/ami-node/10 noop:  ${noop}\n`;
  const judged = (text: string) => judgeTrees(text, 10, 100, ["ansible", "ami-node"]);

  it("are the same on all hosts after all tools", () => {
    expect(judged(said(`10 ${a} `, `10 ${a} `))).toMatchObject({ outcome: "pass", measured: "1 different" });
  });

  it.each([
    ["another tree", said(`10 ${a} `, `10 ${b} `), "2 different"],
    ["another tree on one host", said(`9 ${a} 1 ${b} `, `10 ${a} `), "2 different"],
    ["a host without one", said(`9 ${a} `, `10 ${a} `), "bp100/ami-node/10 first: 9 of 10 hosts"],
    ["no digest", said("", `10 ${a} `), "bp100/ami-node/10 first: 0 of 10 hosts"],
    ["no digest of the peer", said(`10 ${a} `, `10 ${a} `, ""), "bp100/ansible/10 first: 0 of 10 hosts"],
    ["nothing said", "", "bp100/ansible/10 first: 0 of 10 hosts"],
  ])("fail with %s", (_, text, measured) => {
    expect(judged(text)).toMatchObject({ outcome: "FAIL", measured });
  });
});
