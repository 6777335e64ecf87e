/** Table: columns that line up by what the terminal shows, not by how long the string is. */
import { stripVTControlCharacters } from "node:util";

export interface Column {
  readonly title: string;
  readonly align?: "left" | "right";
}

export interface TableLook {
  /** Lines are cut to this width; undefined: never cut. */
  readonly columns?: number | undefined;
  readonly head?: (text: string) => string;
}

/** Lines without trailing blanks. Rows may be painted. */
export function table(
  columns: readonly Column[],
  rows: readonly (readonly string[])[],
  look: TableLook = {},
): string[] {
  const widths = columns.map((column, i) => Math.max(width(column.title), ...rows.map((row) => width(row[i] ?? ""))));
  const line = (cells: readonly string[]) =>
    columns
      .map((column, i) => pad(cells[i] ?? "", widths[i] ?? 0, column.align))
      .join("  ")
      .trimEnd();
  const head = cut(line(columns.map((column) => column.title)), look.columns);
  return [look.head === undefined ? head : look.head(head), ...rows.map((row) => cut(line(row), look.columns))];
}

function pad(text: string, to: number, align: Column["align"] = "left"): string {
  const fill = " ".repeat(Math.max(0, to - width(text)));
  return align === "right" ? fill + text : text + fill;
}

/** Painted lines are left whole: cutting one would lose the code that ends its colour. */
export function cut(text: string, columns: number | undefined): string {
  if (columns === undefined || width(text) <= columns || stripVTControlCharacters(text) !== text) return text;
  let kept = "";
  let used = 0;
  for (const { segment } of graphemes.segment(text)) {
    used += widthOfGrapheme(segment);
    if (used > columns - 1) return `${kept}…`;
    kept += segment;
  }
  return kept;
}

/** Terminal cells that a text takes: colours none, East Asian wide characters and emoji two. */
export function width(text: string): number {
  if (/^[\x20-\x7e]*$/.test(text)) return text.length;
  let cells = 0;
  for (const { segment } of graphemes.segment(stripVTControlCharacters(text))) cells += widthOfGrapheme(segment);
  return cells;
}

const graphemes = new Intl.Segmenter(undefined, { granularity: "grapheme" });

function widthOfGrapheme(segment: string): number {
  if (/^[\p{Cc}\p{Cf}\p{M}]+$/u.test(segment)) return 0;
  if (/\p{Emoji_Presentation}|\uFE0F/u.test(segment)) return 2;
  return wide.test(segment) ? 2 : 1;
}

/** Hangul, kana, CJK, full-width forms (UAX #11: W and F, by their blocks). */
const wide =
  /^[\u1100-\u115f\u2e80-\u303e\u3041-\u33ff\u3400-\u4dbf\u4e00-\u9fff\ua000-\ua4cf\ua960-\ua97f\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6\u{1b000}-\u{1b2ff}\u{20000}-\u{3fffd}]/u;
