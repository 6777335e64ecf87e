/** `npm run new`: what it writes compiles, lints, is formatted and passes, in a copy of the project. */
import { execFile } from "node:child_process";
import { appendFile, cp, mkdtemp, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

const root = dirname(dirname(dirname(import.meta.dirname)));
const copied = [
  "src",
  "test",
  "scripts",
  "docs/reference",
  "bench",
  "blueprints",
  "package.json",
  "tsconfig.json",
  "vitest.config.ts",
  ".oxlintrc.json",
  ".oxfmtrc.json",
];
const written = [
  "src/commands/disk/free-space.ts",
  "test/unit/commands/disk/free-space.test.ts",
  "src/commands/disk/label/print.ts",
  "test/unit/commands/disk/label/print.test.ts",
  "src/commands/greet.ts",
  "test/unit/commands/greet.test.ts",
  "src/core/resources/marker.ts",
  "test/unit/core/resources/marker.test.ts",
  "src/core/provision/probes/program.ts",
  "test/unit/core/provision/probes/program.test.ts",
];

let copy = "";

beforeAll(async () => {
  copy = await mkdtemp(join(tmpdir(), "ami-new-"));
  for (const path of copied) await cp(join(root, path), join(copy, path), { recursive: true });
  await symlink(join(root, "node_modules"), join(copy, "node_modules"));
  for (const words of [
    "command disk free-space",
    "command disk label print",
    "command greet",
    "resource marker",
    "probe program",
  ]) {
    const { code, said } = await node("scripts/new.ts", ...words.split(" "));
    expect(said).not.toContain("rror");
    expect(code).toBe(0);
  }
}, 120_000);

afterAll(async () => {
  await rm(copy, { recursive: true, force: true });
});

describe("npm run new", () => {
  it("writes what compiles", async () => {
    expect(await tool("typescript/bin/tsc", "-p", ".")).toEqual({ code: 0, said: "" });
  }, 120_000);

  it("writes what lints", async () => {
    const all = [...written, "src/core/facts.ts", "src/commands/groups.ts", "test/unit/core/resources/table.ts"];
    expect(await tool("oxlint/bin/oxlint", "--type-aware", "--deny-warnings", "-f", "unix", ...all)).toEqual({
      code: 0,
      said: "",
    });
  }, 120_000);

  it("writes what is formatted", async () => {
    const { code, said } = await tool(
      "oxfmt/bin/oxfmt",
      "--check",
      ...written,
      "src/core/facts.ts",
      "src/commands/groups.ts",
    );
    expect({ code, said }).toMatchObject({ code: 0 });
  });

  it("writes tests that pass", async () => {
    const { code, said } = await tool(
      "vitest/vitest.mjs",
      "run",
      ...written.filter((file) => file.startsWith("test/")),
    );
    expect({ code, said }).toMatchObject({ code: 0 });
    expect(said).toMatch(/Test Files {2}5 passed/);
  }, 120_000);

  it("brings registries and reference up to date", async () => {
    expect(await node("scripts/gen.ts", "--check")).toEqual({ code: 0, said: "" });
    expect(await readFile(join(copy, "docs/reference/commands/disk.md"), "utf8")).toContain("ami-node disk free-space");
    expect(await readFile(join(copy, "docs/reference/resources.md"), "utf8")).toContain("## marker");
    expect((await node("src/cli.ts", "greet")).said).toMatch(/^local: /);
  }, 60_000);

  it("what is not up to date, or no longer written, fails the check by name and is mended by gen", async () => {
    await appendFile(join(copy, "src/commands/registry.ts"), "// edited\n");
    await writeFile(join(copy, "docs/reference/old.md"), "old\n");
    const { code, said } = await node("scripts/gen.ts", "--check");
    expect(code).toBe(1);
    expect(said).toMatch(/npm run gen/);
    expect(said).toMatch(/^ {2}src\/commands\/registry\.ts\n {2}docs\/reference\/old\.md$/m);
    expect((await node("scripts/gen.ts")).said).toBe("wrote src/commands/registry.ts\nremoved docs/reference/old.md\n");
    expect((await node("scripts/gen.ts", "--check")).code).toBe(0);
  }, 60_000);

  it("overwrites nothing", async () => {
    const { code, said } = await node("scripts/new.ts", "command", "greet");
    expect(code).toBe(1);
    expect(said).toContain("src/commands/greet.ts is there already");
  });

  it.each([
    [["command"], /usage/],
    [["command", "a", "b", "c", "d"], /usage/],
    [["resource", "Nginx"], /"Nginx" is no name/],
    [["thing", "x"], /usage/],
  ])("says how it is used: %j", async (words, says) => {
    const { code, said } = await node("scripts/new.ts", ...words);
    expect(code).toBe(1);
    expect(said).toMatch(says);
  });
});

function tool(path: string, ...args: readonly string[]): Promise<{ code: number; said: string }> {
  return node(join(root, "node_modules", path), ...args);
}

async function node(...args: readonly string[]): Promise<{ code: number; said: string }> {
  const env = { ...process.env, HOME: copy, NO_COLOR: "1" };
  return promisify(execFile)(process.execPath, args, { cwd: copy, env, maxBuffer: 64 * 1024 * 1024 }).then(
    ({ stdout, stderr }) => ({ code: 0, said: stdout + stderr }),
    (error: { code: number; stdout: string; stderr: string }) => ({
      code: error.code,
      said: error.stdout + error.stderr,
    }),
  );
}
