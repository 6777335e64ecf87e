/** The npm package: packed out of a checkout that was never built, installed elsewhere without anything else, and run. */
import { execFile } from "node:child_process";
import { cp, mkdtemp, readFile, readdir, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { runInThisContext } from "node:vm";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { version } from "../../src/core/version.ts";
import { artefact, root } from "./run.ts";

const run = promisify(execFile);
const windows = process.platform === "win32";
const npm = (args: readonly string[], cwd: string) => run(windows ? "npm.cmd" : "npm", args, { cwd, shell: windows });
let dir: string;
const at = (...names: readonly string[]): string => join(dir, ...names);

// It is made of the source, whatever else is tested in this run.
if (artefact === "source") {
  beforeAll(async () => {
    dir = await mkdtemp(join(tmpdir(), "ami-package-"));
    const parts = ["bin", "blueprints", "scripts", "src", "package.json", "LICENSE", "README.md"];
    for (const name of parts) await cp(join(root, name), at("checkout", name), { recursive: true });
    await symlink(join(root, "node_modules"), at("checkout/node_modules"), windows ? "junction" : null);
    await npm(["pack", "--silent", "--pack-destination", dir], at("checkout"));
    await writeFile(at("package.json"), "{}");
    await npm(["install", "--offline", "--no-audit", "--no-fund", `./ami-node-${version}.tgz`], dir);
  });
  afterAll(() => rm(dir, { recursive: true, force: true }));

  describe("the npm package", () => {
    const launcher = "node_modules/ami-node/bin/ami-node.js";

    it("runs on its own, though nobody built it before", async () => {
      // The way to the system's keyring is native, so it is not in the bundle; where it is missing, all else works.
      await rm(at("node_modules/@napi-rs"), { recursive: true, force: true });
      expect((await readdir(at("node_modules"))).filter((name) => !name.startsWith("."))).toEqual(["ami-node"]);
      expect((await run(process.execPath, [at(launcher), "--version"])).stdout).toBe(`${version}\n`);
      const { stdout } = await run(process.execPath, [at(launcher), "system", "info", "--json"], {
        env: { ...process.env, HOME: dir },
      });
      expect(JSON.parse(stdout)).toMatchObject({ host: "local" });
    });

    it("holds what it is made of and whose that is, and no executables", async () => {
      const held = await readdir(at("node_modules/ami-node"));
      expect(held.toSorted()).toEqual(["LICENSE", "README.md", "bin", "blueprints", "dist", "package.json"]);
      const inside = await readdir(at("node_modules/ami-node/dist"));
      expect(inside.toSorted()).toEqual(["chunks", "cli.js", "licenses.txt"]);
    });

    it("says to an old Node that it is too old, with the exit code of what is missing here", async () => {
      await writeFile(at("old.cjs"), `Object.defineProperty(process, "versions", { value: { node: "20.20.2" } });`);
      const ended = await run(process.execPath, ["--require", at("old.cjs"), at(launcher), "--version"]).then(
        () => undefined,
        (error: unknown) => error,
      );
      expect(ended).toMatchObject({ code: 6, stdout: "", stderr: expect.stringContaining("needs Node 24 or newer") });
      expect(ended).toMatchObject({ stderr: expect.stringMatching(/^error: .*20\.20\.2\n  hint: .*\n$/) });
    });

    it("starts with words that older Nodes can read", async () => {
      const text = await readFile(at(launcher), "utf8");
      // As a classic script, where neither import declarations nor a waiting top level parse.
      const body = text.replace(/^#!.*\n/, "").replaceAll("import.meta.url", "''");
      expect(() => runInThisContext(`(function () {${body}\n})`)).not.toThrow();
      expect(body).not.toMatch(/^\s*(?:const|let)\b|=>|`|\?\?|\?\./m);
    });
  });
} else {
  describe.skip("the npm package (skipped: it is made of the source)", () => {
    it("runs on its own", () => undefined);
  });
}
