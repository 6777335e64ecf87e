/** Yaml: text to values that remember where they were written. The only importer of js-yaml; YAML 1.2 core plus `<<` merges. */
import type { Event } from "js-yaml";
import { AmiError } from "./errors.ts";

export interface Yaml {
  /** `undefined`: the text holds no document. Values that share an anchor are the same object. */
  readonly value: unknown;
  /**
   * Where the value at `path` is written. `key` (the default) is its key where it has one, else the value itself.
   * For a path that does not exist: the nearest ancestor that does.
   */
  readonly at: (path: YamlPath, what?: "key" | "value") => Position;
  /** A plain (unquoted) scalar as it was typed: `0644` where the value is 644. */
  readonly typed: (path: YamlPath) => string | undefined;
}

export type YamlPath = readonly PropertyKey[];

/** Both count from 1; columns in UTF-16 units. */
export interface Position {
  readonly line: number;
  readonly column: number;
}

export interface YamlProblem extends Position {
  readonly message: string;
}

export interface YamlOptions {
  /** Code of the errors thrown; `config.invalid` unless given. */
  readonly code?: "config.invalid" | "blueprint.invalid";
  /** When given, duplicate keys are added here instead of thrown (the last one wins). */
  readonly problems?: YamlProblem[];
}

/** Values a document may come to once its aliases are followed: ends the billion laughs. */
const maxValues = 200_000;
const maxDepth = 100;

/** Reads one document. Throws an AmiError whose message has a line `file:line:column what` for each problem. */
export async function parseYaml(text: string, file: string, options: YamlOptions = {}): Promise<Yaml> {
  const js = await import("js-yaml");
  const source = text.startsWith("\ufeff") ? text.slice(1) : text;
  const position = positions(source);
  try {
    const events = js.parseEvents(source, { filename: file, maxDepth });
    const { root, duplicates } = compose(js, events, source);
    const problems = duplicates.map(({ offset, first, key }) => ({
      ...position(offset),
      message: `the key ${JSON.stringify(key)} is here twice, first in line ${position(first).line}`,
    }));
    if (problems.length > 0 && options.problems === undefined) throw invalid(file, problems, options);
    options.problems?.push(...problems);
    const [value] = js.constructFromEvents(events, {
      source,
      filename: file,
      schema: js.CORE_SCHEMA.withTags(js.mergeTag),
      json: problems.length > 0,
    });
    return {
      value,
      at: (path, what = "key") => position(find(root, path, what)),
      typed: (path) => typedText(root, path, source),
    };
  } catch (error) {
    if (!(error instanceof js.YAMLException)) throw error;
    const at = { line: (error.mark?.line ?? 0) + 1, column: (error.mark?.column ?? 0) + 1 };
    const line = source.split(/\r\n|\n|\r/)[at.line - 1] ?? "";
    throw invalid(file, [{ ...at, message: plainWords(error.reason, line) }], options, error);
  }
}

function invalid(file: string, problems: readonly YamlProblem[], options: YamlOptions, cause?: unknown): AmiError {
  const lines = problems.map((p) => `${file}:${p.line}:${p.column} ${p.message}`);
  return new AmiError(options.code ?? "config.invalid", lines.join("\n"), { cause });
}

/** Where a value is written, and what it holds. `start` is an offset. */
interface Place {
  start: number;
  /** Plain scalars only. */
  end?: number;
  /** Values it comes to, itself included, with aliases followed. */
  size: number;
  depth: number;
  entries?: Map<string, { key: number; value: Place }>;
  merged?: Place[];
  items?: Place[];
}

interface Composed {
  readonly root: Place;
  readonly duplicates: { readonly offset: number; readonly first: number; readonly key: string }[];
}

