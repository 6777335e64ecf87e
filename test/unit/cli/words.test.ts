import { describe, expect, it } from "vitest";
import { findCommand } from "../../../src/cli/words.ts";

const names = ["ssh execute", "ssh connect", "config get", "provision", "plugins", "plugins add"];
const find = (line: string) => findCommand(line === "" ? [] : line.split(" "), names);

describe("the command among the words", () => {
  it.each([
    ["provision --check", "command", "provision", "", "--check"],
    ["ssh execute uptime", "command", "ssh execute", "", "uptime"],
    ["--json ssh execute uptime", "command", "ssh execute", "--json", "uptime"],
    ["ssh --target web1 execute uptime", "command", "ssh execute", "--target web1", "uptime"],
    ["--target=a ssh --parallel 3 execute x --json", "command", "ssh execute", "--target=a --parallel 3", "x --json"],
    ["--become ssh execute x", "command", "ssh execute", "--become", "x"],
    ["--become=app ssh execute x", "command", "ssh execute", "--become=app", "x"],
    ["ssh", "group", "ssh", "", ""],
    ["ssh --help", "group", "ssh", "", "--help"],
    ["ssh exec", "group", "ssh", "", "exec"],
    ["", "nothing", "", "", ""],
    ["--help", "nothing", "", "", "--help"],
    ["-h", "nothing", "", "", "-h"],
    ["docker ps", "nothing", "", "", "docker ps"],
    ["plugins", "command", "plugins", "", ""],
    ["plugins add x", "command", "plugins add", "", "x"],
    ["plugins addd x", "command", "plugins", "", "addd x"],
    ["provision ssh execute", "command", "provision", "", "ssh execute"],
    ["provision --help", "command", "provision", "", "--help"],
    ["- provision", "nothing", "", "", "- provision"],
  ])("of %j is a %s", (line, is, path, before, rest) => {
    const found = find(line);
    const joined = (words: readonly string[]) => words.join(" ");
    expect([found.is, joined(found.path), joined(found.before), joined(found.rest)]).toEqual([is, path, before, rest]);
  });

  it.each([
    ["--jsn provision", /unknown flag --jsn/, /--json/],
    ["--check provision", /unknown flag --check/, /after its name/],
    ["-C provision", /unknown flag -C/, /after its name/],
    ["ssh --then x execute", /unknown flag --then/, /after its name/],
    ["--target", /--target needs a value/, undefined],
  ])("%j is refused", (line, says, hint) => {
    expect(() => find(line)).toThrow(
      expect.objectContaining({
        code: "usage.input",
        message: expect.stringMatching(says),
        ...(hint === undefined ? {} : { hint: expect.stringMatching(hint) }),
      }),
    );
  });
});
