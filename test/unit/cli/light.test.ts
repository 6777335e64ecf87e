/** What is loaded to answer the smallest questions: read from Node's own module loader. */
import { execFile } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, relative } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { commands } from "../../../src/commands/registry.ts";

const root = join(import.meta.dirname, "../../..");
const heavy = [
  "ssh2",
  "dockerode",
  "listr2",
  "inquirer",
  "express",
  "execa",
  "conf",
  "liquidjs",
  "js-yaml",
  "chalk",
  "ora",
  "diff",
];

let dir = "";
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), "ami-light-"));
  await writeFile(
    join(dir, "list.mjs"),
    `import { appendFileSync } from "node:fs";
import { registerHooks } from "node:module";
registerHooks({ load(url, context, next) { appendFileSync(process.env.MODULE_LIST, url + "\\n"); return next(url, context); } });`,
  );
});
afterAll(() => rm(dir, { recursive: true, force: true }));

/** Files of ours by path, libraries by name. */
async function loaded(...words: readonly string[]): Promise<{ ours: string[]; libraries: Set<string>; said: string }> {
  const list = join(dir, `${words.join("_").replaceAll(/\W/g, "_")}.txt`);
  const { stdout } = await promisify(execFile)(
    process.execPath,
    ["--import", pathToFileURL(join(dir, "list.mjs")).href, join(root, "src/cli.ts"), ...words],
    { env: { ...process.env, HOME: dir, MODULE_LIST: list } },
  );
  const urls = (await readFile(list, "utf8")).split("\n").filter((url) => url.startsWith("file:"));
  const paths = urls.map((url) => relative(root, fileURLToPath(url)).replaceAll("\\", "/"));
  const libraries = paths
    .map((path) => /^node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(path)?.[1])
    .filter((name) => name !== undefined);
  return { ours: paths.filter((path) => path.startsWith("src/")), libraries: new Set(libraries), said: stdout };
}

describe("what is loaded", () => {
  it("for --version: the version", async () => {
    const { ours, libraries } = await loaded("--version");
    expect(ours.toSorted()).toEqual(["src/cli.ts", "src/core/version.ts"]);
    expect([...libraries]).toEqual([]);
  });

  it.each([["--help"], ["ssh"], ["help", "config"], ["__complete", "ssh", "ex"], ["__complete", "provision", "--"]])(
    "for %s %s: no library and no command",
    async (...words) => {
      const { ours, libraries, said } = await loaded(...words);
      expect(said).not.toBe("");
      expect([...libraries]).toEqual([]);
      const files = new Set(commands.map(({ name }) => `src/commands/${name.replaceAll(" ", "/")}.ts`));
      expect(ours.filter((file) => files.has(file))).toEqual([]);
    },
  );

  it.each([
    ["provision", "--help"],
    ["ssh", "execute", "--help"],
    ["config", "path"],
    ["completion", "zsh"],
    ["config", "get", "--help"],
  ])("for %s %s: none of the heavy libraries", async (...words) => {
    const { libraries } = await loaded(...words);
    expect(heavy.filter((name) => libraries.has(name))).toEqual([]);
  });
});
