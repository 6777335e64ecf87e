import { describe, expect, it } from "vitest";
import type { Globals } from "../../../src/app.ts";
import { commandHelp, parse } from "../../../src/cli/parse.ts";
import type { Command } from "../../../src/core/command.ts";
import { copy, inside, quiet, visit, visitAll } from "./command.ts";

function read(command: Command, line: string, before = ""): { input: unknown; globals: Globals } {
  const words = (text: string) => (text === "" ? [] : text.split(" "));
  const parsed = parse(command, words(before), words(line));
  if (parsed.want === "help") throw new Error("asked for help");
  return parsed;
}

const defaults = { places: [], check: false, backup: true, copies: 1, skip: [], env: {} };
const said = (line: string) => read(copy, `${line} --token t`).input;

describe("input from words", () => {
  it.each([
    ["a", { file: "a" }],
    ["a b c", { file: "a", places: ["b", "c"] }],
    ["a --check", { file: "a", check: true }],
    ["-C a", { file: "a", check: true }],
    ["a --no-backup", { file: "a", backup: false }],
    ["a --copies 3", { file: "a", copies: 3 }],
    ["a --copies=3", { file: "a", copies: 3 }],
    ["a --level high", { file: "a", level: "high" }],
    ["a --skip x --skip=y -x z", { file: "a", skip: ["x", "y", "z"] }],
    ["a --ports 1 --ports 2", { file: "a", ports: [1, 2] }],
    ["a --env A=1 --env B=x=y", { file: "a", env: { A: "1", B: "x=y" } }],
    ["a --run-as me", { file: "a", runAs: "me" }],
    ["-- --check -x", { file: "--check", places: ["-x"] }],
  ])("%j", (line, input) => {
    // The token stands last, and behind -- it would be a word.
    const parsed = line.startsWith("--") && line.includes("-- ") ? read(copy, `--token t ${line}`).input : said(line);
    expect(parsed).toEqual({ ...defaults, token: "t", ...input });
  });

  it.each([
    ["", "missing <FILE>\n--token TEXT is needed"],
    ["a --token t --level hihg", '--level: "hihg" is not known; did you mean high?'],
    ["a --token t --level x", '--level: "x" is none of low, high'],
    ["a --token t --copies many", "--copies: must be a number"],
    ["a --token t --copies 0", "--copies: must be at least 1"],
    ["a --token t --copies 1.5", "--copies: must be a whole number"],
    ["a --token t --copies 101", "--copies: must be at most 100"],
    ["a --token t --json=yes", "--json takes no value"],
    ["a --token t --check=yes", "--check takes no value"],
    ["a --token t --timeout 25d", '--timeout: "25d" is more than 24 days'],
    ["a --token t --timeout 99999999999d", '--timeout: "99999999999d" is more than 24 days'],
    ["a --token t --env A", '--env: "A" is not NAME=VALUE'],
    ["a --token", "--token needs a value: --token TEXT"],
    ["a --tokn t", "unknown flag --tokn"],
    ["a --token t --parallel 0", '--parallel: "0" is not a number from 1 to 10000'],
    ["a --token t --timeout soon", '--timeout: "soon" is not a time like 30, 30s or 5m'],
    ["a --token t --timeout 0", '--timeout: "0" is not a time like 30, 30s or 5m'],
    ["a --token t --become-method magic", '--become-method: "magic" is not one of sudo, su, doas'],
    ["a --token t --become=a;b", '--become: "a;b" is no user name'],
  ])("%j is refused", (line, message) => {
    expect(() => read(copy, line)).toThrow(expect.objectContaining({ code: "usage.input", message }));
  });

  it.each([
    ["", [], {}],
    ["user@host", ["user@host"], {}],
    ["web1 left", ["web1"], { corner: "left" }],
    ["--target web1", ["web1"], {}],
    ["web2 --target web1", ["web1", "web2"], {}],
    ["--target web1 left", ["web1"], { corner: "left" }],
    ["--json --target=web1 --yes left --quiet", ["web1"], { corner: "left" }],
    ["--target web1 -- left", ["web1"], { corner: "left" }],
  ])("a target may be a word: %j", (line, targets, input) => {
    const parsed = read(visit, line);
    expect(parsed.globals.targets).toEqual(targets);
    expect(parsed.input).toEqual(input);
    expect(commandHelp(visit, 80)).toContain("box visit [flags] [TARGET] [CORNER]");
  });

  it("all words may be targets", () => {
    const parsed = read(visitAll, "web1 web2,web3 --corner left --target web4");
    expect(parsed.globals.targets).toEqual(["web4", "web1", "web2,web3"]);
    expect(parsed.input).toEqual({ corner: "left" });
    expect(commandHelp(visitAll, 80)).toContain("box visit-all [flags] [TARGET...]");
  });

  it("what is no place of a secret is not repeated, for it may be the secret", () => {
    expect(() => read(copy, "a --token t --ask-pass=hunter2")).toThrow(
      expect.objectContaining({ code: "usage.input", message: expect.not.stringContaining("hunter2") }),
    );
  });

  it.each([
    ["a --ask-pass", "ask", undefined],
    ["--ask-pass a", "ask", undefined],
    ["a --ask-pass=vault:web1/x:y", { from: "vault", name: "web1/x:y" }, undefined],
    ["a --ask-become-pass=env:PW --ask-pass", "ask", { from: "env", name: "PW" }],
    ["a --ask-become-pass=file:/p w", undefined, { from: "file", name: "/p" }],
  ])("passwords are asked for or taken from somewhere: %j", (line, ssh, become) => {
    const { globals } = read(copy, `${line} --token t`);
    expect([globals.askPass, globals.askBecomePass]).toEqual([ssh, become]);
  });

  it.each(["--ask-pass=secret", "--ask-pass=vault:", "--ask-become-pass=", "--ask-pass=ENV:x"])(
    "%s names no place",
    (flag) => {
      expect(() => read(copy, `a --token t ${flag}`)).toThrow(expect.objectContaining({ code: "usage.input" }));
    },
  );

  it.each([
    ["web1", {}],
    ["web1 --again", { again: "10s" }],
    ["web1 --again=5s", { again: "5s" }],
    ["--again web1", { again: "10s" }],
  ])("a value that may be left out stands behind =: %j", (line, input) => {
    const parsed = read(visit, line);
    expect(parsed.globals.targets).toEqual(["web1"]);
    expect(parsed.input).toEqual(input);
    expect(commandHelp(visit, 80)).toMatch(/--again\[=TIME\] +so often/);
    expect(() => read(visit, "web1 left --again 5s")).toThrow(
      expect.objectContaining({ message: expect.stringContaining("5s"), hint: expect.stringContaining("--again=10s") }),
    );
  });

  it("too many words are refused", () => {
    expect(() => read(quiet, "a b")).toThrow(expect.objectContaining({ message: "too many words: a, b" }));
  });

  it.each([
    ["a --tokn t", "did you mean --token?"],
    ["a -l --token t", "flags of the program itself go after --, as in: ami-node box copy -- ls -l"],
  ])("the hint for %j helps", (line, hint) => {
    expect(() => read(copy, line)).toThrow(expect.objectContaining({ hint }));
  });
});

