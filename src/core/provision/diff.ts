/** Diffs: what changes in text, as people know it from `diff -u`. */
import type { Answers } from "../facts.ts";

/** Undefined when nothing can be shown: equal. Binary and very large content is said, not shown. */
export async function unifiedDiff(
  path: string,
  before: Answers["content"],
  after: string | undefined,
  afterBytes?: Buffer,
): Promise<string | undefined> {
  const old = before?.bytes.toString("utf8") ?? "";
  if (isBinary(before?.bytes) || isBinary(afterBytes)) return `--- ${path}\n+++ ${path}\nbinary content differs\n`;
  if (before?.truncated === true) return `--- ${path}\n+++ ${path}\ntoo large to show\n`;
  if (old === (after ?? "")) return undefined;
  const { createTwoFilesPatch } = await import("diff");
  const patch = createTwoFilesPatch(
    before === undefined ? "/dev/null" : path,
    after === undefined ? "/dev/null" : path,
    old,
    after ?? "",
    undefined,
    undefined,
    { context: 3 },
  );
  return patch.replace(/^(Index: .*\n)?=+\n/, "");
}

function isBinary(bytes: Buffer | undefined): boolean {
  return bytes !== undefined && bytes.subarray(0, 8192).includes(0);
}