/** The tree of places. Throws YAMLException for what js-yaml would build but we will not. */
function compose(js: typeof import("js-yaml"), events: readonly Event[], source: string): Composed {
  const { EVENT_ID: id, SCALAR_STYLE: style } = js;
  const duplicates: Composed["duplicates"] = [];
  const stack: { place: Place; key?: { text: string; start: number; merges: boolean } }[] = [];
  let anchors = new Map<string, Place | undefined>();
  const pending = new Map<Place, string>();
  let root: Place | undefined;
  const refuse = (offset: number, reason: string): never => js.YAMLException.throwAt(source, offset, reason);

  const add = (place: Place, key: string | undefined, merges = false): void => {
    const top = stack.at(-1);
    if (top === undefined) {
      if (root !== undefined) refuse(place.start, "a second document starts here; one file holds one");
      root = place;
      return;
    }
    if (top.place.items !== undefined) top.place.items.push(place);
    else if (top.key === undefined) {
      if (key === undefined) refuse(place.start, unquoted(source, place.start) ?? "a key must be a text");
      top.key = { text: key ?? "", start: place.start, merges };
      return;
    } else {
      const { text, start, merges: isMerge } = top.key;
      delete top.key;
      if (isMerge) top.place.merged = [...(top.place.merged ?? []), ...(place.items ?? [place])];
      else {
        const first = top.place.entries?.get(text);
        if (first !== undefined) duplicates.push({ offset: start, first: first.key, key: text });
        top.place.entries?.set(text, { key: start, value: place });
      }
    }
    top.place.size += place.size;
    top.place.depth = Math.max(top.place.depth, place.depth + 1);
    if (top.place.size > maxValues) refuse(top.place.start, `aliases make this more than ${maxValues} values`);
    if (top.place.depth > maxDepth) refuse(top.place.start, `this is nested deeper than ${maxDepth}`);
  };

  for (const event of events) {
    switch (event.type) {
      case id.DOCUMENT:
        anchors = new Map();
        break;
      case id.SCALAR: {
        const quoted = event.style === style.SINGLE_QUOTED || event.style === style.DOUBLE_QUOTED;
        const start = event.valueStart - (quoted && event.valueStart >= 0 ? 1 : 0);
        const plain = event.style === style.PLAIN && event.valueStart >= 0 && event.tagStart < 0;
        const place: Place = { start, size: 1, depth: 1, ...(plain ? { end: event.valueEnd } : {}) };
        if (event.anchorStart >= 0) anchors.set(source.slice(event.anchorStart, event.anchorEnd), place);
        const text = js.getScalarValue(source, event);
        add(place, text, plain && text === "<<");
        break;
      }
      case id.SEQUENCE:
      case id.MAPPING: {
        const place: Place = { start: event.start, size: 1, depth: 1 };
        if (event.type === id.SEQUENCE) place.items = [];
        else place.entries = new Map();
        if (event.anchorStart >= 0) {
          const name = source.slice(event.anchorStart, event.anchorEnd);
          anchors.set(name, undefined);
          pending.set(place, name);
        }
        stack.push({ place });
        break;
      }
      case id.ALIAS: {
        const name = source.slice(event.anchorStart, event.anchorEnd);
        const target = anchors.get(name);
        if (target === undefined) {
          const why = anchors.has(name)
            ? `the alias *${name} stands inside what it names`
            : `no anchor &${name} comes before this alias`;
          refuse(event.anchorStart - 1, why);
          break;
        }
        add(target, undefined);
        break;
      }
      case id.POP: {
        const done = stack.pop()?.place;
        if (done === undefined) break;
        const name = pending.get(done);
        if (name !== undefined) anchors.set(name, done);
        add(done, undefined);
        break;
      }
    }
  }
  return { root: root ?? { start: 0, size: 0, depth: 0 }, duplicates };
}

/** `{{ x }}` without quotes is a mapping whose key is a mapping. */
function unquoted(source: string, offset: number): string | undefined {
  if (source[offset] !== "{" || source[offset - 1] !== "{") return undefined;
  return 'an expression must be quoted: "{{ ... }}"';
}

function find(root: Place, path: YamlPath, what: "key" | "value"): number {
  let place = root;
  let offset = Math.max(root.start, 0);
  for (const [i, part] of path.entries()) {
    const child = childOf(place, part);
    if (child === undefined) break;
    place = child.value;
    const own = i === path.length - 1 && what === "value" ? place.start : (child.key ?? place.start);
    // An empty value stands nowhere: its key, or what is around it, does.
    offset = own >= 0 ? own : (child.key ?? offset);
  }
  return offset;
}

function childOf(place: Place, part: PropertyKey): { key?: number; value: Place } | undefined {
  const item = typeof part === "number" ? place.items?.[part] : undefined;
  if (item !== undefined) return { value: item };
  const own = place.entries?.get(String(part));
  if (own !== undefined) return own;
  for (const merged of place.merged ?? []) {
    const child = childOf(merged, part);
    if (child !== undefined) return child;
  }
  return undefined;
}

function typedText(root: Place, path: YamlPath, source: string): string | undefined {
  let place: Place | undefined = root;
  for (const part of path) place = place && childOf(place, part)?.value;
  return place?.end === undefined ? undefined : source.slice(place.start, place.end);
}

function positions(source: string): (offset: number) => Position {
  const starts = [0];
  for (const match of source.matchAll(/\r\n|\n|\r/g)) starts.push(match.index + match[0].length);
  return (offset) => {
    let low = 0;
    let high = starts.length - 1;
    while (low < high) {
      const middle = Math.ceil((low + high) / 2);
      if ((starts[middle] ?? 0) <= offset) low = middle;
      else high = middle - 1;
    }
    return { line: low + 1, column: offset - (starts[low] ?? 0) + 1 };
  };
}

/** js-yaml's reasons speak of grammar; the usual slips have a plainer name. */
function plainWords(reason: string, line: string): string {
  if (/(^|[:,[-]\s+)\{\{/.test(line)) return `${reason}; an expression must be quoted: "{{ ... }}"`;
  if (/[:-]\s+[@`%]/.test(line)) return `${reason}; a value that begins with @, \` or % must be quoted`;
  if (/:\s+[^"'#]*:(\s|$)/.test(line)) return `${reason}; a value that holds ": " must be quoted`;
  return reason;
}
