/**
 * Liquid: the template language, made strict. The only importer of liquidjs. What liquidjs lets pass in silence
 * (`{{ a b }}`, `a ==`, an unknown name, a list printed without separators) is an error here.
 */
import type { Context, Expression, Liquid, LiquidOptions, Template, Token, Value } from "liquidjs";
import { filters, printable } from "./filters.ts";
import { didYouMean } from "./mistakes.ts";

/** What names mean. Own properties only; getters are asked when the name is used. */
export type Names = Readonly<Record<string, unknown>>;

/** What a getter of `Names` may throw: it comes out of rendering as it is. */
export class PassThrough extends Error {}

/** A mistake in an expression. Line and column count from 1 within the text that was rendered. */
export class ExpressionError extends PassThrough {
  override readonly name = "ExpressionError";
  readonly line: number;
  readonly column: number;

  constructor(message: string, line = 1, column = 1) {
    super(message);
    this.line = line;
    this.column = column;
  }
}

/** One use of a name that the text does not make itself: `host.os` is `["host", "os"]`. */
export interface Use {
  /** The leading parts that are written out: `a.b[c].d` has `a` and `b`. */
  readonly path: readonly (string | number)[];
  readonly line: number;
  readonly column: number;
  /** May be undefined here: asked by `if`, `unless` or `case`, or before the filter `default`. */
  readonly lenient: boolean;
  /** `path` is all of it: nothing computed follows. */
  readonly whole: boolean;
}

/** Must have been awaited once before the rest is called; the reader of blueprints does. */
export async function loadLiquid(): Promise<void> {
  if (loaded !== undefined) return;
  const js = await import("liquidjs");
  loaded = { js, text: createEngine(js, true), typed: createEngine(js, false), parsed: new Map() };
}

export function hasExpression(text: string): boolean {
  return text.includes("{{") || text.includes("{%");
}

/** The text with its expressions filled in. Throws ExpressionError. */
export function renderText(text: string, names: Names): string {
  if (!hasExpression(text)) return text;
  const { templates } = parse(text);
  return String(run(names, (context, engine) => engine.renderer.renderTemplates(templates, context)));
}

/** Like `renderText`, but a text that is one lone `{{ x }}` gives the value itself: a list, a number, a boolean. */
export function renderTyped(text: string, names: Names): unknown {
  if (!hasExpression(text)) return text;
  const { lone } = parse(text);
  return lone === undefined ? renderText(text, names) : plain(run(names, (context) => lone.value(context)));
}

/** The value of a bare expression: `host.os == "linux" and port > 80`. A lone `{{ x }}` is taken too. */
export function evaluateExpression(expression: string, names: Names): unknown {
  const lone = parseExpression(expression);
  return unshifted(expression, () => plain(run(names, (context) => lone.value(context))));
}

/** The names a text uses. Throws ExpressionError for bad syntax. */
export function namesIn(text: string): readonly Use[] {
  return hasExpression(text) ? usesOf(parse(text).templates) : [];
}

/** The names a bare expression uses. */
export function namesInExpression(expression: string): readonly Use[] {
  parseExpression(expression);
  const shift = braces(expression).length - expression.length > 0 ? opening.length : 0;
  return usesOf(parse(braces(expression)).templates).map((use) =>
    use.line === 1 ? { ...use, column: use.column - shift } : use,
  );
}

/** `undefined variable "prot", did you mean "port"?` */
export function undefinedVariable(name: string, known: Iterable<string>): string {
  return `undefined variable ${JSON.stringify(name)}${didYouMean(name, known)}`;
}

type Library = typeof import("liquidjs");

interface Parsed {
  readonly templates: Template[];
  readonly lone: Value | undefined;
}

/** `text` refuses to print lists and mappings; `typed` hands values over as they are. */
let loaded:
  | { readonly js: Library; readonly text: Liquid; readonly typed: Liquid; readonly parsed: Map<string, Parsed> }
  | undefined;

function liquid(): NonNullable<typeof loaded> {
  if (loaded === undefined) throw new Error("loadLiquid was not awaited");
  return loaded;
}

