import { expect, it } from "vitest";
import { unifiedDiff } from "../../../../src/core/provision/diff.ts";

const old = (text: string) => ({ bytes: Buffer.from(text), truncated: false });

it("shows what changes with its surroundings", async () => {
  expect(await unifiedDiff("/etc/x", old("a\nb\nc\n"), "a\nB\nc\n")).toBe(
    "--- /etc/x\n+++ /etc/x\n@@ -1,3 +1,3 @@\n a\n-b\n+B\n c\n",
  );
});
it("a new and a removed file stand against /dev/null", async () => {
  expect(await unifiedDiff("/etc/x", undefined, "a\n")).toContain("--- /dev/null\n+++ /etc/x\n");
  expect(await unifiedDiff("/etc/x", old("a\n"), undefined)).toContain("--- /etc/x\n+++ /dev/null\n");
});
it("equal text has no diff", async () => {
  expect(await unifiedDiff("/etc/x", old("a\n"), "a\n")).toBeUndefined();
});
it("binary and huge content is said, not shown", async () => {
  expect(await unifiedDiff("/x", { bytes: Buffer.from([1, 0, 2]), truncated: false }, "a")).toContain(
    "binary content differs",
  );
  expect(await unifiedDiff("/x", { bytes: Buffer.from("a"), truncated: true }, "b")).toContain("too large to show");
});
