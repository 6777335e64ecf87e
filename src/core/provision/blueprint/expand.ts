/** Expand: what one node comes to on one host: rendered, validated, with its files loaded; or why that is not known yet. */
import { mask } from "../../secret.ts";
import type { Blueprint, Expansion, ResourceNode, Scope, Wish } from "../wish.ts";
import { ExpressionError, hasExpression, namesInExpression, PassThrough, renderText } from "./liquid.ts";
import { BlueprintError, didYouMean, kindOf, type Mistake, type Path, type Problem } from "./mistakes.ts";
import { itemPath, placeIn, placeOf, typedIn } from "./node.ts";
import { openSources, type Sources } from "./sources.ts";
import {
  environment,
  inText,
  isTrue,
  NotYet,
  renderValue,
  VarError,
  withLocals,
  type Environment,
  type VarPath,
} from "./template.ts";
import { validate } from "./validate.ts";
import { placeOfVar } from "./vars.ts";

/**
 * The wishes of a node on a host, or what must be known before. `blueprint` comes from `readBlueprint`.
 * Throws BlueprintError (`blueprint.invalid`) for what only shows with the values of this host.
 */
export function expandNode(node: ResourceNode, blueprint: Blueprint, scope: Scope): Expansion {
  const { sources, handlers, environmentOf } = surroundingsOf(blueprint);
  const { expansion, mistakes } = attempt(node, environmentOf(scope), { sources, handlers });
  if (mistakes.length === 0) return expansion;
  throw new BlueprintError(mistakes.map((mistake) => problemOf(mistake, node, blueprint)));
}

/** A mistake in a node, or in a var it uses. */
export interface NodeMistake extends Mistake {
  readonly inVar?: VarPath | undefined;
}

export interface Attempt {
  /** Meaningful only without mistakes. */
  readonly expansion: Expansion;
  readonly mistakes: readonly NodeMistake[];
  /** What is certain already, also where the expansion must wait for something else. */
  readonly claims: readonly { readonly claim: string; readonly key: string }[];
}

export interface Surroundings {
  readonly sources: Sources;
  readonly handlers: readonly string[];
}

/** `expandNode` that collects its mistakes. */
export function attempt(node: ResourceNode, env: Environment, around: Surroundings): Attempt {
  const mistakes: NodeMistake[] = [];
  const claims: Attempt["claims"][number][] = [];
  const wishes: Wish[] = [];
  let waits: NotYet["needs"] | undefined;
  /** Keeps what went wrong: a mistake, or something to wait for (facts first: they come sooner). */
  const note = (path: Path, error: unknown, text?: unknown): void => {
    if (error instanceof NotYet) waits = waits === undefined || error.needs.state === "facts" ? error.needs : waits;
    else mistakes.push(mistakeOf(path, error, text));
  };
  const done = (expansion: Expansion): Attempt => ({ expansion: waits ?? expansion, mistakes, claims });
  const wanted = (within: Environment): boolean | undefined => {
    try {
      return node.common.when === undefined || isTrue(node.common.when, within);
    } catch (error) {
      note(["when"], error, node.common.when);
      return undefined;
    }
  };

  env.secrets.clear();
  const perItem = whenAsksItem(node);
  if (!perItem && wanted(env) !== true)
    return done({ state: "skipped", reason: `when is not true: ${String(node.common.when)}` });
  let items: readonly Item[];
  try {
    items = itemsOf(node, env);
  } catch (error) {
    note(["each"], error, node.common.each);
    return done({ state: "skipped", reason: "each is not known" });
  }
  if (items.length === 0) return done({ state: "skipped", reason: "each is empty" });

  const secretsSoFar = [...env.secrets];
  for (const item of items) {
    const within = item.locals === undefined ? env : withLocals(env, item.locals);
    if (perItem && wanted(within) !== true) continue;
    env.secrets.clear();
    for (const secret of secretsSoFar) env.secrets.add(secret);
    const one = makeWish(node, item.key, within, around, note);
    claims.push(...one.claims.map((claim) => ({ claim, key: item.key })));
    if (one.wish !== undefined) wishes.push(one.wish);
  }
  return done(
    wishes.length > 0
      ? { state: "ready", wishes }
      : { state: "skipped", reason: `when is not true for any item: ${String(node.common.when)}` },
  );
}

export function problemOf(
  mistake: NodeMistake,
  node: ResourceNode,
  blueprint: Pick<Blueprint, "file" | "vars">,
): Problem {
  if (mistake.inVar !== undefined) return { ...placeOfVar(blueprint.vars, mistake.inVar), message: mistake.message };
  const { line, column } = placeIn(node, mistake.path);
  return { file: blueprint.file, line, column, where: inNode(node, mistake.path), message: mistake.message };
}

/** `resources[2].env.PATH` */
function inNode(node: ResourceNode, path: Path): string {
  return node.where + path.map((part) => (typeof part === "number" ? `[${part}]` : `.${String(part)}`)).join("");
}

/** Fields that hold a bare expression for later. */
export const afterRun: readonly string[] = ["changed_when"];

interface Item {
  readonly key: string;
  readonly locals: { readonly item: unknown; readonly index: number } | undefined;
}

function itemsOf(node: ResourceNode, env: Environment): Item[] {
  if (node.common.each === undefined) return [{ key: node.where, locals: undefined }];
  const each = renderValue(node.common.each, env);
  if (typeof each !== "object" || each === null)
    throw new ExpressionError(`must be a list or a mapping, not ${kindOf(each)}`);
  const items: unknown[] = Array.isArray(each)
    ? each
    : Object.entries<unknown>({ ...each }).map(([key, value]) => ({ key, value }));
  return items.map((item: unknown, index) => ({ key: `${node.where}#${index}`, locals: { item, index } }));
}

