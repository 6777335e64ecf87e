/** Patterns of ssh: `*`, `?` and comma lists with `!`, as ssh_config(5) PATTERNS says. No brackets, no escapes. */

/** Does the whole text match? Case counts. Takes time proportional to text times pattern at worst. */
export function matchesPattern(text: string, pattern: string): boolean {
  let t = 0;
  let p = 0;
  let star = -1;
  let resume = 0;
  while (t < text.length) {
    const char = pattern[p];
    if (char === "*") {
      star = p++;
      resume = t;
    } else if (char !== undefined && (char === "?" || char === text[t])) {
      p++;
      t++;
    } else if (star >= 0) {
      p = star + 1;
      t = ++resume;
    } else {
      return false;
    }
  }
  while (pattern[p] === "*") p++;
  return p === pattern.length;
}

/** `denied`: a `!` pattern matches, wherever it stands. */
export function matchPatternList(text: string, list: string): "match" | "denied" | "none" {
  let found = false;
  for (const item of list.split(",")) {
    const negated = item.startsWith("!");
    if (!matchesPattern(text, negated ? item.slice(1) : item)) continue;
    if (negated) return "denied";
    found = true;
  }
  return found ? "match" : "none";
}

/** A host name against a comma list; case does not count. */
export function matchesHostList(host: string, list: string): boolean {
  return matchPatternList(host.toLowerCase(), list.toLowerCase()) === "match";
}
