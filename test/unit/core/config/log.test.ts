import { mkdir, mkdtemp, readFile, readdir, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { openLog } from "../../../../src/core/config/log.ts";
import { createEvents, noCounts } from "../../../../src/core/events.ts";
import type { EventBody, Outcome } from "../../../../src/core/events.ts";

let dir: string;
let file: string;
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), "ami-log-"));
  file = join(dir, "state", "ami-node.log");
});
afterEach(() => rm(dir, { recursive: true, force: true }));

const step = (outcome: Outcome, stderr = "complained"): EventBody => ({
  kind: "step.end",
  host: "web1",
  step: "a",
  title: "file /x",
  index: 1,
  total: 1,
  ms: 1,
  outcome,
  diff: "+text",
  stdout: "said",
  stderr,
});

const everything: readonly EventBody[] = [
  { kind: "run.start", title: "mysql -ps3cret", hosts: ["web1"] },
  { kind: "host.start", host: "web1" },
  { kind: "step.start", host: "web1", step: "a", title: "file /x", index: 1, total: 1 },
  step("same"),
  step("changed", "chatted"),
  step("failed"),
  { kind: "output", host: "web1", stream: "stdout", data: "data" },
  { kind: "progress", host: "web1", title: "put", done: 1, unit: "bytes" },
  { kind: "note", level: "info", text: "fine" },
  { kind: "note", level: "warn", text: "careful" },
  { kind: "host.end", host: "web1", outcome: "changed", ms: 3, counts: noCounts() },
  { kind: "host.end", host: "web2", outcome: "failed", ms: 3 },
  { kind: "run.end", outcome: "failed", ms: 4 },
  { kind: "result", exit: 3, output: { large: "x" } },
];

async function kinds(level: "off" | "errors" | "actions"): Promise<string[]> {
  const log = openLog(file, level);
  const events = createEvents("r1", () => 0);
  events.subscribe(log.listener);
  for (const event of everything) events.emit(event);
  log.ended({ run: "r1", command: "provision", targets: ["web1"], exit: 0, ms: 5 });
  log.ended({ run: "r1", command: "provision", targets: ["web1"], exit: 3, ms: 5 });
  return (await lines()).map((line) => [line["kind"], line["outcome"] ?? line["exit"] ?? ""].join(" ").trim());
}

async function lines(): Promise<Record<string, unknown>[]> {
  const text = await readFile(file, "utf8").catch(() => "");
  return text
    .split("\n")
    .filter(Boolean)
    .map((line) => JSON.parse(line));
}

describe("the log file", () => {
  it("keeps actions and errors", async () => {
    expect(await kinds("actions")).toEqual([
      "run.start",
      "step.end changed",
      "step.end failed",
      "note",
      "host.end changed",
      "host.end failed",
      "run.end failed",
      "command 0",
      "command 3",
    ]);
  });

  it("keeps errors only when told so, or nothing", async () => {
    expect(await kinds("errors")).toEqual([
      "step.end failed",
      "note",
      "host.end failed",
      "run.end failed",
      "command 3",
    ]);
    await rm(file);
    expect(await kinds("off")).toEqual([]);
  });

  it("keeps no command lines, no diffs and no output of programs, but what a failed step complained of", async () => {
    await kinds("actions");
    const text = await readFile(file, "utf8");
    expect(text).toContain("complained");
    expect(text).not.toMatch(/s3cret|\+text|said|chatted|data|large/);
  });

  it("says when and who, and is for its owner only", async () => {
    await kinds("actions");
    expect((await lines())[0]).toMatchObject({ at: "1970-01-01T00:00:00.000Z", pid: process.pid, run: "r1" });
    expect((await stat(file)).mode & 0o777).toBe(0o600);
  });

  it("is kept in three files that never outgrow their size", async () => {
    const log = openLog(file, "actions", 1000);
    for (let i = 0; i < 60; i++) log.ended({ run: `run-${i}`, command: "c", targets: [], exit: 0, ms: 0 });
    const names = (await readdir(join(dir, "state"))).toSorted();
    expect(names).toEqual(["ami-node.log", "ami-node.log.1", "ami-node.log.2"]);
    const read = await Promise.all(names.map((name) => readFile(join(dir, "state", name), "utf8")));
    for (const text of read) expect(text.length).toBeLessThanOrEqual(1000);
    expect(read[0]).toContain("run-59");
    // Nothing is missing between the newest and the oldest line kept.
    const kept = [...`${read[2]}${read[1]}${read[0]}`.matchAll(/run-(\d+)/g)].map(([, n]) => Number(n));
    expect(kept).toEqual(Array.from({ length: kept.length }, (_, i) => 60 - kept.length + i));
  });

  it("goes on where an earlier run stopped", async () => {
    await mkdir(join(dir, "state"));
    await writeFile(file, "x".repeat(990));
    openLog(file, "actions", 1000).ended({ run: "r", command: "c", targets: [], exit: 0, ms: 0 });
    expect(await readFile(`${file}.1`, "utf8")).toBe("x".repeat(990));
    expect(await lines()).toHaveLength(1);
  });

  it("breaks no command when it cannot be written", async () => {
    await writeFile(join(dir, "state"), "a file where a folder should be");
    const log = openLog(file, "actions");
    expect(() => log.ended({ run: "r", command: "c", targets: [], exit: 0, ms: 0 })).not.toThrow();
  });
});
