/** Keys: what is typed while a recording plays. Pure. */

export type PlayKey = "pause" | "step" | "quit" | "interrupt" | { readonly seek: number };

/**
 * The keys in a piece of what came from the terminal. Programs that are played ask it who it is and where its cursor
 * stands; what it answers, and what a mouse says, is none of them.
 */
export function playKeys(text: string): PlayKey[] {
  const keys: PlayKey[] = [];
  for (const [word] of text.matchAll(/\x1b[P\]X^_][^\x07\x1b]*(?:\x07|\x1b\\)|\x1b[[O][0-?]*[ -/]*[@-~]|[^]/g)) {
    const key = meanings[word];
    if (key !== undefined) keys.push(key);
  }
  return keys;
}

/** Milliseconds. */
const [short, long] = [5000, 60_000];

const meanings: Readonly<Record<string, PlayKey>> = {
  " ": "pause",
  ".": "step",
  q: "quit",
  "\x03": "interrupt",
  "\x1b[C": { seek: short },
  "\x1b[D": { seek: -short },
  "\x1b[A": { seek: long },
  "\x1b[B": { seek: -long },
  "\x1bOC": { seek: short },
  "\x1bOD": { seek: -short },
  "\x1bOA": { seek: long },
  "\x1bOB": { seek: -long },
};