describe("global flags", () => {
  it("stand before or after the command, and mean the same", () => {
    const after = read(copy, "a --token t --target web1,web2 --target db --json --parallel 5 --timeout 90s").globals;
    const before = read(
      copy,
      "a --token t",
      "--target web1,web2 --target db --json --parallel 5 --timeout 90s",
    ).globals;
    expect(after).toEqual(before);
    expect(after).toMatchObject({ targets: ["web1,web2", "db"], json: true, parallel: 5, timeout: 90_000 });
    expect(read(copy, "a --token t --target db", "--target web1").globals.targets).toEqual(["web1", "db"]);
  });

  it.each([
    ["--become", "root"],
    ["--become=app", "app"],
    ["--check", undefined],
  ])("%s becomes %s and never swallows the next word", (flag, user) => {
    const { input, globals } = read(copy, `${flag} a --token t`);
    expect(globals.become).toBe(user);
    expect(input).toMatchObject({ file: "a" });
  });

  it("a value that looks like --become is a value", () => {
    const { input, globals } = read(copy, "a --token t --run-as --become");
    expect(input).toMatchObject({ runAs: "--become" });
    expect(globals.become).toBeUndefined();
  });

  it("have defaults", () => {
    expect(read(copy, "a --token t").globals).toEqual({
      targets: [],
      targetsFile: undefined,
      sshConfig: undefined,
      identities: [],
      askPass: undefined,
      askBecomePass: undefined,
      become: undefined,
      becomeMethod: undefined,
      acceptNew: false,
      parallel: undefined,
      timeout: undefined,
      json: false,
      quiet: false,
      verbose: false,
      color: true,
      yes: false,
    });
    expect(read(copy, "a --token t --no-color --yes --quiet").globals).toMatchObject({
      color: false,
      yes: true,
      quiet: true,
    });
  });

  it("about targets are refused by a command that takes none", () => {
    expect(read(quiet, "--json").globals.json).toBe(true);
    expect(() => read(quiet, "--target web1")).toThrow(
      expect.objectContaining({ code: "usage.input", message: "--target: box list takes no targets" }),
    );
  });
});

