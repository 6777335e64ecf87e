/**
 * Gen: writes everything that can be read off the declarations: registries, version, reference, blueprint schema.
 * `--check` writes nothing and fails when something on disk is not what would be written.
 */
import { mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { styleText } from "node:util";
import { blueprintSchema } from "./gen/blueprint-schema.ts";
import { commandPages } from "./gen/command-pages.ts";
import { readCommands, readProbes, readResources } from "./gen/declarations.ts";
import { referencePages } from "./gen/reference-pages.ts";
import { commandRegistry, probeRegistry, resourceRegistry, versionFile } from "./gen/registries.ts";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const check = process.argv.includes("--check");

/** Folders in which every file is ours: one that is no longer written is removed. */
const ownFolders = ["docs/reference"];

const files = new Map<string, string>();
const add = (path: string, text: string) => files.set(path, text);

add("src/core/version.ts", versionFile(readFileSync(join(root, "package.json"), "utf8")));
const commands = await readCommands(root);
add("src/commands/registry.ts", commandRegistry(commands));
const resources = await readResources(root);
add("src/core/resources/registry.ts", resourceRegistry(resources));
add("src/core/provision/probes/registry.ts", probeRegistry(await readProbes(root)));
add("blueprints/schema.json", blueprintSchema(resources));
for (const [path, text] of [...commandPages(commands), ...referencePages(root, commands, resources)]) add(path, text);

const stale = [...files].filter(([path, text]) => readOr(join(root, path)) !== text).map(([path]) => path);
const extra = ownFolders.flatMap((folder) => filesUnder(folder)).filter((path) => !files.has(path));

if (check && stale.length + extra.length > 0) {
  process.stderr.write(
    `${styleText("red", "not up to date")} (run: npm run gen):\n${[...stale, ...extra].map((path) => `  ${path}\n`).join("")}`,
  );
  process.exitCode = 1;
} else if (!check) {
  for (const path of stale) {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), files.get(path) ?? "");
    process.stdout.write(`wrote ${path}\n`);
  }
  for (const path of extra) {
    rmSync(join(root, path));
    process.stdout.write(`removed ${path}\n`);
  }
}

function readOr(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return undefined;
  }
}

function filesUnder(folder: string): string[] {
  try {
    return readdirSync(join(root, folder), { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) =>
        join(entry.parentPath, entry.name)
          .slice(root.length + 1)
          .replaceAll("\\", "/"),
      );
  } catch {
    return [];
  }
}
