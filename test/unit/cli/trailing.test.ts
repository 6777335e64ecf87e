import { describe, expect, it } from "vitest";
import type { Flag } from "../../../src/cli/flags.ts";
import { leadTarget, leadTrailing } from "../../../src/cli/trailing.ts";

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
const flags = [
  flag("target", "list"),
  flag("json", "switch"),
  flag("become", "optional"),
  flag("then", "list"),
  flag("script", "value"),
];
/** `_` is a space inside a word. */
const read = (line: string) =>
  leadTrailing(
    line.split(" ").map((word) => word.replaceAll("_", " ")),
    flags,
  )
    .map((word) => word.replaceAll(" ", "_"))
    .join(" ");

describe("flags after the word of a pass-through command", () => {
  it.each([
    ["uptime --target web1", "--target web1 -- uptime"],
    ["uptime --target=web1 --json", "--target=web1 --json -- uptime"],
    ["--json uptime --become --target web1 --then id", "--json --become --target web1 --then id -- uptime"],
    ["--target web1 uptime --then id --become", "--target web1 --then id --become -- uptime"],
    [
      "--target web1 apt-get_update --then apt-get_upgrade --become",
      "--target web1 --then apt-get_upgrade --become -- apt-get_update",
    ],
    ["df_-h --json", "--json -- df_-h"],
    ["df_-h --become --json", "--become --json -- df_-h"],
  ])("are ours when all of them are and no program can be meant: %s", (line, meant) => {
    expect(read(line)).toBe(meant);
  });

  it.each([
    "cargo build --target x86_64",
    "ls --json",
    "ls -la --target web1",
    "--target web1 ls --json",
    "--target web1 -- uptime --target web2",
    "-- df_-h --json",
    "df_-h --json -- x",
    "df_-h --json x",
    "/opt/my_tool --version",
    "/opt/my_tool -- --json",
    "--script check.sh /srv/my_files --json",
    "--script=check.sh /srv/my_files --json",
    "df_-h",
    "uptime -- --target web1",
    "--target web1 uptime",
    "--target",
  ])("belong to the program otherwise: %s", (line) => {
    expect(read(line)).toBe(line);
  });
});

describe("a target word before a program", () => {
  it.each([
    ["web1 -- make -j4", "-- web1 make -j4"],
    ["web1 make -j4", "-- web1 make -j4"],
    ["web1 --json -- make", "--json -- web1 make"],
    ["--json web1 --become make --json", "--json --become -- web1 make --json"],
    ["web1 -- make -- all", "-- web1 make -- all"],
    ["-- make -j4", "--  make -j4"],
    ["--target web1 -- make", "--target web1 --  make"],
    ["--target web1 make -j4", "--target web1 --  make -j4"],
    ["--target=web1 make", "--target=web1 --  make"],
    ["web1 --target web2 -- make", "--target web2 -- web1 make"],
    ["web1", "-- web1"],
    ["web1 --jsno -- make", "--jsno -- make"],
    ["web1 --help", "--help"],
    ["--help", "--help"],
    ["--json", "--json"],
  ])("%s", (line, meant) => {
    expect(leadTarget([], line.split(" "), flags).join(" ")).toBe(meant);
  });
});
