/**
 * The house rules as an oxlint plugin: imports flow one way, each library has one owner, heavy ones are loaded when
 * first used, and nothing below ui/ and cli prints. The table is the one of docs/architecture.md, "Rooms".
 */
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";

const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))));

/**
 * Most special first. `may`: what a folder imports besides itself; a name that ends in `/*` is the files of a folder
 * without its folders. `owns`: libraries that nobody else imports.
 */
const rooms = [
  { folder: "src/core/ssh", may: ["src/core/*"], owns: ["ssh2", "ssh2-sftp-client", "bcrypt-pbkdf"] },
  { folder: "src/core/hosts", may: ["src/core/*", "src/core/ssh"], owns: ["execa"] },
  {
    folder: "src/core/diagnose",
    may: ["src/core/*", "src/core/ssh", "src/core/hosts", "src/core/store", "src/platform"],
    owns: [],
  },
  {
    folder: "src/core/health",
    may: ["src/core/*", "src/core/ssh", "src/core/hosts", "src/core/config", "src/core/store", "src/platform"],
    owns: [],
  },
  { folder: "src/core/config", may: ["src/core/*"], owns: ["conf"] },
  {
    folder: "src/core/security",
    may: ["src/core/*", "src/core/config", "src/core/hosts", "src/core/recording", "src/core/store", "src/platform"],
    owns: ["@napi-rs/keyring"],
  },
  { folder: "src/core/broker", may: ["src/core/*", "src/core/config"], owns: [] },
  { folder: "src/core/jobs", may: ["src/core/*", "src/core/hosts"], owns: [] },
  { folder: "src/core/tunnel", may: ["src/core/*", "src/core/config"], owns: [] },
  { folder: "src/core/recording", may: ["src/core/*", "src/core/config"], owns: [] },
  { folder: "src/core/store", may: ["src/core/*"], owns: [] },
  { folder: "src/core/nodes", may: ["src/core/*", "src/core/hosts", "src/core/store", "src/platform"], owns: [] },
  { folder: "src/core/resources", may: ["src/core/*", "src/platform"], owns: [] },
  {
    folder: "src/core/provision",
    may: ["src/core/*", "src/core/resources", "src/core/nodes", "src/core/store", "src/platform"],
    owns: ["liquidjs", "diff"],
  },
  { folder: "src/core", may: [], owns: ["js-yaml"], flat: true },
  { folder: "src/platform", may: ["src/core/*"], owns: [] },
  { folder: "src/commands", may: ["src/core", "src/platform"], owns: [] },
  { folder: "src/ui", may: ["src/core/*"], owns: ["listr2", "chalk", "ora", "inquirer"] },
  { folder: "src/cli", may: ["src/app.ts", "src/ui", "src/commands", "src/core"], owns: ["commander"] },
  { folder: "src/cli.ts", may: ["src/cli", "src/core/*"], owns: [] },
  { folder: "src/app.ts", may: ["src/core", "src/platform", "src/commands", "src/ui"], owns: [] },
];

/** Everybody writes schemas. */
const everybodys = ["zod"];

/** Small, or needed by every command that runs. */
const light = ["zod", "commander"];

/** Where printing is done. */
const printers = ["src/ui", "src/cli", "src/cli.ts"];

const imports = {
  meta: { type: "problem", schema: [] },
  create(context) {
    const file = relative(root, context.filename).replaceAll("\\", "/");
    if (!file.startsWith("src/")) return {};
    const room = rooms.find((one) => isIn(file, one.folder));
    if (room === undefined) {
      const message = `${file} is in no room: give its folder a line in scripts/lint/house.js`;
      return { Program: (node) => context.report({ node, message }) };
    }
    const check = (node, source, kind) => {
      if (source === null || source === undefined) return;
      const name = textOf(source);
      const problem =
        name === undefined ? "an import names what it loads, so that it can be judged" : judge(file, room, name, kind);
      if (problem !== undefined) context.report({ node, message: problem });
    };
    return {
      ImportDeclaration: (node) => check(node, node.source, isOnlyTypes(node) ? "type" : "static"),
      ExportNamedDeclaration: (node) => check(node, node.source, node.exportKind === "type" ? "type" : "static"),
      ExportAllDeclaration: (node) => check(node, node.source, node.exportKind === "type" ? "type" : "static"),
      ImportExpression: (node) => check(node, node.source, "dynamic"),
      TSImportType: (node) => check(node, node.source ?? node.argument?.literal, "type"),
    };
  },
};

