import { setTimeout as sleep } from "node:timers/promises";
import { stripVTControlCharacters } from "node:util";
import { describe, expect, it, vi } from "vitest";
import { createEvents, noCounts } from "../../../src/core/events.ts";
import type { EventBody, Outcome } from "../../../src/core/events.ts";
import { noPaint } from "../../../src/ui/paint.ts";
import { openTree } from "../../../src/ui/tree.ts";
import { fakeTerminal } from "./streams.ts";

async function open(rows = 24) {
  const terminal = fakeTerminal(80, rows);
  const tree = await openTree(terminal.stream, noPaint);
  const events = createEvents("run1");
  events.subscribe(tree.listener);
  return { tree, emit: events.emit, seen: () => stripVTControlCharacters(terminal.written()), raw: terminal.written };
}

/** The last frame: what stays on the terminal, times left out. */
function last(seen: string, title: string): string[] {
  const frame = seen.slice(seen.lastIndexOf(title) - 2);
  return frame
    .replaceAll(/ {2}(\d+ ms|[\d.]+ s)$/gm, "")
    .split("\n")
    .map((line) => line.trimEnd())
    .filter(Boolean);
}

const start = (host: string, index: number, title: string): EventBody => ({
  kind: "step.start",
  host,
  step: title,
  title,
  index,
  total: 4,
});
const end = (host: string, index: number, title: string, outcome: Outcome, more: object = {}): EventBody => ({
  kind: "step.end",
  host,
  step: title,
  title,
  index,
  total: 4,
  ms: 5,
  outcome,
  ...more,
});
const hostEnd = (host: string, outcome: Outcome, counts: object): EventBody => ({
  kind: "host.end",
  host,
  outcome,
  ms: 1200,
  counts: { ...noCounts(), ...counts },
});

describe("the tree", () => {
  it("says of what is pending that it is, without the mark of what was done", async () => {
    const { tree, emit, seen } = await open();
    emit({ kind: "run.start", title: "provision web", hosts: ["web1"] });
    emit({ kind: "host.start", host: "web1" });
    emit(end("web1", 1, "file /etc/x", "pending", { changes: ["content"], ms: 0 }));
    emit(end("web1", 2, "file /etc/y", "changed", { changes: ["content"], ms: 0 }));
    emit(hostEnd("web1", "pending", { pending: 1, changed: 1 }));
    emit({ kind: "run.end", outcome: "pending", ms: 1 });
    await tree.close();
    const lines = last(seen(), "provision web").map((line) => line.trim());
    expect(lines).toContainEqual(expect.stringMatching(/^[^\w✔]+ file \/etc\/x {2}pending {2}content$/));
    expect(lines).toContainEqual(expect.stringMatching(/^✔ file \/etc\/y {2}content$/));
  });

  it("shows hosts and the steps that changed something or failed; the rest is counted", async () => {
    const { tree, emit, seen } = await open();
    emit({ kind: "run.start", title: "provision web", hosts: ["web1", "web2"] });
    for (const host of ["web1", "web2"]) {
      emit({ kind: "host.start", host });
      emit(end(host, 1, "directory /srv", "same"));
      emit(start(host, 2, "file /etc/x"));
      emit(end(host, 2, "file /etc/x", "changed", { changes: ["content"] }));
      emit(start(host, 3, "command true"));
      emit(end(host, 3, "command true", host === "web1" ? "same" : "failed"));
      emit(
        hostEnd(
          host,
          host === "web1" ? "changed" : "failed",
          host === "web1" ? { changed: 1, same: 2 } : { changed: 1, same: 1, failed: 1 },
        ),
      );
    }
    emit({ kind: "run.end", outcome: "failed", ms: 1200 });
    await tree.close();
    expect(last(seen(), "provision web")).toEqual([
      "✖ provision web  2/2 hosts",
      "  ✔ web1  1 changed, 2 same",
      "    ✔ file /etc/x  content",
      "  ✖ web2  1 changed, 1 same, 1 failed",
      "    ✔ file /etc/x  content",
      "    ✖ command true",
    ]);
  });

  it("shows what is at work, with a clock", async () => {
    const { tree, emit, seen } = await open();
    emit({ kind: "run.start", title: "provision web", hosts: ["web1"] });
    emit({ kind: "host.start", host: "web1" });
    emit(start("web1", 2, "package nginx"));
    await vi.waitFor(() => expect(seen()).toMatch(/web1 {2}2\/4 {2}\d+ ms\n.*package nginx/), 5000);
    emit({ kind: "progress", host: "web1", title: "put big.iso", done: 50, total: 200, unit: "bytes" });
    await vi.waitFor(() => expect(seen()).toContain("put big.iso 25 % of 200 B"), 5000);
    await tree.close();
    expect(last(seen(), "provision web")).toEqual(["✖ provision web", "  ✖ web1  not finished", "    ✖ package nginx"]);
  });

  it("lets lines pass above, in order, and never tears them", async () => {
    const { tree, emit, seen } = await open();
    const passed: string[] = [];
    const stream = (text: string): void => tree.above(() => passed.push(text));
    stream("before");
    expect(passed).toEqual(["before"]);
    emit({ kind: "run.start", title: "provision web", hosts: ["web1"] });
    emit({ kind: "host.start", host: "web1" });
    await vi.waitFor(() => expect(seen()).toContain("web1"), 5000);
    stream("one");
    stream("two");
    await vi.waitFor(() => expect(passed).toEqual(["before", "one", "two"]), 5000);
    stream("three");
    await tree.close();
    expect(passed).toEqual(["before", "one", "two", "three"]);
  });

  it("is gone while a question is asked, and comes back", async () => {
    const { tree, emit, seen } = await open();
    emit({ kind: "run.start", title: "provision web", hosts: ["web1"] });
    emit({ kind: "host.start", host: "web1" });
    await vi.waitFor(() => expect(seen()).toContain("web1"), 5000);
    let during = "";
    await tree.suspend(async () => {
      const before = seen().length;
      await sleep(400);
      during = seen().slice(before);
    });
    expect(during).toBe("");
    const before = seen().length;
    await vi.waitFor(() => expect(seen().slice(before)).toContain("web1"), 5000);
    await tree.close();
  });

  it("draws nothing when nothing has begun", async () => {
    const { tree, raw } = await open();
    await tree.close();
    expect(raw()).toBe("");
  });
});

