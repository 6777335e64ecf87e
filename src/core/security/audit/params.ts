/** Params: the input of a command as it may be kept: what is secret by its schema is left out, what is long is cut. Pure. */
import { z } from "zod";
import { dots } from "../../secret.ts";

/** `env` and its kin hold passwords more often than not: names are kept, values never. */
export function keptParams(schema: z.ZodObject, input: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const fields = new Map(Object.entries<z.core.$ZodType>(schema.shape));
  const kept = Object.entries(input).map(([field, value]): [string, unknown] => {
    const says = fields.get(field);
    if (says !== undefined && isSecret(says)) return [field, Array.isArray(value) ? value.map(withoutValue) : dots];
    if (isRecord(value)) return [field, Object.fromEntries(Object.keys(value).map((name) => [name, dots]))];
    return [field, shortened(value)];
  });
  return Object.fromEntries(kept.filter(([, value]) => value !== undefined));
}

/** `NAME=VALUE`, `NAME:=VALUE`: which was given, not what. */
function withoutValue(item: unknown): string {
  const [name = ""] = /^[^=]+=/.exec(String(item)) ?? [];
  return `${name}${dots}`;
}

/** Marked by `.meta({ secret: true })`, on the field itself or beneath its default. */
function isSecret(schema: z.core.$ZodType): boolean {
  if (z.globalRegistry.get(schema)?.["secret"] === true) return true;
  const { def } = schema._zod;
  return "innerType" in def && def.innerType instanceof z.ZodType && isSecret(def.innerType);
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

const [mostChars, mostItems] = [2000, 200];

/** `https://user:password@host` */
const passwordOfUrl = /(\w:\/\/[^\s/:@?#]*:)[^\s/@]+@/g;

/** A line of the log stays a line that can be read. */
export function shortened(value: unknown): unknown {
  if (typeof value === "string") {
    const text = value.replaceAll(passwordOfUrl, `$1${dots}@`);
    return text.length <= mostChars ? text : `${text.slice(0, mostChars)}… (${text.length - mostChars} more)`;
  }
  if (!Array.isArray(value)) return typeof value === "object" && value !== null ? dots : value;
  const items: unknown[] = value.slice(0, mostItems).map(shortened);
  return value.length <= mostItems ? items : [...items, `… (${value.length - mostItems} more)`];
}

/** Words of a command, shortened alike. */
export function keptWords(words: readonly string[]): readonly string[] {
  return words.slice(0, mostItems).map((word) => String(shortened(word)));
}
