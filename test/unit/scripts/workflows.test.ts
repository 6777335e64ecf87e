import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { load } from "js-yaml";
import { describe, expect, it } from "vitest";
import { z } from "zod";
import { targets } from "../../../scripts/binary/targets.ts";

const root = join(import.meta.dirname, "../../..");
const folder = join(root, ".github/workflows");
const scripts = z
  .object({ scripts: z.record(z.string(), z.string()) })
  .parse(JSON.parse(readFileSync(join(root, "package.json"), "utf8"))).scripts;

const step = z.object({ uses: z.string().optional(), run: z.string().optional() });
const workflow = z.object({
  name: z.string(),
  on: z.record(z.string(), z.unknown()),
  permissions: z.record(z.string(), z.string()),
  jobs: z.record(z.string(), z.object({ "timeout-minutes": z.number(), steps: z.array(step).min(1) })),
});

describe.each(readdirSync(folder))("the workflow %s", (file) => {
  const text = readFileSync(join(folder, file), "utf8");
  const { jobs } = workflow.parse(load(text));
  const steps = Object.values(jobs).flatMap((job) => job.steps);

  it("uses actions of a fixed major version only", () => {
    for (const { uses } of steps) if (uses !== undefined) expect(uses).toMatch(/^[\w-]+\/[\w-]+@v\d+$/);
  });

  it("runs npm scripts that exist", () => {
    const named = steps.flatMap(({ run = "" }) =>
      [...run.matchAll(/npm run (?:--silent )?([\w:]+)/g)].map(([, name]) => name),
    );
    for (const name of named) expect(Object.keys(scripts)).toContain(name);
  });

  it("names executables that are made", () => {
    const made = targets.map((target) => target.file);
    for (const [name] of text.matchAll(/\bami-node-(?:linux|darwin|windows)-[\w.-]+\w/g)) expect(made).toContain(name);
  });

  it("puts no text of others into a script", () => {
    // An expression in a script is code; in the environment it is a value.
    for (const { run = "" } of steps) expect(run.replaceAll(/\$\{\{ matrix\.\w+ \}\}/g, "")).not.toContain("${{");
  });
});
