/**
 * Visible: words that somebody else wrote (a server's banner, its questions, why it hung up), made safe to show.
 * A terminal obeys control characters; here they are only seen, as `\x1b`. Lines and tabs stay.
 */
export function visible(words: string): string {
  return words
    .replaceAll("\r\n", "\n")
    .replaceAll(/[\0-\x08\x0b-\x1f\x7f-\x9f]/g, (one) => `\\x${one.charCodeAt(0).toString(16).padStart(2, "0")}`);
}

/** The same for what has to stay on one line: the name of a file, for instance. */
export function visibleLine(words: string): string {
  return visible(words.replaceAll("\r", "\\r")).replaceAll("\n", "\\n").replaceAll("\t", "\\t");
}
