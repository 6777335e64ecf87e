/** Words: how ssh cuts a config line: `keyword value`, `keyword=value`, quotes, backslashes, comments. */

export interface ConfigLine {
  /** Lower case. */
  readonly keyword: string;
  /** All that follows, quotes and comments included: what ProxyCommand and its kin take. */
  readonly rest: string;
  /** undefined: a quote is not closed. */
  readonly words: readonly string[] | undefined;
}

/** undefined: nothing on it. The keyword may stand alone: then `rest` is empty. */
export function cutLine(text: string): ConfigLine | undefined {
  let [keyword, rest] = cutKeyword(text.replace(/(?<=.)[ \t\r\n\f]+$/s, ""));
  if (keyword === "") [keyword, rest] = cutKeyword(rest ?? "");
  if (keyword === undefined || keyword === "" || keyword.startsWith("#")) return undefined;
  const value = (rest ?? "").replace(/^[ \t\r\n]+/, "");
  return { keyword: keyword.toLowerCase(), rest: value, words: splitWords(value) };
}

/** The first token, ended by white space, one `=`, or the end of its quotes. */
function cutKeyword(text: string): [token: string | undefined, rest: string | undefined] {
  const end = text.search(/[ \t\r\n"=]/);
  if (end < 0) return [text, undefined];
  if (text[end] === '"') {
    const close = text.indexOf('"', end + 1);
    if (close < 0) return [undefined, undefined];
    return [text.slice(0, end) + text.slice(end + 1, close), text.slice(close + 1).replace(/^[ \t\r\n]+/, "")];
  }
  const rest = text.slice(end + 1).replace(/^[ \t\r\n]+/, "");
  if (text[end] === "=" || !rest.startsWith("=")) return [text.slice(0, end), rest];
  return [text.slice(0, end), rest.slice(1).replace(/^[ \t\r\n]+/, "")];
}

/** Words up to the end or a comment. undefined: a quote is not closed. */
export function splitWords(text: string): string[] | undefined {
  const words: string[] = [];
  let at = 0;
  while (at < text.length) {
    if (text[at] === " " || text[at] === "\t") {
      at++;
      continue;
    }
    if (text[at] === "#") break;
    let word = "";
    let quote = "";
    for (; at < text.length; at++) {
      const char = text[at] ?? "";
      const next = text[at + 1] ?? "";
      if (char === "\\" && (["'", '"', "\\"].includes(next) || (quote === "" && next === " "))) {
        word += next;
        at++;
      } else if (quote === "" && (char === " " || char === "\t")) {
        break;
      } else if (quote === "" && (char === '"' || char === "'")) {
        quote = char;
      } else if (char === quote) {
        quote = "";
      } else {
        word += char;
      }
    }
    if (quote !== "") return undefined;
    words.push(word);
  }
  return words;
}
