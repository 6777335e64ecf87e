/** Top: the top level of a blueprint file: name, vars, and the entries of resources and handlers. */
import type { Yaml } from "../../yaml.ts";
import { kindOf, mistakesOf, type Path } from "./mistakes.ts";
import { fileSchema } from "./schema.ts";
import type { Vars } from "./vars.ts";

export interface Top {
  readonly name: string | undefined;
  readonly vars: Vars;
  readonly resources: readonly Entry[];
  readonly handlers: readonly Entry[];
}

interface Entry {
  readonly raw: Readonly<Record<string, unknown>>;
  readonly path: Path;
}

/** The parts that have the right shape; what has not is reported. */
export function readTop({ value, typed }: Yaml, report: (path: Path, message: string) => void): Top | undefined {
  if (value === undefined || value === null) {
    report([], "the file is empty: it needs a list of resources");
    return undefined;
  }
  if (!isMapping(value)) {
    report([], `a blueprint is a mapping with name, vars, resources and handlers, not ${kindOf(value)}`);
    return undefined;
  }
  const parsed = fileSchema.safeParse(value);
  for (const { path, message } of mistakesOf(parsed.error?.issues ?? [], value, Object.keys(fileSchema.shape), typed))
    report(path, message);
  const { name, vars, resources, handlers } = value;
  if (resources === undefined || resources === null || (Array.isArray(resources) && resources.length === 0)) {
    report(resources === undefined ? [] : ["resources"], "there are no resources: nothing would be done");
  }
  return {
    name: parsed.data?.name ?? (typeof name === "string" ? name : undefined),
    vars: isMapping(vars) ? vars : {},
    resources: entries(Array.isArray(resources) ? [...resources.entries()] : [], "resources"),
    handlers: entries(isMapping(handlers) ? Object.entries(handlers) : [], "handlers"),
  };
}

function entries(all: readonly (readonly [PropertyKey, unknown])[], section: string): Entry[] {
  return all.flatMap(([key, raw]) => (isMapping(raw) ? [{ raw, path: [section, key] }] : []));
}

function isMapping(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
