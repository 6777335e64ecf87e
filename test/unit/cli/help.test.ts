import { describe, expect, it } from "vitest";
import { firstPage, groupNames, groupPage } from "../../../src/cli/help.ts";
import type { CommandEntry } from "../../../src/commands/registry.ts";
import { copy } from "./command.ts";

const entry = (name: string, summary: string): CommandEntry => ({
  name,
  summary,
  targets: "none",
  flags: [],
  words: [],
  load: () => Promise.resolve(copy),
});
const commands = [
  entry("box copy", "Copy a file into boxes"),
  entry("box list", "List boxes"),
  entry("plugins", "List programs"),
];
const groups = { box: "boxes of all sizes" };

describe("help", () => {
  it("lists groups, commands and global flags on its first page", () => {
    const page = firstPage(commands, groups, "1.2.3");
    expect(page.split("\n").slice(0, 11).join("\n")).toMatchInlineSnapshot(`
      "ami-node 1.2.3: reach any machine, look, compute the difference to what you asked for, and apply it

      Usage: ami-node [global flags] <command> [flags] [words]

      box: boxes of all sizes
        box copy  Copy a file into boxes
        box list  List boxes

      Commands:
        plugins  List programs
      "
    `);
    for (const flag of ["--target TARGET", "--become[=USER]", "--no-color", "-h, --help", "--version"])
      expect(page).toContain(flag);
    expect(Math.max(...page.split("\n").map((line) => line.length))).toBeLessThanOrEqual(120);
  });

  it("lists a group inside a group as one row, and its verbs on a page of their own", () => {
    const nested = [...commands, entry("box lid open", "Open it"), entry("box lid shut", "Shut it")];
    const says = { ...groups, "box lid": "the lids" };
    expect(firstPage(nested, says, "1.2.3")).toMatch(/\n {2}box lid {3}the lids \(open, shut\)\n/);
    expect(groupPage("box", nested, says)).toMatch(/\n {2}lid {3}the lids \(open, shut\)\n/);
    expect(groupPage("box lid", nested, says)).toContain("Verbs:\n  open  Open it\n  shut  Shut it\n");
  });

  it("lists a verb that has verbs of its own beside them", () => {
    const nested = [...commands, entry("box lid", "Put a lid on"), entry("box lid list", "List the lids")];
    const says = { ...groups, "box lid": "those on boxes" };
    expect(firstPage(nested, says, "1.2.3")).toMatch(/\n {2}box lid {3}Put a lid on \(list\)\n/);
  });

  it("lists the verbs of a group", () => {
    expect(groupPage("box", commands, groups)).toMatchInlineSnapshot(`
      "box: boxes of all sizes

      Usage: ami-node box <verb> [flags] [words]

      Verbs:
        copy  Copy a file into boxes
        list  List boxes

      More: ami-node help box <verb>
      "
    `);
    expect(groupNames(commands)).toEqual(["box"]);
  });
});
