/** Parse: the text of an ssh_config file as lines that only need to be applied. Pure; the same for every host. */
import { type Keyword, findKeyword } from "./keywords.ts";
import { type Criterion, readCriteria } from "./match.ts";
import { cutLine } from "./words.ts";

export type ParsedLine = { readonly line: number } & (
  | { readonly kind: "host"; readonly patterns: readonly string[] }
  | { readonly kind: "match"; readonly criteria: readonly Criterion[] }
  | { readonly kind: "include"; readonly paths: readonly string[] }
  | { readonly kind: "set"; readonly keyword: Keyword; readonly words: readonly string[] }
  /** An error unless IgnoreUnknown names it. Lower case. */
  | { readonly kind: "unknown"; readonly name: string }
  | { readonly kind: "problem"; readonly text: string }
);

export function parseSshConfig(text: string): readonly ParsedLine[] {
  const lines: ParsedLine[] = [];
  for (const [index, row] of text.split("\n").entries()) {
    const cut = cutLine(row);
    if (cut === undefined) continue;
    const line = index + 1;
    const { keyword, rest, words } = cut;
    if (rest === "") {
      lines.push({ line, kind: "problem", text: `${keyword} has no value` });
    } else if (words === undefined) {
      lines.push({ line, kind: "problem", text: `a quote is not closed: ${keyword} ${rest}` });
    } else {
      lines.push({ line, ...readLine(keyword, words, rest) });
    }
  }
  return lines;
}

type Body = ParsedLine extends infer L ? (L extends unknown ? Omit<L, "line"> : never) : never;

function readLine(name: string, words: readonly string[], rest: string): Body {
  if (name === "host" || name === "include") {
    if (words.length === 0) return { kind: "problem", text: `${name} has no value` };
    if (words.includes("")) return { kind: "problem", text: `${name} has an empty value: ${rest}` };
    return name === "host" ? { kind: "host", patterns: words } : { kind: "include", paths: words };
  }
  if (name === "match") {
    const criteria = readCriteria(words);
    return "problem" in criteria
      ? { kind: "problem", text: `match: ${criteria.problem}` }
      : { kind: "match", ...criteria };
  }
  const keyword = findKeyword(name);
  if (keyword === undefined) return { kind: "unknown", name };
  const value = keyword.read(words, rest);
  if ("problem" in value) return { kind: "problem", text: `${keyword.name} ${value.problem}` };
  return { kind: "set", keyword, words: value.words };
}
