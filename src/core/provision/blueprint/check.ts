/** Check: what is wrong with a blueprint whatever the host: names, syntax, values, files, cycles. Nothing is rendered. */
import type { ResourceNode } from "../wish.ts";
import { afterRun, inSource, unknownHandler } from "./expand.ts";
import { ExpressionError, hasExpression, namesIn, namesInExpression, undefinedVariable, type Use } from "./liquid.ts";
import { didYouMean, type Mistake, type Path } from "./mistakes.ts";
import { itemPath, placeOf, typedIn } from "./node.ts";
import { cyclesOf } from "./order.ts";
import type { Sources } from "./sources.ts";
import { cycleError, hostNames, inText, resultNames, runNames, type VarPath } from "./template.ts";
import { validate } from "./validate.ts";
import type { Vars } from "./vars.ts";

export interface Known {
  /** Of vars, on any host. */
  readonly vars: ReadonlySet<string>;
  /** Who registers a name. */
  readonly registers: ReadonlyMap<string, ResourceNode>;
  readonly handlers: readonly string[];
  readonly sources: Sources;
  /** Of resources in the order of execution; handlers are not in it. */
  readonly order: readonly ResourceNode[];
}

export interface Checked {
  readonly mistakes: readonly Mistake[];
  /** Names used, wherever in the node. */
  readonly uses: readonly Use[];
}

export function checkNode(node: ResourceNode, known: Known): Checked {
  const mistakes: Mistake[] = [];
  const found: Found[] = [];
  const open = new Set<string>();
  const look = (
    path: Path,
    text: string,
    read: (text: string) => readonly Use[],
    say = inText,
    locals: readonly string[] = [],
  ): void => {
    try {
      for (const use of read(text))
        found.push({
          path,
          use,
          locals,
          say: (message) => say(new ExpressionError(message, use.line, use.column), text),
        });
    } catch (error) {
      if (!(error instanceof ExpressionError)) throw error;
      mistakes.push({ path, message: say(error, text) });
    }
  };
  const { common, fields, type } = node;
  const items = common.each === undefined ? [] : ["item", "index"];
  if (typeof common.when === "string") look(["when"], common.when, namesInExpression, inText, items);
  for (const { path, text } of textsIn(common.each, ["each"])) look(path, text, namesIn);
  for (const [i, text] of common.notify.entries()) {
    const path = itemPath(node, "notify", i);
    look(path, text, namesIn, inText, items);
    if (!hasExpression(text) && !known.handlers.includes(text))
      mistakes.push({ path, message: unknownHandler(text, known.handlers) });
  }
  for (const [field, value] of Object.entries(fields)) {
    if (afterRun.includes(field)) {
      if (typeof value === "string") look([field], value, namesInExpression, inText, runNames);
      continue;
    }
    for (const { path, text } of textsIn(value, [field])) {
      if (hasExpression(text)) open.add(field);
      look(path, text, namesIn, inText, items);
    }
  }
  for (const { field, render } of type.sources ?? []) {
    const name = fields[field];
    if (typeof name !== "string" || name === "" || open.has(field)) continue;
    try {
      if (render) look([field], known.sources.text(name), namesIn, (error) => inSource(name, error), items);
      else known.sources.bytes(name);
    } catch (error) {
      if (!(error instanceof ExpressionError)) throw error;
      mistakes.push({ path: [field], message: error.message });
    }
  }
  mistakes.push(...validate(type, fields, open, fields, [], (path) => typedIn(node, path), placeOf(node)).mistakes);
  mistakes.push(...checkNames(found, known, node));
  return { mistakes, uses: found.map(({ use }) => use) };
}

export interface VarMistake {
  readonly path: VarPath;
  readonly message: string;
}

