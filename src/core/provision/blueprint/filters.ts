/** Filters of our own, and what may be printed at all. */
import { createHash } from "node:crypto";
import { quote, quoteArgv } from "../../argv.ts";

/** Filters beyond those of Liquid. */
export const filters: Record<string, (value: unknown, ...args: unknown[]) => unknown> = {
  b64encode: (value) => Buffer.from(words(value), "utf8").toString("base64"),
  b64decode: (value) => Buffer.from(words(value), "base64").toString("utf8"),
  sha256: (value) => createHash("sha256").update(words(value)).digest("hex"),
  /** One word for a shell; a list becomes several. */
  quote: (value) => (Array.isArray(value) ? quoteArgv(value.map(words)) : quote(words(value))),
  /** All lines but the first, or with `true` the first too; empty lines stay empty. */
  indent: (value, width = 2, first = false) => {
    const pad = " ".repeat(Math.min(Math.max(Number(width) || 0, 0), 200));
    const text = words(value).replaceAll(/\n(?=[^\r\n])/g, `\n${pad}`);
    return first === true && text !== "" ? pad + text : text;
  },
};

function words(value: unknown): string {
  if (typeof value === "string") return value;
  if (value === null || value === undefined) return "";
  return typeof value === "object" ? JSON.stringify(value) : `${value as number | boolean}`;
}

/** Liquid would print `[object Object]`, and a list without anything between its items. */
export function printable(value: unknown): string {
  if (Array.isArray(value)) throw new Error('this is a list; print it with | join: " " or | json');
  const mapping =
    typeof value === "object" &&
    value !== null &&
    [Object.prototype, null].includes(Object.getPrototypeOf(value) as object | null);
  if (mapping) throw new Error("this is a mapping; print it with | json");
  if (value === null || value === undefined) return "";
  return typeof value === "string" ? value : JSON.stringify(value);
}
