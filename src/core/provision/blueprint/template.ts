/**
 * Template: what expressions see on one host, and rendering with it. Vars are read when used and may use other vars;
 * facts and results that are not known yet are told apart from names that do not exist.
 */
import { AmiError } from "../../errors.ts";
import type { OsFacts } from "../../facts.ts";
import { Secret } from "../../secret.ts";
import type { Registered, Scope } from "../wish.ts";
import { evaluateExpression, ExpressionError, hasExpression, PassThrough, renderTyped, type Names } from "./liquid.ts";

/** A value that will be known later: after the facts were read, or after the resource that registers it ran. */
export class NotYet extends PassThrough {
  readonly needs: { readonly state: "facts" } | { readonly state: "later"; readonly needs: string };

  constructor(needs: NotYet["needs"]) {
    super(needs.state === "facts" ? "the facts of the host are not read yet" : `${needs.needs} is not registered yet`);
    this.needs = needs;
  }
}

export type VarPath = readonly (string | number)[];

/** A mistake inside a var, met while something that uses it was rendered. */
export class VarError extends PassThrough {
  readonly path: VarPath;

  constructor(path: VarPath, message: string) {
    super(message);
    this.path = path;
  }
}

/** What expressions see on one host at one time. */
export interface Environment {
  readonly names: Names;
  /** Words of the secrets that went into what was rendered; whoever counts them clears it before. */
  readonly secrets: Set<string>;
}

/** Names no var, register or `each` may take. */
export const reservedNames: readonly string[] = [
  "host item index stdout stderr exit forloop tablerowloop",
  "true false nil null empty blank and or not contains",
].flatMap((words) => words.split(" "));

/** What `host.` offers. */
export const hostNames = [
  "name",
  "os",
  "distro",
  "version",
  "like",
  "arch",
  "kernel",
  "hostname",
  "user",
  "uid",
  "home",
] as const satisfies readonly ("name" | keyof OsFacts)[];

/** What a registered name offers. */
export const resultNames = [
  "changed",
  "skipped",
  "failed",
  "stdout",
  "stderr",
  "exit",
] as const satisfies readonly (keyof Registered)[];

/** What `changed_when` sees besides. */
export const runNames = ["stdout", "stderr", "exit"] as const;

/** `registers`: the names the blueprint registers; those not in the scope yet give NotYet. */
export function environment(scope: Scope, registers: Iterable<string> = []): Environment {
  const names: Names = Object.create(null) as Names;
  const secrets = new Set<string>();
  const read = varReader(names, secrets);
  for (const [name, value] of Object.entries(scope.vars)) define(names, name, () => read([name], value));
  for (const name of registers) {
    define(names, name, () => {
      throw new NotYet({ state: "later", needs: name });
    });
  }
  for (const [name, result] of scope.registered) define(names, name, () => result);
  const host: Names = Object.create(null) as Names;
  for (const name of hostNames) define(host, name, () => (name === "name" ? scope.hostName : factsOf(scope)[name]));
  define(names, "host", () => host);
  return { names, secrets };
}

/** The same with more names on top: `item` and `index`. What vars have rendered already is kept. */
export function withLocals(base: Environment, locals: Names): Environment {
  const names = Object.defineProperties(Object.create(null) as Names, Object.getOwnPropertyDescriptors(base.names));
  for (const [name, value] of Object.entries(locals)) define(names, name, () => value);
  return { names, secrets: base.secrets };
}

/** Renders the strings in a value, however deep. Throws ExpressionError, VarError, NotYet. */
export function renderValue(value: unknown, env: Environment): unknown {
  if (typeof value === "string") return renderTyped(value, env.names);
  if (value instanceof Secret) return reveal(value, env.secrets);
  if (Array.isArray(value)) return value.map((item) => renderValue(item, env));
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, child]) => [key, renderValue(child, env)]));
}

/** Is a `when` true? Throws like `renderValue`. */
export function isTrue(condition: string | boolean, env: Environment): boolean {
  if (typeof condition === "boolean") return condition;
  const value = evaluateExpression(condition, env.names);
  if (typeof value === "string" && /^(|true|false|yes|no|on|off|0|1)$/i.test(value)) {
    throw new ExpressionError(
      `gives the text ${JSON.stringify(value)}, which is neither true nor false: compare it, as in  ${condition.trim()} == "true"`,
    );
  }
  return value !== false && value !== null && value !== undefined;
}

