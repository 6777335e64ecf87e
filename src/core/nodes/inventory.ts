/** Inventory: nodes.yaml as data: names, addresses, groups, vars. Every mistake at once, with its place. */
import { readFile } from "node:fs/promises";
import { AmiError } from "../errors.ts";
import { nearest } from "../nearest.ts";
import { type Target, type Vars, parseTarget } from "../targets.ts";
import { systemCode, whyUnreadable } from "../unreadable.ts";
import { type Yaml, type YamlPath, type YamlProblem, parseYaml } from "../yaml.ts";
import { type Family, groupsOf, membersOf } from "./groups.ts";
import { type Mistake, mistakesOf } from "./mistakes.ts";
import { type NodesFile, nodesFile } from "./schema.ts";

export interface Inventory {
  /** Where it was read from; undefined: there is none. */
  readonly file?: string | undefined;
  /** By name, in the order written; vars merged, groups complete (a child's parents included). */
  readonly nodes: ReadonlyMap<string, Target>;
  /** Names of the nodes of each group, children's included, in the order of `nodes`. */
  readonly groups: ReadonlyMap<string, readonly string[]>;
  /** For every target, named here or not. */
  readonly vars: Vars;
}

export const noInventory: Inventory = { nodes: new Map(), groups: new Map(), vars: {} };

/** Throws `config.invalid`; a missing file is one unless `optional`, then it is an empty inventory. */
export async function readInventory(
  file: string,
  options: { readonly optional?: boolean | undefined } = {},
): Promise<Inventory> {
  let text: string;
  try {
    text = await readFile(file, "utf8");
  } catch (error) {
    const code = systemCode(error);
    if (options.optional === true && (code === "ENOENT" || code === "ENOTDIR")) return noInventory;
    throw new AmiError("config.invalid", `the inventory ${file} cannot be read: ${whyUnreadable(error)}`, {
      hint: "name another one with: ami-node config set inventory FILE",
      cause: error,
    });
  }
  return parseInventory(text, file);
}

/** Throws `config.invalid` with a line `file:line:column where: what` for each mistake. */
export async function parseInventory(text: string, file: string): Promise<Inventory> {
  const problems: YamlProblem[] = [];
  const yaml = await parseYaml(text, file, { problems });
  const read = nodesFile.safeParse(yaml.value ?? {});
  const mistakes = read.success ? meaningMistakes(read.data) : mistakesOf(read.error.issues, yaml.value);
  if (problems.length + mistakes.length > 0) throw invalid(file, yaml, problems, mistakes);
  return build(read.success ? read.data : {}, file);
}

/** What the schema cannot see: addresses, groups that do not exist, circles. */
function meaningMistakes({ nodes = {}, groups = {} }: NodesFile): Mistake[] {
  const known = new Set([...Object.keys(groups), ...Object.values(nodes).flatMap((node) => node.groups)]);
  const mistakes: Mistake[] = [];
  for (const [name, { address, written }] of Object.entries(nodes)) {
    const path = written === "short" ? ["nodes", name] : ["nodes", name, "address"];
    try {
      parseTarget(address ?? name);
    } catch (error) {
      if (!(error instanceof AmiError)) throw error;
      mistakes.push({ path, message: error.message.replace(/^target /, "") });
    }
  }
  for (const [name, { children }] of Object.entries(groups)) {
    for (const [i, child] of children.entries()) {
      const path = ["groups", name, "children", i];
      const near = nearest(child, known);
      const guess = near === undefined ? "" : `, did you mean ${JSON.stringify(near)}?`;
      if (!known.has(child)) mistakes.push({ path, message: `there is no group ${JSON.stringify(child)}${guess}` });
      else if (leadsTo(groups, child, name))
        mistakes.push({ path, message: `${child} contains ${name} already: a circle` });
    }
  }
  return mistakes;
}

function leadsTo(
  groups: NonNullable<NodesFile["groups"]>,
  from: string,
  to: string,
  seen: Set<string> = new Set(),
): boolean {
  if (from === to) return true;
  if (seen.has(from)) return false;
  seen.add(from);
  return (groups[from]?.children ?? []).some((child) => leadsTo(groups, child, to, seen));
}

function build({ nodes = {}, groups = {}, vars = {} }: NodesFile, file: string): Inventory {
  const family: Family = new Map(Object.entries(groups).map(([name, { children }]) => [name, children]));
  const targets = Object.entries(nodes).map(([name, node]): [string, Target] => {
    const all = groupsOf(node.groups, family);
    const merged: Vars = Object.fromEntries(
      [vars, ...all.map((group) => groups[group]?.vars ?? {}), node.vars].flatMap(Object.entries<unknown>),
    );
    return [name, { ...parseTarget(node.address ?? name), name, vars: merged, groups: all }];
  });
  const names = new Set([...Object.keys(groups), ...targets.flatMap(([, target]) => target.groups ?? [])]);
  const members = [...names].map((group): [string, string[]] => [group, membersOf(group, targets)]);
  return { file, nodes: new Map(targets), groups: new Map(members), vars };
}

function invalid(file: string, yaml: Yaml, problems: readonly YamlProblem[], mistakes: readonly Mistake[]): AmiError {
  const places = mistakes.map(({ path, message, what }) => ({
    ...yaml.at(path, what ?? "value"),
    text: path.length === 0 ? message : `${whereText(path)}: ${message}`,
  }));
  const all = [...problems.map((problem) => ({ ...problem, text: problem.message })), ...places];
  const lines = all.toSorted((a, b) => a.line - b.line || a.column - b.column);
  return new AmiError(
    "config.invalid",
    lines.map(({ line, column, text }) => `${file}:${line}:${column} ${text}`).join("\n"),
    {
      hint: "a node is NAME: ADDRESS, or NAME: { address: user@host:port, groups: [web], vars: { port: 8080 } }",
    },
  );
}

/** `nodes.web1.groups[0]` */
function whereText(path: YamlPath): string {
  return path
    .map((part, i) => (typeof part === "number" ? `[${part}]` : `${i === 0 ? "" : "."}${String(part)}`))
    .join("");
}
