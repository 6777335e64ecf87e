/** Validate: rendered fields against a type's schema and rules, also when some fields are not known yet. */
import type { z } from "zod";
import type { Place, ResourceType } from "../../resource.ts";
import { commonKeys } from "./schema.ts";
import { mistakesOf, type Mistake, type Path } from "./mistakes.ts";

export interface Validated {
  /** Undefined when the schema refused it. Where fields are open it is a guess that only claims may be read from. */
  readonly wish: z.output<z.ZodObject> | undefined;
  readonly mistakes: readonly Mistake[];
}

/**
 * `values` holds rendered fields; those in `open` still hold the text of their expressions and are not judged.
 * `raw` is what was written: a number that an expression gave may stand where a text is wanted.
 */
export function validate(
  type: ResourceType,
  values: Readonly<Record<string, unknown>>,
  open: ReadonlySet<string>,
  raw: Readonly<Record<string, unknown>>,
  known: readonly string[],
  typed: (path: Path) => string | undefined,
  place: Place,
): Validated {
  let subject = values;
  let result = type.schema.safeParse(subject);
  if (!result.success) {
    const texts = result.error.issues.filter(
      (issue) =>
        issue.code === "invalid_type" && issue.expected === "string" && cameFromExpression(issue.path, raw, values),
    );
    for (const { path } of texts) subject = withText(subject, path) as typeof subject;
    if (texts.length > 0) result = type.schema.safeParse(subject);
  }
  const judged = (mistake: Mistake): boolean => !open.has(String(mistake.path[0]));
  if (!result.success) {
    const names = [...Object.keys(type.schema.shape), ...commonKeys, ...known];
    return { wish: undefined, mistakes: mistakesOf(result.error.issues, subject, names, typed).filter(judged) };
  }
  return { wish: result.data, mistakes: (type.check?.(result.data, place) ?? []).filter(judged) };
}

/** A mode is left out: 644 from an expression may have been 0644 or 0o1204. */
function cameFromExpression(path: Path, raw: unknown, values: unknown): boolean {
  const value = get(values, path);
  return typeof get(raw, path) === "string" && ["number", "boolean"].includes(typeof value) && path.at(-1) !== "mode";
}

function get(value: unknown, path: Path): unknown {
  return path.reduce<unknown>(
    (at, part) => (typeof at === "object" && at !== null ? Reflect.get(at, part) : undefined),
    value,
  );
}

function withText(value: unknown, path: Path): unknown {
  const [key, ...rest] = path;
  if (key === undefined) return String(value);
  const child = withText(get(value, [key]), rest);
  if (Array.isArray(value)) return value.with(Number(key), child);
  return { ...(value as object), [key]: child };
}
