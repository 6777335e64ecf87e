/** Read: a blueprint file as data, with everything that is wrong with it told at once, before any host is contacted. */
import { readFile } from "node:fs/promises";
import { basename, dirname, extname, resolve } from "node:path";
import { AmiError } from "../../errors.ts";
import { whyUnreadable } from "../../unreadable.ts";
import type { ResourceType } from "../../resource.ts";
import { parseYaml, type YamlProblem } from "../../yaml.ts";
import type { Blueprint, ResourceNode } from "../wish.ts";
import { checkHosts } from "./check-hosts.ts";
import { checkNode, checkVars, registersUsed, type Known } from "./check.ts";
import { problemOf, type NodeMistake } from "./expand.ts";
import { loadLiquid, type Use } from "./liquid.ts";
import { BlueprintError, didYouMean, whereText, type Path, type Problem } from "./mistakes.ts";
import { itemPath, readNode } from "./node.ts";
import { inOrder, selected } from "./order.ts";
import { openSources } from "./sources.ts";
import { reservedNames } from "./template.ts";
import { readTop } from "./top.ts";
import { placeOfVar, readVarsFile, rememberVars, varPlaces, type Vars } from "./vars.ts";

export interface ReadOptions {
  readonly types: ReadonlyMap<string, ResourceType>;
  /** From `--var`. */
  readonly vars: Vars;
  /** From `--vars-file`; later ones win. */
  readonly varsFiles: readonly string[];
  /** Whom it is for, with their inventory vars: values are checked for each before any is contacted. */
  readonly hosts: readonly { readonly name: string; readonly vars: Vars }[];
  /** Only resources with one of these, and what they need (`after`, registered results). Handlers always. */
  readonly tags?: readonly string[] | undefined;
}

export interface ReadBlueprint {
  readonly blueprint: Blueprint;
  /** Of --vars-file and --var: to be laid over the vars of the blueprint and of the inventory. */
  readonly vars: Readonly<Record<string, unknown>>;
}

/**
 * Throws BlueprintError (`blueprint.invalid`) with every problem found; AmiError `blueprint.invalid` for a file that is not
 * there or no YAML; `usage.input` for a tag nobody has.
 */
export async function readBlueprint(file: string, options: ReadOptions): Promise<ReadBlueprint> {
  const [text, files] = await Promise.all([
    readText(file),
    Promise.all(options.varsFiles.map(readVarsFile)),
    loadLiquid(),
  ]);
  const duplicates: YamlProblem[] = [];
  const yaml = await parseYaml(text, file, { code: "blueprint.invalid", problems: duplicates });
  const problems: Problem[] = duplicates.map((problem) => ({ file, where: "", ...problem }));
  const report = (path: Path, message: string): void => {
    problems.push({ file, ...yaml.at(path), where: whereText(path), message });
  };

  const top = readTop(yaml, report);
  if (top === undefined) throw new BlueprintError(problems);
  const context = {
    yaml,
    types: options.types,
    report: ({ path, message }: { path: Path; message: string }) => report(path, message),
  };
  const nodes = top.resources.map(({ raw, path }) => readNode(raw, path, context)).filter((node) => node !== undefined);
  const handlers = new Map(top.handlers.map(({ raw, path }) => [String(path[1]), readNode(raw, path, context)]));
  const handlerNodes = [...handlers.values()].filter((node) => node !== undefined);

  const given: Vars = { ...(Object.assign({}, ...files.map((one) => one.vars)) as Vars), ...options.vars };
  rememberVars(top.vars, varPlaces({ file, yaml, vars: top.vars }, files, options.vars));
  const bodies = new Map<string, Buffer>();
  const blueprint: Blueprint = {
    name: top.name ?? basename(file, extname(file)),
    file,
    dir: dirname(resolve(file)),
    vars: top.vars,
    resources: nodes,
    handlers: new Map(handlerNodes.map((node) => [node.where.slice("handlers.".length), node])),
    files: bodies,
  };
  const at = (node: ResourceNode, mistake: NodeMistake): void =>
    void problems.push(problemOf(mistake, node, blueprint));

  const { order, cycles } = inOrder(nodes);
  for (const cycle of cycles) {
    const [first] = cycle;
    if (first !== undefined)
      at(first, {
        path: ["after"],
        message: `they wait for each other: ${[...cycle, first].map((node) => node.id ?? node.where).join(" -> ")}`,
      });
  }
  checkIds(nodes, at);
  const registers = readRegisters(nodes, { ...top.vars, ...given }, at);
  const known: Known = {
    vars: new Set([top.vars, given, ...options.hosts.map((host) => host.vars)].flatMap((vars) => Object.keys(vars))),
    registers,
    handlers: [...handlers.keys()],
    sources: openSources(blueprint.dir, bodies),
    order,
  };
  for (const name of known.vars) {
    if (reservedNames.includes(name))
      problems.push({
        ...placeOfVar(top.vars, [name]),
        message: `the name ${JSON.stringify(name)} has a meaning of its own here; choose another`,
      });
  }
  const vars = checkVars({ ...top.vars, ...given }, known);
  for (const { path, message } of vars.mistakes) problems.push({ ...placeOfVar(top.vars, path), message });
  const uses = new Map<ResourceNode, readonly Use[]>();
  for (const node of [...nodes, ...handlerNodes]) {
    const checked = checkNode(node, known);
    uses.set(node, checked.uses);
    for (const mistake of checked.mistakes) at(node, mistake);
  }
  const everyUse = [...uses.values(), ...vars.uses.values()].flat();
  problems.push(
    ...checkHosts({
      blueprint,
      known,
      given,
      hosts: options.hosts,
      alike: !everyUse.some(usesHostName),
      told: problems,
    }),
  );
  if (problems.length > 0) throw new BlueprintError(problems);

  const tags = options.tags ?? [];
  checkTags(tags, nodes);
  const resources =
    tags.length === 0
      ? order
      : selected(order, tags, (node) => registersUsed(uses.get(node) ?? [], vars.uses, registers));
  return { blueprint: { ...blueprint, resources }, vars: given };
}

