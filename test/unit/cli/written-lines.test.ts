/** Every command line that is written down (examples of commands, README, guides) is one that can be typed. */
import { globSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { parse } from "../../../src/cli/parse.ts";
import { findCommand } from "../../../src/cli/words.ts";
import { commands } from "../../../src/commands/registry.ts";
import type { Command } from "../../../src/core/command.ts";

const root = join(import.meta.dirname, "../../..");
const names = commands.map(({ name }) => name);
const loaded = new Map<string, Command>();
beforeAll(async () => {
  for (const entry of commands) loaded.set(entry.name, await entry.load());
});

describe("a written line can be typed", () => {
  it.each(commands.map(({ name }) => name))("in the examples of %s", (name) => {
    for (const { line } of loaded.get(name)?.examples ?? []) {
      const lines = typedLines(line);
      expect(lines, line).not.toHaveLength(0);
      for (const words of lines) expect(read(words).name, line).toBe(name);
    }
  });

  it.each(["README.md", ...globSync("docs/{*,guides/*,decisions/*}.md", { cwd: root })])("in %s", (file) => {
    for (const line of blockLines(readFileSync(join(root, file), "utf8"))) {
      for (const words of typedLines(line)) expect(() => read(words), line).not.toThrow();
    }
  });

  it.each([
    [["df -h | grep sda"], [], "ssh execute", 1],
    [["apt-get update"], ["apt-get -y upgrade"], "ssh execute", 4],
    [["uname", "-r"], [], "ssh execute", 2],
  ])("execute runs %j, then %j", (command, then, name, index) => {
    const line = loaded.get(name)?.examples[index]?.line ?? "";
    const [words = []] = typedLines(line);
    const { input } = read(words);
    expect(input, line).toHaveProperty("command", command);
    expect(input, line).toHaveProperty("then", then);
  });

  it("the reader of lines sees them", () => {
    expect(typedLines(`tar c x | ami-node ssh execute --stdin "a 'b'" c > out # ami-node no`)).toEqual([
      ["ssh", "execute", "--stdin", "a 'b'", "c"],
    ]);
    expect(typedLines("source <(ami-node completion bash)")).toEqual([["completion", "bash"]]);
    expect(typedLines("the program ami-node is one file")).toEqual([]);
    expect(
      blockLines("text\n    ami-node a\n```sh\n$ ami-node b \\\n  c\n```\nor `ami-node d e`, `ami-node d`\n"),
    ).toEqual(["ami-node a", "$ ami-node b    c", "ami-node d e"]);
  });
});

function read(words: readonly string[]): { name: string; input?: unknown } {
  const found = findCommand(words, names);
  if (found.is !== "command" && (found.rest.length === 0 || found.rest.every((word) => word === "--help")))
    return { name: "" };
  const command = loaded.get(found.path.join(" "));
  if (command === undefined) throw new Error(`no command: ${words.join(" ")}`);
  const parsed = parse(command, found.before, found.rest);
  return { name: command.name, ...(parsed.want === "run" ? { input: parsed.input } : {}) };
}

/** Lines of fenced and indented blocks, those that end in a backslash joined; and what a text names: `ami-node ssh key`. */
function blockLines(markdown: string): string[] {
  let fenced = false;
  const lines: string[] = [];
  for (const line of markdown.replaceAll("\\\n", " ").split("\n")) {
    if (line.startsWith("```")) fenced = !fenced;
    else if (fenced || line.startsWith("    ")) lines.push(fenced ? line : line.slice(4));
    else lines.push(...[...line.matchAll(/`(ami-node \S+ [^`]+)`/g)].map(([, named = ""]) => named));
  }
  return lines;
}

/** The words behind each `ami-node` that stands where a shell looks for a program, ssh's ProxyCommand included. */
function typedLines(line: string): string[][] {
  const typed: string[][] = [];
  for (const [program, ...words] of shellCommands(line.replace(/^\$ /, "").replaceAll(/"\$\(([^)]*)\)"/g, "($1)"))) {
    if (program === "ami-node") typed.push(words);
    for (const word of words) typed.push(...typedLines(/^ProxyCommand=(.*)$/.exec(word)?.[1] ?? ""));
  }
  return typed;
}

/** A line cut as a shell cuts it: into commands, and those into words. Redirections and what follows them are dropped. */
function shellCommands(line: string): string[][] {
  const all: string[][] = [[]];
  const token =
    /\s+|#.*$|[0-9]?[<>]+\(|([0-9&]?[<>]+)\s*|[|;&()]+|((?:'[^']*'|"(?:\\.|[^"\\])*"|\\.|[^\s'"\\|;&()<>])+)/gsy;
  let redirects = false;
  let spaced = true;
  while (token.lastIndex < line.length) {
    const from = token.lastIndex;
    const match = token.exec(line);
    if (match === null) return all;
    const [text, redirect, word] = match;
    if (text.startsWith("#") && !spaced) {
      token.lastIndex = from + 1;
      continue;
    }
    spaced = /^\s/.test(text);
    if (redirect !== undefined) redirects = true;
    else if (word !== undefined) {
      if (!redirects) all.at(-1)?.push(unquoted(word));
      redirects = false;
    } else if (!spaced) all.push([]);
  }
  return all;
}

function unquoted(word: string): string {
  return word.replaceAll(
    /'([^']*)'|"((?:\\.|[^"\\])*)"|\\(.)/gs,
    (_all, single?: string, double?: string, one?: string) =>
      single ?? double?.replaceAll(/\\(["\\$`])/g, "$1") ?? one ?? "",
  );
}