/** What an import loads, when that can be read off the source. */
function textOf(source) {
  if (source.type === "TemplateLiteral" && source.expressions.length === 0) return source.quasis[0].value.cooked;
  return typeof source.value === "string" ? source.value : undefined;
}

function judge(file, room, name, kind) {
  if (name === "node:module" && kind !== "type") return "node:module can load past these rules: use import()";
  if (name.startsWith("node:")) return undefined;
  if (!name.startsWith(".")) return judgeLibrary(file, room, name, kind);
  const wanted = join(dirname(file), name).replaceAll("\\", "/");
  if (!wanted.startsWith("src/")) return `${room.folder} imports ${wanted}, which is no part of the program`;
  const isOwn = room.flat === true ? isDirectlyIn(wanted, room.folder) : isIn(wanted, room.folder);
  if (
    isOwn ||
    room.may.some((place) => (place.endsWith("/*") ? isDirectlyIn(wanted, place.slice(0, -2)) : isIn(wanted, place)))
  ) {
    return undefined;
  }
  const may = room.may.length === 0 ? "nothing else" : room.may.join(", ");
  return `${room.folder} must not import ${wanted}: it may import ${may} (imports flow one way)`;
}

function judgeLibrary(file, room, name, kind) {
  const library = name.split("/", name.startsWith("@") ? 2 : 1).join("/");
  if (!everybodys.includes(library) && !room.owns.includes(library)) {
    const owner = rooms.find((one) => one.owns.includes(library));
    return owner === undefined
      ? `${library} has no owner: name the one folder that imports it in scripts/lint/house.js`
      : `${library} is imported by ${owner.folder} only`;
  }
  if (kind === "static" && !light.includes(library))
    return `${library} is heavy: load it with await import() when it is first used`;
  return undefined;
}

function isIn(file, place) {
  return file === place || file.startsWith(`${place}/`);
}

function isDirectlyIn(file, folder) {
  return isIn(file, folder) && !file.slice(folder.length + 1).includes("/");
}

function isOnlyTypes(node) {
  if (node.importKind === "type") return true;
  return node.specifiers.length > 0 && node.specifiers.every((one) => one.importKind === "type");
}

const printing = {
  meta: { type: "problem", schema: [] },
  create(context) {
    const file = relative(root, context.filename).replaceAll("\\", "/");
    if (!file.startsWith("src/") || printers.some((place) => isIn(file, place))) return {};
    const instead = "nothing below ui/ and cli prints: emit an event";
    const forbid = (node, what) => context.report({ node, message: `${instead} instead of using ${what}` });
    const load = (node, onlyTypes) => {
      if (!onlyTypes && node.source !== null && textOf(node.source) === "node:process") forbid(node, "node:process");
    };
    return {
      ImportDeclaration: (node) => load(node, isOnlyTypes(node)),
      ExportNamedDeclaration: (node) => load(node, node.exportKind === "type"),
      ExportAllDeclaration: (node) => load(node, node.exportKind === "type"),
      ImportExpression: (node) => load(node, false),
      "Program:exit"() {
        const { scopeManager } = context.sourceCode;
        for (const { identifier } of globals(scopeManager, "process")) {
          const name = propertyOf(identifier);
          // As a whole it could be given to anybody.
          if (name === undefined) forbid(identifier, "process as a whole");
          else if (["stdout", "stderr", "getBuiltinModule"].includes(name)) forbid(identifier, `process.${name}`);
        }
        for (const name of ["globalThis", "global"]) {
          for (const { identifier } of globals(scopeManager, name)) forbid(identifier, name);
        }
      },
    };
  },
};

/** Where a global is used as a value; a running program is often called `process` too. */
function globals({ globalScope }, name) {
  const variable = globalScope.set.get(name);
  if (variable?.defs.length > 0) return [];
  const found = new Set([...(variable?.references ?? []), ...globalScope.through]);
  return [...found].filter(({ identifier }) => identifier.name === name && !identifier.parent.type.startsWith("TS"));
}

/** `x` of `identifier.x`; undefined when that is not how it is used. */
function propertyOf(identifier) {
  const { parent } = identifier;
  if (parent.type !== "MemberExpression" || parent.object !== identifier) return undefined;
  if (!parent.computed) return parent.property.name;
  return textOf(parent.property);
}

export default { meta: { name: "house" }, rules: { imports, printing } };
