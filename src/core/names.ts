/** Names: words that stand for several: `web*`, `web?`, `web[1-3]`, comma lists. Pure. */
import { AmiError } from "./errors.ts";

/** Cuts at commas and white space around them; `a, b` is two words. Empty ones are dropped. */
export function splitList(words: readonly string[]): string[] {
  return words
    .flatMap((word) => word.split(","))
    .map((word) => word.trim())
    .filter((word) => word !== "");
}

export function isPattern(word: string): boolean {
  return /[*?]/.test(word);
}

/** `*` and `?`; case counts. */
export function matchesName(name: string, pattern: string): boolean {
  const source = pattern
    .replaceAll(/[.+^${}()|[\]\\/]/g, "\\$&")
    .replaceAll(/\*+/g, ".*")
    .replaceAll("?", ".");
  return new RegExp(`^${source}$`, "s").test(name);
}

/** `web[1-3]` is web1, web2, web3; `[01-10]` keeps its zeros, `[a-c]` works too. Several in one word multiply. */
export function expandRanges(word: string): string[] {
  const range = /\[(?:(\d{1,9})-(\d{1,9})|([a-z])-([a-z])|([A-Z])-([A-Z]))\]/.exec(word);
  if (range === null) return [word];
  const [all, from, to, ...letters] = range;
  const [first, last] = letters.filter((letter) => letter !== undefined);
  const items =
    first === undefined || last === undefined ? numbers(word, from ?? "", to ?? "") : lettersOf(word, first, last);
  const rests = expandRanges(word.slice(range.index + all.length));
  const start = word.slice(0, range.index);
  if (items.length * rests.length > maxNames) throw badRange(word, `stands for more than ${maxNames} names`);
  return items.flatMap((item) => rests.map((rest) => start + item + rest));
}

const maxNames = 10_000;

function numbers(word: string, from: string, to: string): string[] {
  const count = Number(to) - Number(from) + 1;
  if (count < 1) throw badRange(word, "counts downwards");
  if (count > maxNames) throw badRange(word, `stands for more than ${maxNames} names`);
  return Array.from({ length: count }, (_, i) =>
    String(Number(from) + i).padStart(from.startsWith("0") ? from.length : 0, "0"),
  );
}

function lettersOf(word: string, from: string, to: string): string[] {
  const count = to.charCodeAt(0) - from.charCodeAt(0) + 1;
  if (count < 1) throw badRange(word, "counts downwards");
  return Array.from({ length: count }, (_, i) => String.fromCharCode(from.charCodeAt(0) + i));
}

function badRange(word: string, why: string): AmiError {
  return new AmiError("usage.target", `target ${JSON.stringify(word)}: the range ${why}`, {
    hint: "write web[1-3], web[01-12] or rack[a-d]",
  });
}
