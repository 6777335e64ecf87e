/** Trailing: our flags after the one word of a pass-through command, as people write them: `execute "uptime" --target web1`. */
import type { Flag } from "./flags.ts";
import { takesNextWord } from "./words.ts";

/**
 * Words in an order that is read as meant. Dashes after the first word belong to the remote program, unless all that
 * follows that word are flags of ours and one of them names targets: then they are moved before it. A second word that
 * is no flag, or `--` anywhere, leaves everything as it is: `execute cargo build --target x86_64` is cargo's.
 */
export function leadTrailing(words: readonly string[], flags: readonly Flag[]): readonly string[] {
  const first = endOfFlags(words, 0, flags);
  const word = words[first];
  if (word === undefined || word.startsWith("-")) return words;
  const rest = words.slice(first + 1);
  const namesTargets = rest.some((flag) => /^--(target|targets-file)(=|$)/.test(flag));
  if (!namesTargets || endOfFlags(rest, 0, flags) < rest.length) return words;
  return [...words.slice(0, first), ...rest, "--", word];
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
