/** Check hosts: the blueprint with the values each host would get, as far as they are known without contact. */
import type { Blueprint, ResourceNode, Scope } from "../wish.ts";
import type { Known } from "./check.ts";
import { attempt, problemOf, type NodeMistake } from "./expand.ts";
import { problemLine, type Problem } from "./mistakes.ts";
import { environment } from "./template.ts";
import type { Vars } from "./vars.ts";

export interface HostsCheck {
  /** Resources as written. */
  readonly blueprint: Blueprint;
  readonly known: Known;
  /** Of --vars-file and --var. */
  readonly given: Vars;
  readonly hosts: readonly { readonly name: string; readonly vars: Vars }[];
  /** Hosts with the same vars come to the same wishes. */
  readonly alike: boolean;
  /** Found already: not told again. */
  readonly told: readonly Problem[];
}

/** What is wrong on some host: values, names, and two resources that claim one thing. */
export function checkHosts({ blueprint, known, given, hosts, alike, told }: HostsCheck): Problem[] {
  const toldAt = new Set(told.map((problem) => `${problem.file} ${problem.where}`));
  const found = new Map<string, { problem: Problem; hosts: string[] }>();
  const checked = distinct(hosts, alike);
  for (const host of checked) {
    const scope: Scope = {
      vars: { ...blueprint.vars, ...host.vars, ...given },
      hostName: host.name,
      os: undefined,
      registered: new Map(),
    };
    for (const problem of checkHost(scope)) {
      if (toldAt.has(`${problem.file} ${problem.where}`)) continue;
      const key = problemLine(problem);
      const entry = found.get(key) ?? { problem, hosts: [] };
      entry.hosts.push(host.name);
      found.set(key, entry);
    }
  }
  return [...found.values()].map((entry) =>
    entry.hosts.length === checked.length
      ? entry.problem
      : { ...entry.problem, message: `${entry.problem.message} (on ${some(entry.hosts)})` },
  );

  function* checkHost(scope: Scope): Generator<Problem> {
    const env = environment(scope, known.registers.keys());
    const owners = new Map<string, { readonly key: string; readonly node: ResourceNode }>();
    for (const node of [...blueprint.resources, ...blueprint.handlers.values()]) {
      const { mistakes, claims } = attempt(node, env, known);
      for (const mistake of mistakes) yield problemOf(mistake, node, blueprint);
      // A handler acts on what resources own.
      if (node.where.startsWith("handlers.")) continue;
      for (const { claim, key } of claims) {
        const owner = owners.get(claim);
        if (owner === undefined) owners.set(claim, { key, node });
        else if (owner.key !== key) yield problemOf(clash(claim, node, owner.node), node, blueprint);
      }
    }
  }
}

function clash(claim: string, node: ResourceNode, owner: ResourceNode): NodeMistake {
  const what = claim.replace(":", " ");
  const message =
    owner === node ? `two items of each want ${what}` : `${what} is wanted by ${owner.where} (line ${owner.line}) too`;
  return { path: [node.type.type], message };
}

function distinct<T extends { readonly vars: Vars }>(
  hosts: readonly T[],
  alike: boolean,
): readonly (T | { readonly name: string; readonly vars: Vars })[] {
  if (hosts.length === 0) return [{ name: "host", vars: {} }];
  return alike ? [...new Map(hosts.map((host) => [JSON.stringify(host.vars), host])).values()] : hosts;
}

function some(names: readonly string[]): string {
  const shown = names.slice(0, 3).join(", ");
  return names.length > 3 ? `${shown} and ${names.length - 3} more` : shown;
}