describe("a pass-through command", () => {
  it.each([
    ["ls -la --json", ["ls", "-la", "--json"], []],
    ["--env A=1 ls --env B", ["ls", "--env", "B"], ["A=1"]],
    ["--json -- ls --help", ["ls", "--help"], []],
    ["ls -- -x", ["ls", "--", "-x"], []],
    ["--become ls --become", ["ls", "--become"], []],
  ])("leaves to the program what stands behind its name: %j", (line, words, env) => {
    expect(read(inside, line).input).toEqual({ words, env });
  });

  it("takes flags of ours before the program", () => {
    expect(read(inside, "--become --target web1 ls").globals).toMatchObject({ become: "root", targets: ["web1"] });
  });
});

describe("the help page of a command", () => {
  it("is asked for by --help and -h", () => {
    expect(parse(copy, [], ["--help"])).toEqual({ want: "help" });
    expect(parse(copy, [], ["a", "-h"])).toEqual({ want: "help" });
    expect(parse(inside, [], ["ls", "--help"])).toMatchObject({ want: "run" });
  });

  it("says everything the declaration says", () => {
    expect(commandHelp(copy, 100)).toMatchInlineSnapshot(`
      "Usage: ami-node box copy [flags] <FILE> [BOX...]

      Copy a file into boxes.

      Each box gets one.

      Arguments:
        FILE                        what to copy
        BOX                         where to

      Flags:
        -C, --check                 change nothing
        --no-backup                 keep the old file
        --copies N                  how many (default 1)
        --level TEXT                how hard to try (one of low, high)
        -x, --skip TEXT             leave out (repeatable)
        --ports N                   ports to use (repeatable)
        --env NAME=VALUE            a variable (repeatable)
        --run-as TEXT               whom to be
        --token TEXT                who asks (required)

      Global flags:
        --target TARGET             targets: [user@]host[:port], alias, name, pattern, @group, comma lists
                                    (repeatable)
        --targets-file FILE         file with one target per line, # for comments
        --ssh-config FILE           ssh config instead of ~/.ssh/config
        --identity FILE             private key to offer (repeatable)
        --transport HOW             who logs in: this program, or the ssh of this machine (one of ssh2,
                                    system)
        --ask-pass[=SOURCE]         ask for the ssh password once, or take it from vault:, env: or file:
        --become[=USER]             work as another user there (root when none is named)
        --become-method HOW         how to become the other user (one of sudo, su, doas)
        --ask-become-pass[=SOURCE]  ask for the password of sudo, su or doas once, or take it as above
        --accept-new                accept and remember host keys never seen before
        --parallel N                targets worked on at once (default 50)
        --timeout TIME              deadline for each target: 30, 30s, 5m
        --json                      print JSON: one value, or one event a line
        --quiet                     print only the answer and errors
        --verbose                   print steps that change nothing, output of steps, causes of errors
        --no-color                  no colours
        --yes                       answer every question with yes
        -h, --help                  show this page

      Examples:
        ami-node box copy a.txt b1 b2 --token x
            into two boxes

      Exit codes of its own:
        9  a box is full
      "
    `);
  });

  it("of a command without targets leaves out the flags about them", () => {
    expect(commandHelp(quiet, 100)).toMatchInlineSnapshot(`
      "Usage: ami-node box list [flags]

      List boxes.

      Global flags:
        --json      print JSON: one value, or one event a line
        --quiet     print only the answer and errors
        --verbose   print steps that change nothing, output of steps, causes of errors
        --no-color  no colours
        --yes       answer every question with yes
        -h, --help  show this page
      "
    `);
  });
});
