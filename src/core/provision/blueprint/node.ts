/** Node: one entry of `resources` or `handlers`, read: its type, its own fields, its common keys, and where each is written. */
import type { Place, ResourceType } from "../../resource.ts";
import type { Position, Yaml } from "../../yaml.ts";
import type { ResourceNode } from "../wish.ts";
import { mistakesOf, whereText, type Mistake, type Path } from "./mistakes.ts";
import { commonKeys, commonOf, commonSchema, handlerKeys, typeOfKeys } from "./schema.ts";

export interface NodeContext {
  readonly yaml: Yaml;
  readonly types: ReadonlyMap<string, ResourceType>;
  /** Paths are from the top of the file. */
  readonly report: (mistake: Mistake) => void;
}

/** `path` is from the top of the file: `["resources", 2]`. Undefined: it has no type, which was reported. */
export function readNode(
  raw: Readonly<Record<string, unknown>>,
  path: Path,
  context: NodeContext,
): ResourceNode | undefined {
  const { yaml, types, report } = context;
  const typed = (below: Path): string | undefined => yaml.typed([...path, ...below]);
  const found = typeOfKeys(Object.keys(raw), types);
  const isHandler = path[0] === "handlers";
  const common: Record<string, unknown> = {};
  const fields: Record<string, unknown> = {};
  for (const [key, value] of Object.entries(raw)) {
    if (!commonKeys.includes(key)) fields[key] = value;
    else if (isHandler && !handlerKeys.includes(key))
      report({
        path: [...path, key],
        message: `a handler has no ${JSON.stringify(key)}: it runs once, at the end, when notified`,
      });
    else common[key] = value;
  }
  const { data, error } = commonSchema.safeParse(common);
  for (const mistake of mistakesOf(error?.issues ?? [], common, commonKeys, typed)) {
    report({ path: [...path, ...mistake.path], message: mistake.message });
    const [key] = mistake.path;
    if (key !== undefined) Reflect.deleteProperty(common, key);
  }
  if ("message" in found) {
    report({ path: found.key === undefined ? path : [...path, found.key], message: found.message });
    return undefined;
  }
  const { line, column } = yaml.at(path);
  const node: ResourceNode = {
    where: whereText(path),
    line,
    column,
    id: data?.id ?? (typeof common["id"] === "string" ? common["id"] : undefined),
    type: found,
    fields,
    common: commonOf(data ?? commonSchema.parse(common)),
  };
  written.set(node, { raw, at: (below) => yaml.at([...path, ...below]), typed });
  return node;
}

/** Where things inside a node are written; for a node that was not read from a file: where the node is. */
export function placeIn(node: ResourceNode, below: Path): Position {
  return written.get(node)?.at(below) ?? { line: node.line, column: node.column };
}

/** What the type's own rules may know of a node's place. */
export function placeOf(node: ResourceNode): Place {
  return { guarded: node.where.startsWith("handlers.") || node.common.when !== undefined };
}

/** A plain scalar inside a node as it was typed. */
export function typedIn(node: ResourceNode, below: Path): string | undefined {
  return written.get(node)?.typed(below);
}

/** The path of one of several `after` or `notify`: a single one may stand without a list. */
export function itemPath(node: ResourceNode, key: "after" | "notify", index: number): Path {
  return Array.isArray(written.get(node)?.raw[key]) ? [key, index] : [key];
}

const written = new WeakMap<
  ResourceNode,
  { readonly raw: Readonly<Record<string, unknown>>; at(below: Path): Position; typed(below: Path): string | undefined }
>();