function createEngine(js: Library, printsText: boolean): Liquid {
  const options: LiquidOptions = {
    strictVariables: true,
    strictFilters: true,
    lenientIf: true,
    ownPropertyOnly: true,
    groupedExpressions: true,
    // Nothing is read from disk: partials are refused below, and this is the second lock.
    templates: {},
    parseLimit: 10_000_000,
    memoryLimit: 100_000_000,
    renderLimit: 10_000,
  };
  if (printsText) options.outputEscape = printable;
  const engine = new js.Liquid(options);
  for (const tag of ["include", "render", "layout", "block"]) {
    engine.registerTag(tag, {
      parse() {
        throw new Error(`{% ${tag} %} is not available: a template stands alone`);
      },
      render: () => "",
    });
  }
  for (const [name, filter] of Object.entries(filters)) engine.registerFilter(name, filter);
  return engine;
}

function parse(text: string): Parsed {
  const { js, text: engine, typed, parsed } = liquid();
  const known = parsed.get(text);
  if (known !== undefined) return known;
  const fresh = guarded({}, () => {
    const templates = engine.parse(text);
    for (const template of everyTemplate(templates)) checkSyntax(template, text);
    const [only] = templates.length === 1 ? typed.parse(text) : [];
    return { templates, lone: only instanceof js.Output ? only.value : undefined };
  });
  if (parsed.size >= 5000) parsed.clear();
  parsed.set(text, fresh);
  return fresh;
}

const opening = "{{ ";

function braces(expression: string): string {
  return hasExpression(expression) ? expression.trim() : `${opening}${expression} }}`;
}

function parseExpression(expression: string): Value {
  if (expression.trim() === "") throw new ExpressionError("the expression is empty");
  const { lone } = unshifted(expression, () => parse(braces(expression)));
  if (lone === undefined)
    throw new ExpressionError("one expression is wanted here, without text around it, as in  port > 80");
  return lone;
}

/** The braces we put around a bare expression are not the user's. */
function unshifted<T>(expression: string, action: () => T): T {
  try {
    return action();
  } catch (error) {
    if (!(error instanceof ExpressionError) || error.line !== 1 || hasExpression(expression)) throw error;
    throw new ExpressionError(error.message, 1, Math.max(1, error.column - opening.length));
  }
}

function run(names: Names, action: (context: Context, engine: Liquid) => Iterable<unknown>): unknown {
  const { js, text } = liquid();
  // The names are globals, so that `{% assign %}` and `{% increment %}` cannot reach them.
  const context = new js.Context(
    Object.create(null) as object,
    text.options,
    { globals: names, sync: true },
    { liquid: text },
  );
  return guarded(names, () => js.toValueSync(action(context, text)) as unknown);
}

/** Runs liquidjs and gives its errors our words and a position. */
function guarded<T>(names: Names, action: () => T): T {
  try {
    return action();
  } catch (error) {
    throw translated(error, names);
  }
}

function translated(error: unknown, names: Names): unknown {
  const { LiquidError } = liquid().js;
  let [line, column]: (number | undefined)[] = [];
  let cause = error;
  while (LiquidError.is(cause)) {
    [line, column] = cause.token.getPosition();
    if (cause.originalError === undefined) break;
    cause = cause.originalError;
  }
  if (cause instanceof PassThrough || !(cause instanceof Error)) return cause;
  if ("variableName" in cause && typeof cause.variableName === "string") {
    return new ExpressionError(
      undefinedVariable(cause.variableName, siblings(cause.variableName, names)),
      line,
      column,
    );
  }
  return new ExpressionError(plainWords(cause.message), line, column);
}

/** Known names like the dotted one: same parent, other last part. */
function siblings(name: string, names: Names): string[] {
  const parents = name.split(".").slice(0, -1);
  try {
    let at: unknown = names;
    for (const part of parents) at = typeof at === "object" && at !== null ? Reflect.get(at, part) : undefined;
    return typeof at === "object" && at !== null ? Object.keys(at).map((key) => [...parents, key].join(".")) : [];
  } catch {
    // A name on the way is not known yet: there is nothing to suggest.
    return [];
  }
}

