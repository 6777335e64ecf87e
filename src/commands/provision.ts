/** provision: brings machines to the state a blueprint describes. */
import { z } from "zod";
import { defineCommand } from "../core/command.ts";
import { AmiError } from "../core/errors.ts";
import { limitTargets } from "../core/nodes/limit.ts";
import { readBlueprint } from "../core/provision/blueprint/read.ts";
import { provisionFleet, readVars } from "../core/provision/fleet.ts";
import { errorSchema } from "../core/report.ts";
import { loadResources } from "../core/resources/load.ts";

const outcome = z.enum(["changed", "same", "pending", "failed", "skipped", "cancelled"]);

export const command = defineCommand({
  name: "provision",
  summary: "Bring machines to the state a blueprint describes",
  description: `Looks at every target in one round trip, computes what differs, and changes only that. A second run changes nothing.

--check says what would change and changes nothing; it exits 2 when changes are pending. Questions are asked only before something is lost (a non-empty directory, a user, a package); --yes answers them.`,
  examples: [
    { line: "ami-node provision --blueprint blueprints/hello.yaml", says: "on this machine" },
    { line: "ami-node provision --blueprint web.yaml --target web1,web2 --become", says: "on two hosts, as root" },
    {
      line: "ami-node provision --blueprint web.yaml --target @prod --check --diff",
      says: "what would change, with the text of the changes",
    },
    {
      line: "ami-node provision --blueprint web.yaml --var port=8080 --var 'sites:=[\"a\"]'",
      says: "with values of its variables",
    },
  ],
  input: z.strictObject({
    blueprint: z.string().min(1).describe("the blueprint to apply"),
    check: z
      .boolean()
      .default(false)
      .describe("say what would change, change nothing; exit 2 when changes are pending"),
    diff: z.boolean().default(false).describe("show how the text of files changes"),
    var: z.array(z.string()).default([]).describe("a variable, as name=text or name:=json").meta({ secret: true }),
    varsFile: z.array(z.string()).default([]).describe("YAML file of variables; later ones win"),
    tags: z.array(z.string()).default([]).describe("only resources with one of these tags (comma list)"),
    limit: z.array(z.string()).default([]).describe("only these of the targets (names, patterns, groups)"),
    explain: z.boolean().default(false).describe("say how many stages and round trips each host took, and why"),
  }),
  args: {
    short: { check: "C", diff: "D", blueprint: "f" },
    values: { blueprint: "FILE", var: "NAME=VALUE", varsFile: "FILE", tags: "TAGS", limit: "PATTERN" },
  },
  output: z.object({
    hosts: z.array(
      z.object({
        host: z.string(),
        outcome,
        counts: z.record(outcome, z.number()),
        stages: z.number(),
        roundTrips: z.number(),
        settled: z.boolean().optional(),
        resources: z.array(
          z.object({
            key: z.string(),
            title: z.string(),
            outcome,
            changes: z.array(z.string()),
            diff: z.string().optional(),
            reason: z.string().optional(),
            stage: z.number(),
            stdout: z.string().optional(),
            stderr: z.string().optional(),
            error: errorSchema.optional(),
          }),
        ),
        error: errorSchema.optional(),
      }),
    ),
  }),
  effect: "change",
  programs: "own",
  shows: "events",
  targets: "local",
  route: { method: "POST", path: "/api/node/provision" },
  exits: {
    1: "something would be lost, and nobody answered yes",
    2: "--check: changes are pending",
    3: "at least one target failed, or did not settle: what was made so was not so any more at the end",
    64: "the blueprint has mistakes; nothing was contacted",
  },
  async run(input, ctx) {
    const targets = limitTargets(ctx.targets, input.limit);
    if (targets.length === 0)
      throw new AmiError("usage.target", `--limit ${input.limit.join(",")} leaves no target`, {
        hint: `the targets are: ${ctx.targets.map((t) => t.name).join(", ")}`,
      });
    const vars = readVars(input.var);
    const { blueprint, vars: overlay } = await readBlueprint(input.blueprint, {
      types: await loadResources(),
      vars,
      varsFiles: input.varsFile,
      hosts: targets.map((t) => ({ name: t.name, vars: t.vars })),
      ...(input.tags.length === 0
        ? {}
        : {
            tags: input.tags
              .flatMap((tag) => tag.split(","))
              .map((tag) => tag.trim())
              .filter((tag) => tag !== ""),
          }),
    });
    const report = await provisionFleet(
      targets,
      { blueprint, vars: overlay, check: input.check, diff: input.diff },
      ctx,
    );
    if (input.explain) for (const host of report.hosts) explain(host);
    return {
      output: {
        hosts: report.hosts.map((host) => ({
          ...host,
          resources: host.resources.map((r) => ({ ...r, changes: [...r.changes] })),
        })),
      },
      exit: report.exit,
    };

    function explain(host: (typeof report.hosts)[number]): void {
      const waits = host.resources
        .filter((r) => r.reason?.startsWith("known after") === true)
        .map((r) => `${r.title} (${r.reason ?? ""})`);
      const text = `${host.stages} ${host.stages === 1 ? "stage" : "stages"}, ${host.roundTrips} ${host.roundTrips === 1 ? "round trip" : "round trips"} after the login${waits.length === 0 ? "" : `; waits: ${waits.join("; ")}`}`;
      ctx.events.emit({ kind: "note", host: host.host, level: "info", text });
    }
  },
});
