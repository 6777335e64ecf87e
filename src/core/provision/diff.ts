/** Diffs: what changes in text, as people know it from `diff -u`. */
import { isUtf8 } from "node:buffer";
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
  /** What a file holds after the changes shown so far: many lines may go into one. */
  const now = new Map<string, Buffer | undefined>();
  for (const { item, user, diff } of wanted) {
    if (item.wish.secret) {
      out.set(item, `${out.get(item) ?? ""}--- ${diff.path}\n+++ ${diff.path}\nholds a secret: not shown\n`);
      now.set(diff.path, undefined);
      continue;
    }
    const was = facts?.(user).get({ kind: "content", path: diff.path });
    const before = now.has(diff.path) ? { bytes: now.get(diff.path) ?? Buffer.alloc(0), truncated: false } : was;
    const after = typeof diff.after === "function" ? diff.after(before?.bytes ?? Buffer.alloc(0)) : diff.after;
    if (before?.truncated !== true) now.set(diff.path, after);
    const text = await unifiedDiff(diff.path, before, after);
    if (text !== undefined) out.set(item, (out.get(item) ?? "") + mask(text, options.secrets));
  }
  return out;
}

/** So many lines may differ: what takes longer to compute, nobody reads either. */
const maxEdits = 2000;

/** Undefined when nothing can be shown: equal. Binary and very large content is said, not shown. */
export async function unifiedDiff(
  path: string,
  before: Answers["content"],
  after: Buffer | undefined,
): Promise<string | undefined> {
  if (before !== undefined && after !== undefined && !before.truncated && before.bytes.equals(after)) return undefined;
  if (isBinary(before?.bytes) || isBinary(after)) return `--- ${path}\n+++ ${path}\nbinary content differs\n`;
  if (before?.truncated === true || (after?.length ?? 0) > largest)
    return `--- ${path}\n+++ ${path}\ntoo large to show\n`;
  const { createTwoFilesPatch } = await import("diff");
  const patch = createTwoFilesPatch(
    before === undefined ? "/dev/null" : path,
    after === undefined ? "/dev/null" : path,
    before?.bytes.toString("utf8") ?? "",
    after?.toString("utf8") ?? "",
    undefined,
    undefined,
    // A file that comes or goes whole needs no search.
    { context: 3, ...(before === undefined || after === undefined ? {} : { maxEditLength: maxEdits }) },
  );
  return patch === undefined
    ? `--- ${path}\n+++ ${path}\ntoo large to show\n`
    : patch.replace(/^(Index: .*\n)?=+\n/, "");
}

const largest = 256 * 1024;

/** Not text, or text that would steer a terminal. */
function isBinary(bytes: Buffer | undefined): boolean {
  if (bytes === undefined) return false;
  // eslint-disable-next-line no-control-regex
  return !isUtf8(bytes) || /[\0-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]/.test(bytes.toString("utf8"));
}
