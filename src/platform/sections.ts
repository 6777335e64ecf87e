/**
 * Sections: how one shell program answers many questions at once. Each answer begins with a line of its own: the
 * character RS (octal 036), which no text file holds, and a name.
 */
export type Sections = ReadonlyMap<string, string>;

const mark = "\x1e";

/** The last section of every program. Without it the program did not come to its end. */
export const endSection = "end";

export function readSections(text: string): Sections {
  const sections = new Map<string, string>();
  // What stands before the first mark was printed by a login script.
  for (const part of text.split(mark).slice(1)) {
    const newline = part.indexOf("\n");
    const name = newline < 0 ? part : part.slice(0, newline);
    const body = newline < 0 ? "" : part.slice(newline + 1);
    // A question may be answered in several places; the first that has something to say wins.
    if ((sections.get(name) ?? "") === "") sections.set(name, body.replace(/\r/g, "").replace(/\n+$/, ""));
  }
  return sections;
}

/** The lines of a section that hold something; none when it is missing. */
export function linesOf(sections: Sections, name: string): string[] {
  return (sections.get(name) ?? "").split("\n").filter((line) => line.trim() !== "");
}

/** `name: value`, `name = value` and `name\tvalue` lines; the first of each name. */
export function pairsOf(text: string, separator: RegExp): Map<string, string> {
  const pairs = new Map<string, string>();
  for (const line of text.split("\n")) {
    const at = separator.exec(line);
    if (at === null) continue;
    const key = line.slice(0, at.index).trim();
    if (key !== "" && !pairs.has(key)) pairs.set(key, line.slice(at.index + at[0].length).trim());
  }
  return pairs;
}

/** A number, or undefined for anything else. */
export function numberOf(text: string | undefined): number | undefined {
  if (text === undefined || text.trim() === "") return undefined;
  const number = Number(text.trim());
  return Number.isFinite(number) ? number : undefined;
}
