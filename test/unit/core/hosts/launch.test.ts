import { expect, test } from "vitest";
import { isAnyShellSafe, quoteArgv } from "../../../../src/core/argv.ts";
import { endArgv } from "../../../../src/core/hosts/end.ts";
import { checkLaunch, launch, readProcess } from "../../../../src/core/hosts/launch.ts";

const mark = "ami:0123456789abcdef01234567:";

test("plain words go directly, behind a sh that says its pid and execs", () => {
  expect(launch(["ls", "-l", "/a b"], mark, { leads: true })).toEqual({
    argv: ["sh", "-c", `printf "%s" "$1$$;" >&2; shift; exec "$@"`, "sh", mark, "ls", "-l", "/a b"],
    marks: 1,
  });
});

test("words that fish or csh would spoil, env, a cwd and very long words travel over stdin", () => {
  const cases = [
    launch(["echo", "it's"], mark, { leads: true }),
    launch(["echo", "a\nb"], mark, { leads: true }),
    launch(["echo", "a!b"], mark, { leads: true }),
    launch(["echo", "a\\b"], mark, { leads: true }),
    launch(["echo", "x".repeat(200_000)], mark, { leads: true }),
    launch(["env"], mark, { leads: true, env: { A: "secret" } }),
    launch(["pwd"], mark, { leads: true, cwd: "/x" }),
    launch(["env"], mark, { leads: false, env: { A: "secret" } }),
    launch(["tty"], mark, { leads: true, env: { A: "secret" }, pty: { columns: 80, rows: 24 } }),
  ];
  for (const { argv, firstLine } of cases) {
    expect(isAnyShellSafe(quoteArgv(argv))).toBe(true);
    expect(quoteArgv(argv)).not.toContain("secret");
    expect(firstLine).toMatch(/^[^\n]*\n$/);
  }
});

test("an empty env costs nothing", () => {
  expect(launch(["true"], mark, { leads: true, env: {} }).firstLine).toBeUndefined();
});

test("the first line enters the folder, sets the env, and execs, with newlines kept off the line", () => {
  const { firstLine, marks } = launch(["echo", "a\nb"], mark, { leads: true, env: { A: "it's\n" }, cwd: "-x" });
  expect(marks).toBe(2);
  expect(firstLine).toBe(
    [
      "unset AMI_l AMI_s",
      `set -- "\${IFS#??}"`,
      `cd ./-x 2>/dev/null || { printf '%s' '${mark}cwd;' >&2; exit 126; }`,
      `export A='it'\\''s'"$1"''`,
      `printf '%s' '${mark}run;' >&2`,
      `exec echo a"$1"b\n`,
    ].join("; "),
  );
});

test("the program that ends groups is safe in any login shell", () => {
  const argv = endArgv(
    [
      { pid: 12, group: 12 },
      { pid: 14, group: undefined },
    ],
    "END",
    mark,
  );
  expect(isAnyShellSafe(quoteArgv(argv))).toBe(true);
  expect(argv.slice(4)).toEqual([mark, "TERM", "20", "KILL", "12", "p14"]);
  expect(endArgv([{ pid: 12, group: 12 }], "INT", mark).slice(4)).toEqual([mark, "INT", "3", "", "12"]);
});

test("the process is read from its pid, or from its line in /proc", () => {
  expect(readProcess("123", true)).toEqual({ pid: 123, group: 123 });
  expect(readProcess("123 123 (sh) S 100 99 98 0 -1 4194304", false)).toEqual({ pid: 123, group: 99 });
  expect(readProcess("123 123 (a) b) S 100 99 98 0", false)).toEqual({ pid: 123, group: 99 });
  expect(readProcess("123 ", false)).toEqual({ pid: 123, group: undefined });
});

test("what no process can be given is refused before anything starts", () => {
  expect(() => checkLaunch(["a\0b"], {})).toThrow(/NUL/);
  expect(() => checkLaunch(["a"], { env: { A: "\0" } })).toThrow(/NUL/);
  expect(() => checkLaunch(["a"], { env: { "A-B": "" } })).toThrow(/"A-B" is no name/);
  expect(() => checkLaunch([], {})).toThrow(/empty/);
  expect(() => checkLaunch(["a", ""], { env: { _A1: "x" }, cwd: "/" })).not.toThrow();
});
