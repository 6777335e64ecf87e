/** Trailing: our flags after the one word of a pass-through command, as people write them: `execute uptime --target web1`. */
import type { Flag } from "./flags.ts";
import { takesNextWord } from "./words.ts";

/**
 * Words in an order that is read as meant. Dashes after the first word belong to the remote program, unless all that
 * follows that word are flags of ours and nobody can mean them for a program: the word is a line for the shell (white
 * space is in it, and no program is called so), or one of the flags goes on with our sentence (--target, --then). Then
 * they are moved before it. A second word that is no flag, or `--` anywhere, leaves everything as it is:
 * `execute cargo build --target x86_64` is cargo's.
 */
export function leadTrailing(words: readonly string[], flags: readonly Flag[]): readonly string[] {
  const first = endOfFlags(words, 0, flags);
  const word = words[first];
  if (word === undefined || word.startsWith("-")) return words;
  const rest = words.slice(first + 1);
  if (rest.length === 0 || endOfFlags(rest, 0, flags) < rest.length) return words;
  // Words beside a script are arguments of it, and those may hold anything.
  const isLine = /\s/.test(word) && !words.slice(0, first).some((before) => /^--script(=|$)/.test(before));
  const goesOn = rest.some((flag) => /^--(target|targets-file|then)(=|$)/.test(flag));
  return isLine || goesOn ? [...words.slice(0, first), ...rest, "--", word] : words;
}

/**
 * For a pass-through command with a target word: flags of ours may stand on both sides of it, and the program begins at
 * `--` or at the next word: `run web1 --detach -- make`, `run --detach web1 make`. Directly after `--`, and after a
 * `--target`, there is no target word, which the empty word then says.
 */
export function leadTarget(
  before: readonly string[],
  words: readonly string[],
  flags: readonly Flag[],
): readonly string[] {
  const first = endOfFlags(words, 0, flags);
  const target = words[first];
  if (namesTarget([...before, ...words.slice(0, first)]) && target !== undefined && !target.startsWith("-"))
    return [...words.slice(0, first), "--", "", ...words.slice(first)];
  if (target === "--") return [...words.slice(0, first), "--", "", ...words.slice(first + 1)];
  if (target === undefined || target.startsWith("-")) return words;
  const end = endOfFlags(words, first + 1, flags);
  const ours = [...words.slice(0, first), ...words.slice(first + 1, end)];
  const next = words[end];
  if (next !== undefined && next !== "--" && next.startsWith("-")) return [...ours, ...words.slice(end)];
  return [...ours, "--", target, ...words.slice(next === "--" ? end + 1 : end)];
}

/**
 * For a command with a target word and further ones: who has named the targets by a flag before the first word goes on
 * with the others, `attach --target web1 build`. An empty word then stands for the target.
 */
export function withoutTarget(
  before: readonly string[],
  words: readonly string[],
  flags: readonly Flag[],
): readonly string[] {
  const first = endOfFlags(words, 0, flags);
  if (!namesTarget([...before, ...words.slice(0, first)])) return words;
  const at = words[first] === "--" ? first + 1 : first;
  return [...words.slice(0, at), "", ...words.slice(at)];
}

function namesTarget(flags: readonly string[]): boolean {
  return flags.some((flag) => /^--(target|targets-file)(=|$)/.test(flag));
}

/** Index of the first word that is neither one of the flags nor a value of one. */
function endOfFlags(words: readonly string[], from: number, flags: readonly Flag[]): number {
  let i = from;
  while (i < words.length) {
    const [name = "", value] = (words[i] ?? "").split(/=(.*)/s);
    const flag = flags.find(
      (known) => name === `--${known.long}` || (known.short !== undefined && name === `-${known.short}`),
    );
    if (flag === undefined) return i;
    i += value === undefined && takesNextWord(flag) ? 2 : 1;
  }
  return i;
}