async function readText(file: string): Promise<string> {
  try {
    return await readFile(file, "utf8");
  } catch (cause) {
    throw new AmiError("blueprint.invalid", `${file}: the blueprint cannot be read: ${whyUnreadable(cause)}`, {
      cause,
    });
  }
}

type At = (node: ResourceNode, mistake: NodeMistake) => void;

function checkIds(nodes: readonly ResourceNode[], at: At): void {
  const byId = new Map<string, ResourceNode>();
  for (const node of nodes) {
    if (node.id === undefined) continue;
    const first = byId.get(node.id);
    if (first === undefined) byId.set(node.id, node);
    else
      at(node, {
        path: ["id"],
        message: `the id ${JSON.stringify(node.id)} is taken by ${first.where} (line ${first.line})`,
      });
  }
  for (const node of nodes) {
    for (const [i, id] of node.common.after.entries()) {
      if (!byId.has(id))
        at(node, {
          path: itemPath(node, "after", i),
          message: `there is no resource with the id ${JSON.stringify(id)}${didYouMean(id, byId.keys())}`,
        });
    }
  }
}

function readRegisters(nodes: readonly ResourceNode[], vars: Vars, at: At): Map<string, ResourceNode> {
  const registers = new Map<string, ResourceNode>();
  for (const node of nodes) {
    const name = node.common.register;
    if (name === undefined) continue;
    const first = registers.get(name);
    const taken = takenBy(name, vars, first);
    if (taken === undefined) registers.set(name, node);
    else at(node, { path: ["register"], message: `the name ${JSON.stringify(name)} ${taken}; choose another` });
  }
  return registers;
}

function takenBy(name: string, vars: Vars, first: ResourceNode | undefined): string | undefined {
  if (reservedNames.includes(name)) return "has a meaning of its own here";
  if (Object.hasOwn(vars, name)) return "is a var";
  return first === undefined ? undefined : `is registered by ${first.where} (line ${first.line})`;
}

function usesHostName({ path: [root, member] }: Use): boolean {
  return root === "host" && (member === undefined || member === "name");
}

function checkTags(tags: readonly string[], nodes: readonly ResourceNode[]): void {
  const all = new Set(nodes.flatMap((node) => node.common.tags));
  for (const tag of tags) {
    if (all.has(tag)) continue;
    const hint = all.size === 0 ? "the blueprint has no tags" : `the tags are: ${[...all].sort().join(", ")}`;
    throw new AmiError("usage.input", `no resource has the tag ${JSON.stringify(tag)}${didYouMean(tag, all)}`, {
      hint,
    });
  }
}
