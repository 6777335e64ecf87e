/** docs/reference/commands: one page for each group, one for each command that stands alone. */
import { wordsOf } from "../../src/cli/declared.ts";
import { flagSays, flagTerm, positionalSays, positionalTerm } from "../../src/cli/flags.ts";
import { globalFlags } from "../../src/cli/globals.ts";
import { groups } from "../../src/commands/groups.ts";
import type { Command } from "../../src/core/command.ts";
import type { Found } from "./declarations.ts";
import { code, fence, mdTable, page } from "./markdown.ts";

const folder = "docs/reference/commands";

export function commandPages(found: readonly Found<Command>[]): Map<string, string> {
  const commands = found.map(({ says }) => says);
  const files = new Map<string, string>();
  const byFile = Map.groupBy(commands, ({ name }) => name.split(" ", 1)[0] ?? name);
  for (const [word, members] of byFile) {
    const isGroup = members.some(({ name }) => name.includes(" "));
    for (const group of new Set(members.flatMap(({ name }) => groupsOf(name)))) {
      if (groups[group] === undefined) throw new Error(`src/commands/groups.ts says nothing about ${group}`);
    }
    const head = isGroup ? [`# ami-node ${word}`, `${sentence(groups[word] ?? "")}`] : [];
    files.set(
      `${folder}/${word}.md`,
      page(...head, ...members.map((command) => section(command, isGroup ? "##" : "#"))),
    );
  }
  files.set(`${folder}/README.md`, index(commands));
  return files;
}

/** `ssh key generate` is in `ssh` and in `ssh key`. */
function groupsOf(name: string): string[] {
  const words = name.split(" ");
  return words.slice(1).map((_, i) => words.slice(0, i + 1).join(" "));
}

function index(commands: readonly Command[]): string {
  const rows = commands.map((command) => {
    const [word = "", verb] = command.name.split(" ", 2);
    const anchor = verb === undefined ? "" : `#ami-node-${command.name.replaceAll(" ", "-")}`;
    return [`[\`ami-node ${command.name}\`](${word}.md${anchor})`, command.summary, command.effect];
  });
  return page(
    "# Commands",
    mdTable(["command", "what it does", "effect"], rows),
    "## Global flags",
    "Every command has them, before or after its words; commands that take no targets leave out those about targets.",
    mdTable(
      ["flag", "meaning"],
      globalFlags.map((flag) => [code(flagTerm(flag)), flagSays(flag)]),
    ),
  );
}

function section(command: Command, level: string): string {
  const { flags, positionals } = wordsOf(command);
  const usage = ["ami-node", command.name, "[flags]", ...positionals.map(positionalTerm)].join(" ");
  const words = positionals.map((word) => [code(positionalTerm(word)), positionalSays(word)]);
  return [
    `${level} ami-node ${command.name}`,
    sentence(command.summary),
    command.description ?? "",
    fence("", usage),
    words.length === 0 ? "" : mdTable(["word", "meaning"], words),
    flags.length === 0
      ? ""
      : mdTable(
          ["flag", "meaning"],
          flags.map((flag) => [code(flagTerm(flag)), flagSays(flag)]),
        ),
    examples(command),
    exits(command),
    facts(command),
  ]
    .filter((part) => part !== "")
    .join("\n\n");
}

function examples({ examples: list }: Command): string {
  return list.length === 0 ? "" : fence("sh", list.map(({ line, says }) => `# ${says}\n${line}`).join("\n\n"));
}

function exits({ exits: own }: Command): string {
  const rows = Object.entries(own ?? {});
  return rows.length === 0
    ? ""
    : mdTable(
        ["exit code", "meaning here"],
        rows.map(([exit, says]) => [exit, says]),
      );
}

function facts(command: Command): string {
  const where = {
    local: "Without a target it acts on this machine.",
    settings: "Without a target it uses `default.target` of the settings.",
    words: "Its own words name the targets.",
    none: "It takes no targets.",
  };
  const shows = {
    answer: "It prints one document, with `--json` one JSON value.",
    events: "It prints its events as they come, with `--json` one a line.",
  };
  return `${where[command.targets]} ${command.interactive === true ? "It needs a terminal." : shows[command.shows]}`;
}

function sentence(text: string): string {
  const first = `${text.slice(0, 1).toUpperCase()}${text.slice(1)}`;
  return /[.!?]$/.test(first) ? first : `${first}.`;
}
