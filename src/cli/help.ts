/** Help: the first page and the page of a group, from the registry alone. */
import type { CommandEntry } from "../commands/registry.ts";
import { flagTerm } from "./flags.ts";
import { globalFlags } from "./globals.ts";

/** `ami-node --help`. `groups`: what each group is about. */
export function firstPage(
  commands: readonly CommandEntry[],
  groups: Readonly<Record<string, string>>,
  version: string,
): string {
  const single = commands.filter((command) => !command.name.includes(" "));
  const sections = groupNames(commands).flatMap((group) => [
    "",
    heading(group, groups),
    ...table(rows(commands, group, groups)),
  ]);
  return [
    `ami-node ${version}: reach any machine, look, compute the difference to what you asked for, and apply it`,
    "",
    "Usage: ami-node [global flags] <command> [flags] [words]",
    ...sections,
    "",
    "Commands:",
    ...table(single.map(({ name, summary }) => [name, summary])),
    "",
    "Global flags:",
    ...table([
      ...globalFlags.map((flag) => [flagTerm(flag), flag.summary] as const),
      ["-h, --help", "show help"],
      ["--version", "print the version"],
    ]),
    "",
    "More: ami-node help <command>. Programs named ami-node-<name> on PATH are commands too (ami-node plugins).",
    "",
  ].join("\n");
}

/** `ami-node ssh`, `ami-node ssh key`. */
export function groupPage(
  group: string,
  commands: readonly CommandEntry[],
  groups: Readonly<Record<string, string>>,
): string {
  return [
    heading(group, groups).replace(/:$/, ""),
    "",
    `Usage: ami-node ${group} <verb> [flags] [words]`,
    "",
    "Verbs:",
    ...table(rows(commands, group, groups).map(([name, summary]) => [name.slice(group.length + 1), summary] as const)),
    "",
    `More: ami-node help ${group} <verb>`,
    "",
  ].join("\n");
}

export function groupNames(commands: readonly CommandEntry[]): string[] {
  return [
    ...new Set(commands.filter(({ name }) => name.includes(" ")).map(({ name }) => name.split(" ", 1)[0] ?? name)),
  ];
}

function heading(group: string, groups: Readonly<Record<string, string>>): string {
  const says = groups[group];
  return says === undefined ? `${group}:` : `${group}: ${says}`;
}

/** Verbs of a group; a group inside it is one row that names its verbs, as does a verb with verbs of its own. */
function rows(
  commands: readonly CommandEntry[],
  group: string,
  groups: Readonly<Record<string, string>>,
): (readonly [string, string])[] {
  const list = new Map<string, string>();
  const inside = Map.groupBy(
    commands.filter(({ name }) => name.startsWith(`${group} `)),
    ({ name }) => name.split(" ", group.split(" ").length + 1).join(" "),
  );
  for (const [name, members] of inside) {
    const says = members.find((command) => command.name === name)?.summary ?? groups[name] ?? "";
    const verbs = members.flatMap((command) => command.name.slice(name.length + 1).split(" ", 1)).filter(Boolean);
    list.set(name, verbs.length === 0 ? says : `${says} (${[...new Set(verbs)].join(", ")})`);
  }
  return [...list];
}

function table(lines: readonly (readonly [string, string])[]): string[] {
  const width = Math.max(...lines.map(([term]) => term.length), 0);
  return lines.map(([term, says]) => `  ${term.padEnd(width)}  ${says}`);
}
