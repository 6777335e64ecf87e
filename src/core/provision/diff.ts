/** Diffs: what changes in text, as people know it from `diff -u`. */
import type { Answers, Probe } from "../facts.ts";
import { mask } from "../secret.ts";
import type { Observer } from "./observer.ts";
import type { Item } from "./plan.ts";
import type { UserKey } from "./sessions.ts";
import type { Wish } from "./wish.ts";

/** The diffs of all files that would change. One more round trip a user brings their old contents; `secrets` are masked. */
export async function diffsOf(
  items: readonly Item[],
  observer: Observer,
  options: { userOf(wish: Wish): UserKey; readonly secrets: readonly string[] },
): Promise<Map<Item, string>> {
  const wanted = items.flatMap((item) =>
    item.kind === "change"
      ? item.changes.flatMap(({ diff }) =>
          diff === undefined ? [] : [{ item, user: options.userOf(item.wish), diff }],
        )
      : [],
  );
  const shown = wanted.filter(({ item }) => !item.wish.secret);
  const questions = new Map<UserKey, Probe[]>();
  for (const { user, diff } of shown)
    questions.set(user, [...(questions.get(user) ?? []), { kind: "content", path: diff.path }]);
  const facts = questions.size === 0 ? undefined : await observer.ask(questions);
  const out = new Map<Item, string>();
  for (const { item, user, diff } of wanted) {
    const before = item.wish.secret ? undefined : facts?.(user).get({ kind: "content", path: diff.path });
    const text = item.wish.secret
      ? `--- ${diff.path}\n+++ ${diff.path}\nholds a secret: not shown\n`
      : await unifiedDiff(diff.path, before, diff.after);
    if (text !== undefined) out.set(item, (out.get(item) ?? "") + mask(text, options.secrets));
  }
  return out;
}

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
