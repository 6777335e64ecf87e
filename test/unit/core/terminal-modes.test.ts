import { describe, expect, it } from "vitest";
import { createModes } from "../../../src/core/terminal-modes.ts";

function undoAfter(...pieces: string[]): string {
  const modes = createModes();
  for (const piece of pieces) modes.see(Buffer.from(piece, "latin1"));
  return modes.undo();
}

describe("getting the terminal back from a program that could not say goodbye", () => {
  it("does nothing after one that changed nothing, or put everything back", () => {
    expect(undoAfter("hello\r\n")).toBe("");
    expect(undoAfter("\x1b[?1049h\x1b[?25l editing \x1b[?25h\x1b[?1049l")).toBe("");
  });

  it("leaves the other screen, shows the cursor and frees the mouse", () => {
    expect(undoAfter("\x1b[?1049h\x1b[?25l\x1b[?1000;1006h")).toBe(
      "\x1b[?1049l\x1b[?25h\x1b[?1000l\x1b[?1006l\x1b[0m\x1b>",
    );
  });

  it("sees sequences that are torn between two pieces, at any place", () => {
    const whole = "\x1b[?1049h";
    for (let cut = 1; cut < whole.length; cut++)
      expect(undoAfter(whole.slice(0, cut), whole.slice(cut))).toContain("\x1b[?1049l");
  });

  it("leaves modes alone that it does not know", () => {
    expect(undoAfter("\x1b[?7l\x1b[?12h\x1b[4h")).toBe("");
  });
});
