/** The house rules hold, and oxlint says so when one is broken: each violation is planted in a copy of the sources. */
import { execFile } from "node:child_process";
import { cp, mkdir, mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, expect, test } from "vitest";
import { z } from "zod";

const root = dirname(dirname(import.meta.dirname));

interface Violation {
  readonly name: string;
  readonly file: string;
  readonly text: string;
  /** Rule as oxlint prints it. */
  readonly rule: string;
  readonly says?: RegExp;
}

const violations: readonly Violation[] = [
  {
    name: "core uses the terminal",
    file: "src/core/a.ts",
    text: `export { openText } from "../ui/text.ts";`,
    rule: "house(imports)",
    says: /src\/core must not import src\/ui\/text.ts/,
  },
  {
    name: "core knows a folder below it",
    file: "src/core/b.ts",
    text: `export { localHost } from "./hosts/local.ts";`,
    rule: "house(imports)",
  },
  {
    name: "core knows commands",
    file: "src/core/provision/c.ts",
    text: `export { commands } from "../../commands/registry.ts";`,
    rule: "house(imports)",
  },
  {
    name: "resources open connections",
    file: "src/core/resources/d.ts",
    text: `export { localHost } from "../hosts/local.ts";`,
    rule: "house(imports)",
  },
  {
    name: "resources know the engine",
    file: "src/core/resources/e.ts",
    text: `export type { Wish } from "../provision/wish.ts";`,
    rule: "house(imports)",
  },
  {
    name: "ssh knows hosts",
    file: "src/core/ssh/f.ts",
    text: `export { localHost } from "../hosts/local.ts";`,
    rule: "house(imports)",
  },
  {
    name: "health knows commands",
    file: "src/core/health/g.ts",
    text: `export { commands } from "../../commands/registry.ts";`,
    rule: "house(imports)",
  },
  {
    name: "the store knows health",
    file: "src/core/store/h.ts",
    text: `export { judge } from "../health/judge.ts";`,
    rule: "house(imports)",
  },
  {
    name: "the platform knows hosts",
    file: "src/platform/g.ts",
    text: `export { localHost } from "../core/hosts/local.ts";`,
    rule: "house(imports)",
  },
  {
    name: "a command knows the terminal",
    file: "src/commands/h.ts",
    text: `export { table } from "../ui/table.ts";`,
    rule: "house(imports)",
  },
  {
    name: "a command knows commander's door",
    file: "src/commands/i.ts",
    text: `export { parse } from "../cli/parse.ts";`,
    rule: "house(imports)",
  },
  {
    name: "the terminal knows hosts",
    file: "src/ui/j.ts",
    text: `export { localHost } from "../core/hosts/local.ts";`,
    rule: "house(imports)",
  },
  {
    name: "a type crosses a border",
    file: "src/core/l.ts",
    text: `export type Paint = import("../ui/paint.ts").Paint;`,
    rule: "house(imports)",
  },
  {
    name: "a lazy import crosses a border",
    file: "src/core/m.ts",
    text: `export const ui = () => import("../ui/text.ts");`,
    rule: "house(imports)",
  },
  {
    name: "tests are imported by the program",
    file: "src/core/n.ts",
    text: `export * from "../../test/contract/host.ts";`,
    rule: "house(imports)",
  },
  {
    name: "ssh2 outside core/ssh",
    file: "src/core/hosts/o.ts",
    text: `export const ssh = () => import("ssh2");`,
    rule: "house(imports)",
    says: /ssh2 is imported by src\/core\/ssh only/,
  },
  {
    name: "chalk in core",
    file: "src/core/p.ts",
    text: `export const paint = () => import("chalk");`,
    rule: "house(imports)",
    says: /chalk is imported by src\/ui only/,
  },
  {
    name: "execa in a command",
    file: "src/commands/q.ts",
    text: `import { execa } from "execa";\nexport const run = () => execa("true");`,
    rule: "house(imports)",
  },
  {
    name: "a library nobody owns",
    file: "src/core/r.ts",
    text: `export { default } from "left-pad";`,
    rule: "house(imports)",
    says: /left-pad has no owner/,
  },
  {
    name: "a heavy library loaded at once",
    file: "src/core/hosts/s.ts",
    text: `import { execa } from "execa";\nexport const run = () => execa("true");`,
    rule: "house(imports)",
    says: /execa is heavy/,
  },
  {
    name: "a folder without a room",
    file: "src/newroom/s2.ts",
    text: `export { run } from "../app.ts";\nexport const ssh = () => import("ssh2");`,
    rule: "house(imports)",
    says: /src\/newroom\/s2.ts is in no room/,
  },
  {
    name: "a lazy import in other quotes crosses a border",
    file: "src/core/s3.ts",
    text: "export const pool = () => import(`./ssh/pool.ts`);",
    rule: "house(imports)",
    says: /src\/core must not import src\/core\/ssh\/pool.ts/,
  },
  {
    name: "a lazy import of who knows what",
    file: "src/core/s4.ts",
    text: `export const load = (name: string): Promise<unknown> => import(\`./\${name}.ts\`);`,
    rule: "house(imports)",
    says: /names what it loads/,
  },
  {
    name: "a require made by hand",
    file: "src/core/s5.ts",
    text: `import { createRequire } from "node:module";\nexport const ssh: unknown = createRequire(import.meta.url)("ssh2");`,
    rule: "house(imports)",
    says: /node:module/,
  },
  {
    name: "two files import each other",
    file: "src/core/t.ts",
    text: `import { two } from "./t2.ts";\nexport const one = () => two();`,
    rule: "import(no-cycle)",
  },
  {
    name: "core prints",
    file: "src/core/u.ts",
    text: `export const say = () => process.stdout.write("hello");`,
    rule: "house(printing)",
  },
  {
    name: "core prints through an imported process",
    file: "src/core/u2.ts",
    text: `import process from "node:process";\nexport const say = () => process.stdout.write("hello");`,
    rule: "house(printing)",
  },
  {
    name: "core prints through an imported stream",
    file: "src/core/u3.ts",
    text: `import { stdout } from "node:process";\nexport const say = () => stdout.write("hello");`,
    rule: "house(printing)",
  },
  {
    name: "core hands a stream on",
    file: "src/core/u9.ts",
    text: `export { stdout } from "node:process";`,
    rule: "house(printing)",
  },
  {
    name: "core loads the process later",
    file: "src/core/u4.ts",
    text: `export const say = async () => (await import("node:process")).stdout.write("hello");`,
    rule: "house(printing)",
  },
  {
    name: "core takes a stream out of the process",
    file: "src/core/u5.ts",
    text: `const { stdout } = process;\nexport const say = () => stdout.write("hello");`,
    rule: "house(printing)",
  },
  {
    name: "core gives the process another name",
    file: "src/core/u6.ts",
    text: `const me = process;\nexport const say = () => me.stdout.write("hello");`,
    rule: "house(printing)",
  },
  {
    name: "core finds the process among the globals",
    file: "src/core/u7.ts",
    text: `export const say = () => globalThis.process.stdout.write("hello");`,
    rule: "house(printing)",
  },
  {
    name: "core names a stream by a string",
    file: "src/core/u8.ts",
    text: `export const say = () => process["stderr"].write("hello");`,
    rule: "house(printing)",
  },
  {
    name: "core logs",
    file: "src/core/v.ts",
    text: `export const say = () => console.log("hello");`,
    rule: "eslint(no-console)",
  },
  {
    name: "a command ends the process",
    file: "src/commands/w.ts",
    text: `export const end = () => process.exit(1);`,
    rule: "unicorn(no-process-exit)",
  },
  { name: "any", file: "src/core/x.ts", text: `export const x: any = 1;`, rule: "typescript(no-explicit-any)" },
  {
    name: "a non-null assertion",
    file: "src/core/y.ts",
    text: `export const first = (list: string[]): string => list[0]!;`,
    rule: "typescript(no-non-null-assertion)",
  },
  {
    name: "a silenced compiler",
    file: "src/core/z.ts",
    text: `// @ts-ignore\nexport const x: number = "1";`,
    rule: "typescript(ban-ts-comment)",
  },
  {
    name: "a forgotten promise",
    file: "src/core/aa.ts",
    text: `export function go(): void {\n  Promise.reject(new Error("lost"));\n}`,
    rule: "typescript(no-floating-promises)",
  },
  {
    name: "a type imported as a value",
    file: "src/core/bb.ts",
    text: `import { AmiError } from "./errors.ts";\nexport const is = (e: AmiError): string => e.code;`,
    rule: "typescript(consistent-type-imports)",
  },
  {
    name: "a case forgotten",
    file: "src/core/cc.ts",
    text: `export function say(x: "a" | "b"): void {\n  switch (x) {\n    case "a":\n      return;\n  }\n}`,
    rule: "typescript(switch-exhaustiveness-check)",
  },
];

