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
