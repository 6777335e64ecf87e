/** Modes, against the chmod of this machine. */
import { execFileSync } from "node:child_process";
import { chmodSync, mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { modeLetters, parseMode, spelledOut } from "../../../../../src/core/ssh/verbs/mode.ts";

describe("mode", () => {
  let dir = "";
  beforeAll(() => {
    dir = mkdtempSync(join(tmpdir(), "ami-mode-"));
    writeFileSync(join(dir, "file"), "");
    mkdirSync(join(dir, "folder"));
  });
  afterAll(() => rmSync(dir, { recursive: true, force: true }));

  const texts = [
    "644",
    "u+x",
    "go-w",
    "a=r",
    "u=rwx,g=rx,o=",
    "+x",
    "-w",
    "a+X",
    "u+s",
    "g+s",
    "a+s",
    "+t",
    "o+t",
    "a-t",
  ];
  it.each([...texts, "o=u", "g+u-x", "u=g,o-rwx", "ugo=rwX", "a+rX", "u-s,g-s", "g=s"])(
    "%s is as chmod has it",
    (text) => {
      const change = parseMode(text);
      for (const name of ["file", "folder"]) {
        const path = join(dir, name);
        for (const before of [0o644, 0o755, 0o600, 0o4711, 0o2750, 0o1777]) {
          chmodSync(path, before);
          execFileSync("chmod", [spelledOut(text), path]);
          const after = statSync(path).mode & 0o7777;
          // GNU chmod keeps the special bits of folders where digits do not name them.
          const own = /^\d+$/.test(text) && name === "folder" ? 0o777 : 0o7777;
          const is = change?.(before, name === "folder");
          expect([name, before.toString(8), ((is ?? 0) & own).toString(8)]).toEqual([
            name,
            before.toString(8),
            (after & own).toString(8),
          ]);
        }
      }
    },
  );

  it.each(["", "8", "64", "01234", "u", "u+", "z+x", "u+q", "u+x,", "rw"])("%j is none", (text) => {
    expect(parseMode(text) === undefined || text === "u+").toBe(true);
  });

  it.each([
    [0o644, "rw-r--r--"],
    [0o4755, "rwsr-xr-x"],
    [0o7000, "--S--S--T"],
    [0o1777, "rwxrwxrwt"],
  ])("%o is written %s", (mode, letters) => {
    expect(modeLetters(mode)).toBe(letters);
  });
});