/**
 * The value of a bare expression once a resource has run (`changed_when`); `locals` are its `stdout`, `stderr` and
 * `exit`. Throws AmiError `blueprint.invalid`.
 */
export function evaluate(expression: string, scope: Scope, locals: Names): boolean {
  try {
    return isTrue(expression, withLocals(environment(scope), locals));
  } catch (error) {
    if (!(error instanceof PassThrough)) throw error;
    throw new AmiError("blueprint.invalid", `${JSON.stringify(expression)}: ${error.message}`, { cause: error });
  }
}

function define(names: Names, name: string, get: () => unknown): void {
  Object.defineProperty(names, name, { get, enumerable: true, configurable: true });
}

function factsOf(scope: Scope): OsFacts & { name?: never } {
  if (scope.os === undefined) throw new NotYet({ state: "facts" });
  return scope.os;
}

function reveal(secret: Secret, secrets: Set<string>): string {
  const words = secret.reveal();
  secrets.add(words);
  return words;
}

/** Reads a var: renders it once, when it is first used; lists and mappings item by item. */
function varReader(names: Names, secrets: Set<string>): (path: VarPath, raw: unknown) => unknown {
  const known = new Map<string, { readonly value: unknown; readonly secrets: readonly string[] }>();
  const reading: VarPath[] = [];

  const read = (path: VarPath, raw: unknown): unknown => {
    if (raw instanceof Secret) return reveal(raw, secrets);
    if (isInert(raw)) return raw;
    const key = JSON.stringify(path);
    let entry = known.get(key);
    if (entry === undefined) {
      entry = typeof raw === "string" ? render(path, raw) : { value: members(path, raw as object), secrets: [] };
      known.set(key, entry);
    }
    for (const secret of entry.secrets) secrets.add(secret);
    return entry.value;
  };

  const render = (path: VarPath, raw: string): { value: unknown; secrets: string[] } => {
    const start = reading.findIndex((other) => other.join(".") === path.join("."));
    if (start >= 0) throw cycleError(reading.slice(start));
    const before = [...secrets];
    secrets.clear();
    reading.push(path);
    try {
      return { value: renderTyped(raw, names), secrets: [...secrets] };
    } catch (error) {
      throw error instanceof ExpressionError ? new VarError(path, inText(error, raw)) : error;
    } finally {
      reading.pop();
      for (const secret of before) secrets.add(secret);
    }
  };

  const members = (path: VarPath, raw: object): object => {
    const copy: object = Array.isArray(raw) ? Array.from({ length: raw.length }) : (Object.create(null) as object);
    for (const [key, child] of Object.entries(raw)) {
      define(copy as Names, key, () => read([...path, Array.isArray(raw) ? Number(key) : key], child));
    }
    return copy;
  };

  return read;
}

/** The message with the line it is in, where the text has several. */
export function inText(error: ExpressionError, text: string): string {
  return text.trimEnd().includes("\n") ? `${error.message} (line ${error.line} of the text)` : error.message;
}

/** One cycle has one message, wherever it was entered. */
export function cycleError(cycle: readonly VarPath[]): VarError {
  const named = cycle.map((path) => ({ path, text: path.join(".") }));
  const first = named.reduce((least, one) => (one.text < least.text ? one : least));
  const from = named.indexOf(first);
  const turn = [...named.slice(from), ...named.slice(0, from), first];
  return new VarError(first.path, `the vars need each other: ${turn.map((one) => one.text).join(" -> ")}`);
}

/** Holds nothing to render: may be handed out as it is. */
function isInert(raw: unknown): boolean {
  if (typeof raw === "string") return !hasExpression(raw);
  if (typeof raw !== "object" || raw === null) return true;
  let inert = inertObjects.get(raw);
  if (inert === undefined) {
    inert = !(raw instanceof Secret) && Object.values(raw).every(isInert);
    inertObjects.set(raw, inert);
  }
  return inert;
}

const inertObjects = new WeakMap<object, boolean>();