const report = z.object({
  diagnostics: z.array(z.object({ code: z.string().optional(), message: z.string(), filename: z.string() })),
});
type Diagnostic = z.output<typeof report>["diagnostics"][number];

let found: readonly Diagnostic[] = [];
let copy = "";

beforeAll(async () => {
  copy = await mkdtemp(join(tmpdir(), "ami-architecture-"));
  for (const path of ["src", "scripts/lint", ".oxlintrc.json", "tsconfig.json", "package.json"]) {
    await cp(join(root, path), join(copy, path), { recursive: true });
  }
  await symlink(join(root, "node_modules"), join(copy, "node_modules"));
  await plant("src/core/t2.ts", `import { one } from "./t.ts";\nexport const two = () => one();`);
  for (const { file, text } of violations) await plant(file, text);
  found = await lint(copy, ["--type-aware", ...violations.map(({ file }) => file)]);
}, 120_000);

afterAll(async () => {
  await rm(copy, { recursive: true, force: true });
});

test.each(violations)("oxlint sees it when $name", ({ file, rule, says }) => {
  const said = found.filter((one) => one.filename === file);
  expect(said.map((one) => one.code)).toContain(rule);
  if (says !== undefined) expect(said.map((one) => one.message).join("\n")).toMatch(says);
});

test("the sources keep the house rules", async () => {
  expect(await lint(root, ["src"])).toEqual([]);
}, 60_000);

async function plant(file: string, text: string): Promise<void> {
  await mkdir(dirname(join(copy, file)), { recursive: true });
  await writeFile(join(copy, file), `${text}\n`);
}

async function lint(cwd: string, args: readonly string[]): Promise<readonly Diagnostic[]> {
  const oxlint = join(root, "node_modules", "oxlint", "bin", "oxlint");
  const run = promisify(execFile)(process.execPath, [oxlint, "-f", "json", ...args], {
    cwd,
    maxBuffer: 64 * 1024 * 1024,
  });
  // oxlint exits 1 when it found something.
  const { stdout } = await run.catch((error: unknown) => z.object({ stdout: z.string() }).parse(error));
  return report.parse(JSON.parse(stdout)).diagnostics;
}
