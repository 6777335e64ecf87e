/**
 * New: `npm run new command|resource|probe NAME` writes a source and its test from a template that compiles, lints and
 * passes, and brings registries and reference up to date. What is left is to say what it really does.
 */
import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";

const root = dirname(import.meta.dirname);
const [kind, ...words] = process.argv.slice(2);

try {
  const files = create(kind, words);
  for (const file of files) process.stdout.write(`wrote ${file}\n`);
  execFileSync(process.execPath, [join(root, "scripts/gen.ts")], { stdio: "inherit" });
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
}

function create(what: string | undefined, names: readonly string[]): readonly string[] {
  if (what === "command") return createCommand(names.flatMap((name) => name.split(/[\s/]+/)));
  const [name = "", ...more] = names;
  if (more.length > 0 || (what !== "resource" && what !== "probe")) throw new Error(usage);
  return what === "resource" ? createResource(named(name)) : createProbe(named(name));
}

const usage = `usage: npm run new command [GROUP [GROUP]] VERB
       npm run new resource TYPE
       npm run new probe KIND
Names are lower case, as in: npm run new command disk usage`;

function createCommand(words: readonly string[]): readonly string[] {
  const names = words.map(named);
  const verb = names.at(-1);
  if (verb === undefined || names.length > 3) throw new Error(usage);
  const path = names.join("/");
  const source = `src/commands/${path}.ts`;
  const test = `test/unit/commands/${path}.test.ts`;
  const values = {
    words: words.join(" "),
    name: camel(verb),
    path,
    up: names.map(() => "..").join("/"),
    src: relative(dirname(test), "src").replaceAll("\\", "/"),
    context: names.length === 1 ? "./context.ts" : `${"../".repeat(names.length - 1)}context.ts`,
  };
  const edited = names.slice(1).flatMap((_, i) => addGroup(names.slice(0, i + 1).join(" ")));
  return [write(source, "command.ts", values), write(test, "command.test.ts", values), ...edited];
}

function createResource(name: string): readonly string[] {
  return [
    write(`src/core/resources/${name}.ts`, "resource.ts", { name }),
    write(`test/unit/core/resources/${name}.test.ts`, "resource.test.ts", { name }),
  ];
}

/** A probe is also a question and an answer by name (`facts.ts`), and something that is absent in plan tables. */
function createProbe(name: string): readonly string[] {
  const key = /^[a-z]+$/.test(name) ? name : JSON.stringify(name);
  return [
    write(`src/core/provision/probes/${name}.ts`, "probe.ts", { name }),
    write(`test/unit/core/provision/probes/${name}.test.ts`, "probe.test.ts", { name }),
    insert(
      "src/core/facts.ts",
      "  /** Handlers left over",
      `  | { readonly kind: "${name}"; readonly name: string }\n`,
    ),
    insert("src/core/facts.ts", "  journal: {", `  ${key}: { readonly found: boolean };\n`),
    insert(
      "test/unit/core/resources/table.ts",
      `    case "journal":`,
      `    case "${name}":\n      return { found: false };\n`,
    ),
  ];
}

function addGroup(group: string): readonly string[] {
  const file = "src/commands/groups.ts";
  const text = readFileSync(join(root, file), "utf8");
  if (new RegExp(`^  "?${group}"?:`, "m").test(text)) return [];
  const key = /^[a-z]+$/.test(group) ? group : JSON.stringify(group);
  return [insert(file, "};", `  ${key}: "what the verbs of ${group} have in common",\n`)];
}

function write(file: string, template: string, values: Readonly<Record<string, string>>): string {
  if (existsSync(join(root, file))) throw new Error(`${file} is there already`);
  const text = readFileSync(join(import.meta.dirname, "new", `${template}.txt`), "utf8");
  const filled = Object.entries(values).reduce((out, [name, value]) => out.replaceAll(`__${name}__`, value), text);
  // A key that is a plain name is written without quotes, as the formatter has it.
  const plain = /^[a-z]+$/.test(values["name"] ?? "") ? values["name"] : undefined;
  const tidy =
    plain === undefined
      ? filled
      : filled.replaceAll(`wish["${plain}"]`, `wish.${plain}`).replaceAll(`"${plain}": `, `${plain}: `);
  mkdirSync(dirname(join(root, file)), { recursive: true });
  writeFileSync(join(root, file), tidy);
  return file;
}

/** Before the first line that begins with `anchor`. */
function insert(file: string, anchor: string, lines: string): string {
  const text = readFileSync(join(root, file), "utf8");
  const at = text.startsWith(anchor) ? 0 : text.indexOf(`\n${anchor}`) + 1;
  if (at === 0 && !text.startsWith(anchor))
    throw new Error(`${file} has no line that begins with ${JSON.stringify(anchor)}`);
  writeFileSync(join(root, file), text.slice(0, at) + lines + text.slice(at));
  return file;
}

function named(name: string): string {
  if (/^[a-z][a-z0-9]*(-[a-z0-9]+)*$/.test(name)) return name;
  throw new Error(name === "" ? usage : `${JSON.stringify(name)} is no name: lower case letters, digits and dashes`);
}

function camel(name: string): string {
  return name.replaceAll(/-(.)/g, (_, letter: string) => letter.toUpperCase());
}
