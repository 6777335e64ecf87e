/** Values: what may stand after a keyword, and its one normal form. Pure; a problem is said without file and line. */
import { parseJump } from "./jump.ts";

/** The value as words; `[]`: says nothing, as `ConnectTimeout none` does. */
type Value = { readonly words: readonly string[] } | { readonly problem: string };

/** `rest` is the line after the keyword, as it stands. */
export type ReadValue = (words: readonly string[], rest: string) => Value;

/** Exactly one word, made normal by `normal`; undefined from it: not a value of this kind. */
function one(what: string, normal: (word: string) => string | undefined): ReadValue {
  return (words) => {
    const [word, extra] = words;
    if (word === undefined || word === "") return { problem: "has no value" };
    const value = normal(word);
    if (value === undefined) return { problem: `${JSON.stringify(word)} is not ${what}` };
    if (extra !== undefined) return { problem: `${JSON.stringify(extra)} is too much: it takes one value` };
    return { words: [value] };
  };
}

export const word = one("a word", (text) => text);

export function choice(allowed: Readonly<Record<string, string>>): ReadValue {
  const what = `one of ${Object.keys(allowed).join(", ")}`;
  return one(what, (text) => (Object.hasOwn(allowed, text.toLowerCase()) ? allowed[text.toLowerCase()] : undefined));
}

const yesNo = { yes: "yes", true: "yes", no: "no", false: "no" };

export const flag = choice(yesNo);

/** yes and no, and these besides. */
export function flagOr(...more: readonly string[]): ReadValue {
  return choice({ ...yesNo, ...Object.fromEntries(more.map((name) => [name, name])) });
}

export const strictHostKeyChecking = choice({ ...yesNo, ask: "ask", off: "no", "accept-new": "accept-new" });

export const pubkeyAuthentication = choice({ ...yesNo, unbound: "yes", "host-bound": "yes" });

export const integer = one("a whole number", (text) =>
  /^\s*\+?\d+$/.test(text) && Number(text) <= maxInt ? String(Number(text)) : undefined,
);

/** Seconds. */
export const time: ReadValue = (words, rest) =>
  words[0] === "none" && words.length === 1 ? { words: [] } : seconds(words, rest);

const seconds = one("a time (30, 5m, 1h30m)", (text) => secondsOf(text)?.toString());

const maxInt = 2147483647;

function secondsOf(text: string): number | undefined {
  if (!/^(\d+[smhdw]?)+$/i.test(text)) return undefined;
  let total = 0;
  for (const [, count, unit] of text.matchAll(/(\d+)([smhdw]?)/gi)) {
    total += Number(count) * (unitSeconds[(unit ?? "").toLowerCase()] ?? 1);
  }
  return total <= maxInt ? total : undefined;
}

const unitSeconds: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3600, d: 86400, w: 604800 };

/** The one service name worth knowing is ssh's own. */
export const port = one("a port (1-65535)", (text) => {
  const number = text === "ssh" ? 22 : /^\s*\+?\d+$/.test(text) ? Number(text) : 0;
  return number >= 1 && number <= 65535 ? String(number) : undefined;
});

export const logLevel = one("a log level (QUIET ... DEBUG3)", (text) => {
  const written = text.toUpperCase();
  const level = written === "DEBUG" ? "DEBUG1" : written === "SILENT" ? "QUIET" : written;
  return ["QUIET", "FATAL", "ERROR", "INFO", "VERBOSE", "DEBUG1", "DEBUG2", "DEBUG3"].includes(level)
    ? level
    : undefined;
});

export const escapeChar = one("a character, ^X or none", (text) => {
  if (text === "none" || text.length === 1) return text;
  const control = /^\^([@-\x7f])$/.exec(text)?.[1];
  return control === undefined ? undefined : String.fromCharCode(control.charCodeAt(0) & 31);
});

/** `none` only by itself. */
export const words: ReadValue = (list) => {
  if (list.includes("")) return { problem: "has an empty value" };
  if (list.length > 1 && list.some((item) => item.toLowerCase() === "none")) {
    return { problem: '"none" must stand alone' };
  }
  return list.length === 0 ? { problem: "has no value" } : { words: list };
};

/** The rest of the line as it stands: a shell gets it. */
export const command: ReadValue = (_words, rest) => ({ words: [rest.replace(/^[ \t\r\n=]+/, "")] });

export const proxyJump: ReadValue = (_words, rest) => {
  const text = rest
    .replace(/^[ \t\r\n=]+/, "")
    .replace(/#.*$/s, "")
    .trimEnd()
    // Quotes are part of the name to ssh, until the shell that it starts for the jump takes them off.
    .replace(/^(["'])(.*)\1$/s, "$2");
  if (text.toLowerCase() === "none") return { words: ["none"] };
  return parseJump(text) === undefined
    ? { problem: `${JSON.stringify(text)} is not a list of [user@]host[:port]` }
    : { words: [text] };
};

export const sendEnv: ReadValue = (list) => {
  const bad = list.find((name) => name === "" || name.includes("="));
  return bad === undefined ? { words: list } : { problem: `${JSON.stringify(bad)} is not a variable name` };
};

export const setEnv: ReadValue = (list) => {
  const bad = list.find((item) => !item.includes("="));
  return bad === undefined ? { words: list } : { problem: `${JSON.stringify(bad)} is not NAME=value` };
};

/** Words: the mode, then the seconds. */
export const addKeysToAgent: ReadValue = ([mode, lifetime, ...more], rest) => {
  if (mode === undefined || more.length > 0) return { problem: `cannot be read: ${JSON.stringify(rest)}` };
  const known = flagOr("ask", "confirm")([mode], rest);
  if ("words" in known && lifetime === undefined) return known;
  const confirmed = "words" in known && known.words[0] === "confirm";
  const time = confirmed ? lifetime : lifetime === undefined ? mode : undefined;
  const count = time === undefined ? undefined : secondsOf(time);
  if (count === undefined) return { problem: `${JSON.stringify(rest)} is not yes, no, ask, confirm [TIME] or TIME` };
  return { words: [confirmed ? "confirm" : "yes", String(count)] };
};

/** yes, no, or the path of a socket, which may be `$VARIABLE`. */
export const forwardAgent: ReadValue = (list, rest) => {
  const known = flag(list.slice(0, 1), rest);
  return "words" in known && list.length === 1 ? known : agentPath(list, rest);
};

export const agentPath = one("a socket path or $VARIABLE", (text) =>
  text.startsWith("$") && !text.startsWith("${") && !/^\$[A-Za-z0-9_]+$/.test(text) ? undefined : text,
);

/** Something that is no concern of ours: not looked at. */
export const anything: ReadValue = () => ({ words: [] });
