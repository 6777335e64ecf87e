/** Terminal modes: what a program switched on in the terminal, so that it can be switched back when the program cannot. */

export interface Modes {
  /** Tells what was written to the terminal. */
  see(bytes: Buffer): void;
  /** What to write to get the terminal back as it was; empty when nothing is amiss. */
  undo(): string;
}

/** Follows DEC private modes: other screen, mouse, hidden cursor, cursor and keypad keys, bracketed paste, focus. */
export function createModes(): Modes {
  const changed = new Map<string, "h" | "l">();
  let tail = "";
  return {
    see(bytes) {
      const text = tail + bytes.toString("latin1");
      for (const [, modes = "", set] of text.matchAll(/\x1b\[\?([\d;]+)([hl])/g)) {
        for (const mode of modes.split(";")) {
          if (set === usual[mode]) changed.delete(mode);
          else if (mode in usual && (set === "h" || set === "l")) changed.set(mode, set);
        }
      }
      // A sequence may be torn between two pieces.
      tail = /\x1b(?:\[(?:\?[\d;]*)?)?$/.exec(text)?.[0] ?? "";
    },
    undo() {
      const back = [...changed.keys()].map((mode) => `\x1b[?${mode}${usual[mode]}`).join("");
      return back === "" ? "" : `${back}\x1b[0m\x1b>`;
    },
  };
}

/** Modes as terminals have them between programs. */
const usual: Readonly<Record<string, "h" | "l">> = {
  "1": "l",
  "25": "h",
  "47": "l",
  "1000": "l",
  "1002": "l",
  "1003": "l",
  "1004": "l",
  "1005": "l",
  "1006": "l",
  "1015": "l",
  "1047": "l",
  "1049": "l",
  "2004": "l",
};
