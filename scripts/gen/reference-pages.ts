/** docs/reference: errors, exit codes, events, resources, settings. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import { settingKeys } from "../../src/core/config/keys.ts";
import type { Command } from "../../src/core/command.ts";
import { errorTable } from "../../src/core/errors.ts";
import { commonSchema } from "../../src/core/provision/blueprint/schema.ts";
import type { ResourceType } from "../../src/core/resource.ts";
import type { Found } from "./declarations.ts";
import { code, fence, mdTable, page } from "./markdown.ts";

export function referencePages(
  root: string,
  commands: readonly Found<Command>[],
  resources: readonly Found<ResourceType>[],
): Map<string, string> {
  const page = (name: string) => `docs/reference/${name}.md`;
  return new Map([
    [page("errors"), errorsPage()],
    [page("exit-codes"), exitCodesPage(commands.map(({ says }) => says))],
    [page("events"), eventsPage(readFileSync(join(root, "src/core/events.ts"), "utf8"))],
    [page("resources"), resourcesPage(resources.map(({ says }) => says))],
    [page("settings"), settingsPage()],
  ]);
}

function errorsPage(): string {
  const rows = Object.entries(errorTable).map(([name, { exit, meaning }]) => [code(name), String(exit), meaning]);
  return page(
    "# Errors",
    "Every error has a code, a message that says what failed and where, and usually a hint that says what to try. `retry` says whether the same call may succeed when it is repeated.",
    'With `--json` the last line of a command that failed is `{kind: "result", exit, error: {code, message, hint?, retry, host?}}`, whether it acts, answers, or was not understood; what a verb that acts prints has `seq`, `at` and `run` besides, as all its events do. A host that failed among others stands with its own `error` in `output`.',
    mdTable(["code", "exit code", "meaning"], rows),
  );
}

/** In the order of precedence. */
const exitMeanings: readonly (readonly [number, string])[] = [
  [130, "interrupted"],
  [77, "a policy forbids it"],
  [64, "usage, or an invalid blueprint or settings file"],
  [6, "a tool or engine is missing on this machine"],
  [5, "a host key was refused (single target)"],
  [4, "no target could be reached or logged in to"],
  [3, "at least one target failed"],
  [2, "changes are pending (`--check`)"],
  [1, "any other failure"],
  [0, "ok"],
];

function exitCodesPage(commands: readonly Command[]): string {
  const own = commands.flatMap((command) =>
    Object.entries(command.exits ?? {}).map(([exit, says]) => [code(`ami-node ${command.name}`), exit, says]),
  );
  return page(
    "# Exit codes",
    "The first that applies, from the top.",
    mdTable(
      ["exit code", "meaning"],
      exitMeanings.map(([exit, says]) => [String(exit), says]),
    ),
    ...(own.length === 0 ? [] : ["## Codes of single commands", mdTable(["command", "exit code", "meaning"], own)]),
  );
}

function eventsPage(source: string): string {
  const start = source.indexOf("/** What came of a step");
  const end = source.indexOf("export type Listener");
  if (start < 0 || end < 0) throw new Error("src/core/events.ts no longer has the landmarks this page is cut by");
  return page(
    "# Events",
    "Verbs that act print their events: as a tree on a terminal, as lines in a pipe, with `--json` one JSON object a line. `seq` counts from 1 without gaps, `at` is milliseconds since 1970, `run` is the same for all events of one command. The last event is always of kind `result`.",
    fence("ts", source.slice(start, end).replaceAll(/^export /gm, "")),
  );
}

function resourcesPage(resources: readonly ResourceType[]): string {
  return page(
    "# Resources",
    "The words of a blueprint. Every resource has exactly one key that names its type; the order of keys is free.",
    ...resources.map((type) =>
      [
        `## ${type.type}`,
        sentence(type.summary),
        fieldTable(type.schema),
        ...(type.examples.length === 0
          ? []
          : [fence("yaml", type.examples.map((example) => example.trimEnd()).join("\n\n"))]),
      ].join("\n\n"),
    ),
    "## Keys of every resource",
    fieldTable(commonSchema),
  );
}

function fieldTable(schema: z.ZodType): string {
  const json = z.toJSONSchema(schema, { io: "input", unrepresentable: "any" });
  const required = new Set(json.required ?? []);
  const rows = Object.entries(json.properties ?? {}).map(([name, field]) => {
    const says: z.core.JSONSchema.BaseSchema = typeof field === "object" ? field : {};
    return [
      code(name),
      typeText(says),
      required.has(name) ? "yes" : says.default === undefined ? "" : `default ${code(JSON.stringify(says.default))}`,
      says.description ?? "",
    ];
  });
  return mdTable(["key", "value", "needed", "meaning"], rows);
}

function typeText(says: z.core.JSONSchema.BaseSchema): string {
  if (says.enum !== undefined) return says.enum.map((value) => code(String(value))).join(", ");
  if (says.const !== undefined) return code(String(says.const));
  const variants = says.anyOf ?? says.oneOf;
  if (variants !== undefined)
    return [...new Set(variants.map((variant) => (typeof variant === "object" ? typeText(variant) : "anything")))].join(
      " or ",
    );
  if (says.type === "array")
    return `list of ${typeof says.items === "object" && !Array.isArray(says.items) ? typeText(says.items) : "anything"}`;
  if (says.type === "object") return "mapping";
  if (says.type === "string") return "text";
  if (says.type === "boolean") return "`true` or `false`";
  return says.type === undefined ? "anything" : "number";
}

function settingsPage(): string {
  const rows = Object.entries(settingKeys).map(([key, { says }]) => [code(key), says]);
  return page(
    "# Settings",
    "`ami-node config set KEY VALUE`, `get`, `unset`, `list`; `ami-node config path` says where they are kept, `ami-node config path --log` where the log file is.",
    mdTable(["key", "meaning"], rows),
  );
}

function sentence(text: string): string {
  return /[.!?]$/.test(text) ? text : `${text}.`;
}
