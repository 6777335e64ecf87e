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

const step = z.object({
  uses: z.string().optional(),
  run: z.string().optional(),
  shell: z.string().optional(),
});
const defaults = z.object({ run: z.object({ shell: z.string() }) }).optional();
const workflow = z.object({
  name: z.string(),
  on: z.record(z.string(), z.unknown()),
  permissions: z.record(z.string(), z.string()),
  defaults,
  jobs: z.record(z.string(), z.object({ "timeout-minutes": z.number(), defaults, steps: z.array(step).min(1) })),
});

describe.each(readdirSync(folder))("the workflow %s", (file) => {
  const text = readFileSync(join(folder, file), "utf8");
  const { jobs, defaults: common } = workflow.parse(load(text));
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

  it("hides no failure in front of a pipe", () => {
    // Bash that is asked for by name gets pipefail, bash that is there by default does not.
    for (const job of Object.values(jobs)) {
      for (const { run = "", shell } of job.steps) {
        if (/[^|]\|[^|]/.test(run)) expect(shell ?? job.defaults?.run.shell ?? common?.run.shell, run).toBe("bash");
      }
    }
  });
});

describe("the workflows", () => {
  it("run the torture every night", () => {
    const { on, jobs } = workflow.parse(load(readFileSync(join(folder, "nightly.yml"), "utf8")));
    expect(Object.keys(on)).toContain("schedule");
    expect(
      Object.values(jobs)
        .flatMap((job) => job.steps.map(({ run = "" }) => run))
        .join("\n"),
    ).toContain("test:long");
  });

  it("give the example one place that says where ami-node comes from", () => {
    const text = readFileSync(join(folder, "example-ci-step.yml"), "utf8");
    expect(text.match(/^ {2}AMI_NODE: /gm)).toHaveLength(1);
    expect(text).toContain('--repo "$AMI_NODE"');
  });
});
