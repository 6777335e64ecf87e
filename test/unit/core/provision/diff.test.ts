import { expect, it } from "vitest";
import { diffsOf, unifiedDiff } from "../../../../src/core/provision/diff.ts";
import type { Observer } from "../../../../src/core/provision/observer.ts";
import type { Item } from "../../../../src/core/provision/plan.ts";

const old = (text: string) => ({ bytes: Buffer.from(text), truncated: false });

it("shows what changes with its surroundings", async () => {
  expect(await unifiedDiff("/etc/x", old("a\nb\nc\n"), Buffer.from("a\nB\nc\n"))).toBe(
    "--- /etc/x\n+++ /etc/x\n@@ -1,3 +1,3 @@\n a\n-b\n+B\n c\n",
  );
});
it("a new and a removed file stand against /dev/null", async () => {
  expect(await unifiedDiff("/etc/x", undefined, Buffer.from("a\n"))).toContain("--- /dev/null\n+++ /etc/x\n");
  expect(await unifiedDiff("/etc/x", old("a\n"), undefined)).toContain("--- /etc/x\n+++ /dev/null\n");
});
it("equal text has no diff", async () => {
  expect(await unifiedDiff("/etc/x", old("a\n"), Buffer.from("a\n"))).toBeUndefined();
});
it("binary and huge content is said, not shown", async () => {
  expect(await unifiedDiff("/x", { bytes: Buffer.from([1, 0, 2]), truncated: false }, Buffer.from("a"))).toContain(
    "binary content differs",
  );
  expect(await unifiedDiff("/x", { bytes: Buffer.from("a"), truncated: true }, Buffer.from("b"))).toContain(
    "too large to show",
  );
});

it("content that would steer a terminal is said, not shown", async () => {
  expect(await unifiedDiff("/x", undefined, Buffer.from("\u001b]0;evil\u0007"))).toContain("binary content differs");
  expect(await unifiedDiff("/x", undefined, Buffer.from([0xff, 0xfe, 10]))).toContain("binary content differs");
});
it("what nobody could read is not computed", async () => {
  const lines = (word: string) => Buffer.from(Array.from({ length: 20_000 }, (_, i) => `${word}${i}\n`).join(""));
  const before = { bytes: lines("a"), truncated: false };
  expect(await unifiedDiff("/x", before, lines("b"))).toContain("too large to show");
});
it("secrets are masked in what is shown, and what is made of one is not shown at all", async () => {
  const item = (secret: boolean): Item =>
    ({
      kind: "change",
      wish: { secret },
      changes: [{ summary: "", steps: [], diff: { path: "/x", after: Buffer.from("pw=hunter2\n") } }],
    }) as unknown as Item;
  const items = [item(false), item(true)];
  const observer = {
    ask: async () => Promise.resolve(() => ({ get: () => undefined })),
  } as unknown as Observer;
  const diffs = await diffsOf(items, observer, { userOf: () => "", secrets: ["hunter2"] });
  const [open, secret] = [...diffs.values()];
  expect(open).toContain("+pw=••••••");
  expect(secret).toContain("holds a secret: not shown");
  expect(secret).not.toContain("pw=");
});