function plainWords(message: string): string {
  const text = message.replace(/(, file:.*)?, line:\d+, col:\d+$/, "");
  const filter = /^undefined filter: (.*)$/.exec(text)?.[1];
  if (filter !== undefined)
    return `unknown filter ${JSON.stringify(filter)}${didYouMean(filter, Object.keys(liquid().text.filters))}`;
  const tag = /^tag "(.*)" not found$/.exec(text)?.[1];
  if (tag !== undefined) return `unknown tag {% ${tag} %}${didYouMean(tag, tagWords())}`;
  if (text === 'expected "|" before filter')
    return "after a value comes an operator (==, !=, <, >, and, or, contains) or | with a filter";
  return text;
}

function tagWords(): string[] {
  const tags = Object.keys(liquid().text.tags);
  return [...tags, ...tags.map((tag) => `end${tag}`), "else", "elsif", "when"];
}

function* everyTemplate(templates: readonly Template[]): Generator<Template> {
  for (const template of templates) {
    yield template;
    if (template.children !== undefined) yield* everyTemplate(liquid().js.toValueSync(template.children(false, true)));
  }
}

/** liquidjs reads an expression as far as it understands it and drops the rest. */
function checkSyntax(template: Template, text: string): void {
  const { js } = liquid();
  if (template instanceof js.Output) {
    const [begin, end] = template.token.contentRange;
    const content = text.slice(begin, end).trim();
    if (content.startsWith("."))
      throw wrong(template.token, "braces meant for another program stand between {% raw %} and {% endraw %}");
    if (content.endsWith("|")) throw wrong(template.token, "a filter is missing after |");
    const tokenizer = new js.Tokenizer(text, liquid().text.options.operators, undefined, [begin, end], true);
    tokenizer.readFilteredValue();
    tokenizer.skipBlank();
    if (!tokenizer.end()) throw wrong(template.token, `unexpected ${JSON.stringify(tokenizer.remaining().trim())}`);
  }
  for (const argument of template.arguments?.() ?? []) {
    if (argument instanceof js.Value) checkExpression(argument.initial);
  }
}

function checkExpression(expression: Expression): void {
  const { isOperatorToken, isFilteredValueToken } = liquid().js.TypeGuards;
  const tokens = expression.postfix.toSorted((a, b) => a.begin - b.begin);
  let wantsValue = true;
  for (const token of tokens) {
    const operator = isOperatorToken(token);
    if (operator && token.getText() === "not" ? !wantsValue : operator === wantsValue)
      throw wrong(token, `unexpected ${JSON.stringify(token.getText())}`);
    wantsValue = operator;
    if (isFilteredValueToken(token)) checkExpression(token.initial);
  }
  const last = tokens.at(-1);
  if (wantsValue && last !== undefined) throw wrong(last, `a value is missing after ${JSON.stringify(last.getText())}`);
}

function wrong(token: Token, message: string): ExpressionError {
  const [line, column] = token.getPosition();
  return new ExpressionError(message, line, column);
}

function usesOf(templates: Template[]): Use[] {
  const { js } = liquid();
  const lenient = new Set<string>();
  for (const template of everyTemplate(templates)) {
    const asks = template instanceof js.IfTag || template instanceof js.UnlessTag || template instanceof js.CaseTag;
    for (const argument of template.arguments?.() ?? []) {
      if (argument instanceof js.Value)
        markLenient(argument.initial, asks || argument.filters[0]?.name === "default", lenient);
    }
  }
  const uses = Object.values(js.analyzeSync(templates, { partials: false }).globals).flat();
  return uses.map(({ segments, location: { row, col } }) => {
    const cut = segments.findIndex((segment) => typeof segment === "object");
    const path = segments.slice(0, cut < 0 ? undefined : cut).filter((segment) => typeof segment !== "object");
    return { path, line: row, column: col, lenient: lenient.has(`${row}:${col}`), whole: cut < 0 };
  });
}

function markLenient(expression: Expression, lenient: boolean, into: Set<string>): void {
  const { isFilteredValueToken } = liquid().js.TypeGuards;
  for (const token of expression.postfix) {
    if (isFilteredValueToken(token)) markLenient(token.initial, lenient || token.filters[0]?.name === "default", into);
    else if (lenient) into.add(token.getPosition().join(":"));
  }
}

/** A copy of own data: what getters and shared objects stood for. */
function plain(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(plain);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, child]) => [key, plain(child)]));
}