function whenAsksItem({ common }: ResourceNode): boolean {
  if (common.each === undefined || typeof common.when !== "string") return false;
  try {
    return namesInExpression(common.when).some(({ path: [root] }) => root === "item" || root === "index");
  } catch (error) {
    // Bad syntax is told when it is evaluated.
    if (error instanceof PassThrough) return false;
    throw error;
  }
}

type Note = (path: Path, error: unknown, text?: unknown) => void;

function makeWish(
  node: ResourceNode,
  key: string,
  env: Environment,
  around: Surroundings,
  note: Note,
): { wish?: Wish; claims: readonly string[] } {
  const { type, fields, common } = node;
  const open = new Set<string>();
  const values: Record<string, unknown> = {};
  let clean = true;
  const trouble: Note = (path, error, text) => {
    clean = false;
    note(path, error, text);
  };
  for (const [field, raw] of Object.entries(fields)) {
    values[field] = afterRun.includes(field)
      ? raw
      : renderAt([field], raw, env, (path, error) => {
          open.add(field);
          trouble(path, error, raw);
        });
  }
  const { wish, mistakes } = validate(type, values, open, fields, [], (path) => typedIn(node, path), placeOf(node));
  for (const mistake of mistakes) trouble(mistake.path, new ExpressionError(mistake.message));
  const loaded = loadSources(node, values, open, env, around.sources, trouble);
  const notify = common.notify.map((name, i) => renderAt(itemPath(node, "notify", i), name, env, trouble)).map(String);
  for (const [i, name] of notify.entries()) {
    if (!hasExpression(name) && !around.handlers.includes(name))
      trouble(itemPath(node, "notify", i), new ExpressionError(unknownHandler(name, around.handlers)));
  }
  if (wish === undefined) return { claims: [] };
  const claims = type.claims(wish).filter((claim) => !hasExpression(claim));
  if (!clean) return { claims };
  const secrets = [...env.secrets];
  const whole = loaded === undefined ? wish : { ...wish, loaded };
  return {
    claims,
    wish: { key, node, type, wish: whole, title: mask(type.title(wish), secrets), notify, secret: secrets.length > 0 },
  };
}

export function unknownHandler(name: string, handlers: readonly string[]): string {
  return `there is no handler ${JSON.stringify(name)}${didYouMean(name, handlers)}`;
}

/** Renders however deep; what fails stays as it is written and is told with its path. */
function renderAt(path: Path, raw: unknown, env: Environment, trouble: Note): unknown {
  if (Array.isArray(raw)) return raw.map((child, i) => renderAt([...path, i], child, env, trouble));
  if (typeof raw === "object" && raw !== null && Object.getPrototypeOf(raw) === Object.prototype) {
    return Object.fromEntries(
      Object.entries(raw).map(([key, child]) => [key, renderAt([...path, key], child, env, trouble)]),
    );
  }
  try {
    return renderValue(raw, env);
  } catch (error) {
    trouble(path, error, raw);
    return raw;
  }
}

function loadSources(
  { type }: ResourceNode,
  values: Readonly<Record<string, unknown>>,
  open: ReadonlySet<string>,
  env: Environment,
  sources: Sources,
  trouble: Note,
): Record<string, Buffer> | undefined {
  const loaded: Record<string, Buffer> = {};
  for (const { field, render } of type.sources ?? []) {
    const name = values[field];
    if (typeof name !== "string" || name === "" || open.has(field)) continue;
    try {
      loaded[field] = render ? Buffer.from(renderSource(name, env, sources), "utf8") : sources.bytes(name);
    } catch (error) {
      trouble([field], error);
    }
  }
  return Object.keys(loaded).length > 0 ? loaded : undefined;
}

function renderSource(name: string, env: Environment, sources: Sources): string {
  const text = sources.text(name);
  try {
    return renderText(text, env.names);
  } catch (error) {
    throw error instanceof ExpressionError ? new ExpressionError(inSource(name, error)) : error;
  }
}

/** `site.conf.liquid:3:7 undefined variable "prot"` */
export function inSource(name: string, { line, column, message }: ExpressionError): string {
  return `${name}:${line}:${column} ${message}`;
}

function mistakeOf(path: Path, error: unknown, text: unknown): NodeMistake {
  if (error instanceof VarError) return { path, message: error.message, inVar: error.path };
  if (error instanceof ExpressionError)
    return { path, message: typeof text === "string" ? inText(error, text) : error.message };
  throw error;
}

interface Kept extends Surroundings {
  readonly environmentOf: (scope: Scope) => Environment;
}

const kept = new WeakMap<Blueprint, Kept>();

/** What belongs to a blueprint for as long as it is used; vars of one scope are rendered once. */
function surroundingsOf(blueprint: Blueprint): Kept {
  let known = kept.get(blueprint);
  if (known === undefined) {
    const registers = blueprint.resources.flatMap((node) => node.common.register ?? []);
    const environments = new WeakMap<Scope, Environment>();
    known = {
      sources: openSources(blueprint.dir, new Map(blueprint.files)),
      handlers: [...blueprint.handlers.keys()],
      environmentOf: (scope) => {
        const env = environments.get(scope) ?? environment(scope, registers);
        environments.set(scope, env);
        return env;
      },
    };
    kept.set(blueprint, known);
  }
  return known;
}
