import { describe, expect, it } from "vitest";
import type { Flag } from "../../../src/cli/flags.ts";
import { leadTrailing } from "../../../src/cli/trailing.ts";

const flag = (long: string, kind: Flag["kind"]): Flag => ({
  field: long,
  long,
  kind,
  numeric: false,
  placeholder: "",
  choices: [],
  summary: "",
  required: false,
});
const flags = [flag("target", "list"), flag("json", "switch"), flag("become", "optional"), flag("then", "list")];
const read = (line: string) => leadTrailing(line.split(" "), flags).join(" ");

describe("flags after the word of a pass-through command", () => {
  it.each([
    ["uptime --target web1", "--target web1 -- uptime"],
    ["uptime --target=web1 --json", "--target=web1 --json -- uptime"],
    ["--json uptime --become --target web1 --then id", "--json --become --target web1 --then id -- uptime"],
  ])("are ours when all of them are and one names targets: %s", (line, meant) => {
    expect(read(line)).toBe(meant);
  });

  it.each([
    "cargo build --target x86_64",
    "ls --json",
    "ls -la --target web1",
    "--target web1 ls --json",
    "--target web1 -- uptime --target web2",
    "uptime -- --target web1",
    "--target web1 uptime",
    "--target",
  ])("belong to the program otherwise: %s", (line) => {
    expect(read(line)).toBe(line);
  });
});