export function checkVars(
  vars: Vars,
  known: Known,
): { readonly mistakes: readonly VarMistake[]; readonly uses: ReadonlyMap<string, readonly Use[]> } {
  const mistakes: VarMistake[] = [];
  const leaves: { readonly path: VarPath; readonly uses: readonly Use[] }[] = [];
  for (const { path, text } of textsIn(vars, [])) {
    const place = path.filter((part) => typeof part !== "symbol");
    try {
      const uses = namesIn(text);
      leaves.push({ path: place, uses });
      const found = uses.map((use): Found => ({
        path,
        use,
        locals: [],
        say: (message) => inText(new ExpressionError(message, use.line), text),
      }));
      mistakes.push(...checkNames(found, known, undefined).map(({ message }) => ({ path: place, message })));
    } catch (error) {
      if (!(error instanceof ExpressionError)) throw error;
      mistakes.push({ path: place, message: inText(error, text) });
    }
  }
  const next = (leaf: (typeof leaves)[number]): (typeof leaves)[number][] =>
    leaves.filter((other) =>
      leaf.uses.some((use) => use.whole && (startsWith(other.path, use.path) || startsWith(use.path, other.path))),
    );
  for (const cycle of cyclesOf(leaves, next)) {
    const { path, message } = cycleError(cycle.map((leaf) => leaf.path));
    mistakes.push({ path, message });
  }
  const uses = new Map<string, Use[]>();
  for (const leaf of leaves) uses.set(String(leaf.path[0]), [...(uses.get(String(leaf.path[0])) ?? []), ...leaf.uses]);
  return { mistakes, uses };
}

/** The registered names a node needs, also through vars. */
export function registersUsed(
  uses: readonly Use[],
  varUses: ReadonlyMap<string, readonly Use[]>,
  registers: ReadonlyMap<string, unknown>,
): string[] {
  const seen = new Set<string>();
  const walk = (all: readonly Use[]): void => {
    for (const { path } of all) {
      const root = String(path[0]);
      if (seen.has(root)) continue;
      seen.add(root);
      walk(varUses.get(root) ?? []);
    }
  };
  walk(uses);
  return [...seen].filter((name) => registers.has(name));
}

interface Found {
  readonly path: Path;
  readonly use: Use;
  /** Names that are known only here. */
  readonly locals: readonly string[];
  readonly say: (message: string) => string;
}

function checkNames(found: readonly Found[], known: Known, node: ResourceNode | undefined): Mistake[] {
  // What is asked for by `if` or `default` may be missing; where it then is used is only known when rendered.
  const asked = new Set(found.filter(({ use }) => use.lenient).map(({ use }) => use.path[0]));
  return found.flatMap(({ path, use, locals, say }) => {
    const message = nameMistake(use, locals, asked, known, node);
    return message === undefined ? [] : [{ path, message: say(message) }];
  });
}

function nameMistake(
  use: Use,
  locals: readonly string[],
  asked: ReadonlySet<unknown>,
  known: Known,
  node: ResourceNode | undefined,
): string | undefined {
  const [root = "", member] = use.path;
  const name = String(root);
  if (locals.includes(name)) return undefined;
  if (name === "host") return memberMistake("host", member, hostNames, use);
  const registrar = known.registers.get(name);
  if (registrar !== undefined) {
    const at = node === undefined ? -1 : known.order.indexOf(node);
    if (at >= 0 && known.order.indexOf(registrar) >= at) {
      return registrar === node
        ? `${JSON.stringify(name)} is the result of this resource itself`
        : `${JSON.stringify(name)} is registered by ${registrar.where}, which comes later`;
    }
    return memberMistake(name, member, resultNames, use);
  }
  if (known.vars.has(name) || asked.has(root)) return undefined;
  if (name === "item" || name === "index") return `${JSON.stringify(name)} is known only in a resource with each`;
  return undefinedVariable(name, [...known.vars, ...known.registers.keys(), "host", ...locals]);
}

function memberMistake(
  name: string,
  member: string | number | undefined,
  members: readonly string[],
  use: Use,
): string | undefined {
  if (member === undefined || use.lenient || members.includes(String(member))) return undefined;
  return `${name} has no ${JSON.stringify(member)}${didYouMean(String(member), members)}`;
}

/** Every text in a value, with its path. */
function* textsIn(value: unknown, path: Path): Generator<{ path: Path; text: string }> {
  if (typeof value === "string") yield { path, text: value };
  else if (Array.isArray(value)) for (const [i, child] of value.entries()) yield* textsIn(child, [...path, i]);
  else if (typeof value === "object" && value !== null)
    for (const [key, child] of Object.entries(value)) yield* textsIn(child, [...path, key]);
}

function startsWith(path: Path, head: Path): boolean {
  return head.length <= path.length && head.every((part, i) => String(part) === String(path[i]));
}