describe("the tree of many hosts", () => {
  const hosts = Array.from({ length: 200 }, (_, i) => `web${i}`);

  it("shows as many as there is room for, and in the end only those that failed", async () => {
    const { tree, emit, seen } = await open(20);
    emit({ kind: "run.start", title: "provision web", hosts });
    expect(tree.crowded).toBe(true);
    for (const host of hosts) emit({ kind: "host.start", host });
    await vi.waitFor(() => expect(seen()).toContain("web0"), 5000);
    expect(seen()).not.toContain("web100");
    for (const host of hosts) emit(hostEnd(host, host === "web150" ? "failed" : "same", { same: 4 }));
    emit({ kind: "run.end", outcome: "failed", ms: 1 });
    await tree.close();
    expect(last(seen(), "provision web")).toEqual(["✖ provision web  200/200 hosts", "  ✖ web150  4 same"]);
  });

  it("stays cheap: twenty thousand events are a handful of frames", async () => {
    const { tree, emit, raw } = await open(40);
    emit({ kind: "run.start", title: "provision web", hosts });
    for (const host of hosts) emit({ kind: "host.start", host });
    for (let index = 1; index <= 50; index++) {
      for (const host of hosts) emit(start(host, index, `file /${index}`));
      for (const host of hosts) emit(end(host, index, `file /${index}`, "same"));
      await sleep(1);
    }
    for (const host of hosts) emit(hostEnd(host, "same", { same: 50 }));
    emit({ kind: "run.end", outcome: "same", ms: 1 });
    await tree.close();
    // A frame is at most 40 lines of 80 cells and their colours.
    const frames = raw().split("\u001b[?2026h").length;
    expect(raw().length).toBeLessThan(frames * 40 * 200);
    expect(frames).toBeLessThan(400);
  });
});
