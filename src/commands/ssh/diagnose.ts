/** ssh diagnose: why a login does not work, or what is not as it should be although it does. */
import { z } from "zod";
import { type Context, defineCommand } from "../../core/command.ts";
import { AmiError, asAmiError, errorJson, exitCodes } from "../../core/errors.ts";
import { type Finding, finding, firstOf } from "../../core/diagnose/finding.ts";
import { card } from "../../core/diagnose/text.ts";
import { fanout } from "../../core/fanout.ts";
import { errorSchema } from "../../core/report.ts";
import { type Target, parseTarget } from "../../core/targets.ts";

const input = z.strictObject({
  fix: z
    .boolean()
    .default(false)
    .describe("mend what can be mended on this side (mode of a key file, a line of known_hosts), asking each time"),
  inside: z
    .string()
    .optional()
    .describe("another login on that machine that works, to look from when this one is refused: root@host, or local"),
});

const diagnosis = z.object({
  host: z.string(),
  healthy: z.boolean().describe("nothing fails; there may be warnings"),
  first: z.string().optional().describe("name of the first thing that fails, else of the first warning"),
  ms: z.number().int(),
  findings: z.array(finding),
  mended: z.array(z.string()).describe("what --fix did"),
});
const failed = z.object({ host: z.string(), error: errorSchema });
const output = z.array(z.union([diagnosis, failed]));
type Diagnosis = z.output<typeof diagnosis>;

export const command = defineCommand({
  name: "ssh diagnose",
  summary: "Say why a login fails, and what mends it",
  description: `Walks the way to a machine as a login does: name, TCP to each address, banner, offer, algorithms, host key, authentication key by key, then what a session may do, the machine's health, round trips and throughput. Says what it saw, what probably is behind it and one command that mends it. What works is shown with --verbose only.

Logs in as ssh execute would, and changes nothing there: it runs small programs and writes and removes one file of 4 KiB in the home. Unknown host keys are not accepted, only reported.

When the server refuses all keys it does not say why. With --inside, another login on the same machine looks there for the reason: AllowUsers, an expired account, modes that StrictModes refuses, or a key that was never installed.`,
  examples: [
    { line: "ami-node ssh diagnose user@host", says: "what is wrong" },
    { line: "ami-node ssh diagnose web1 --verbose", says: "everything that was looked at" },
    {
      line: "ami-node ssh diagnose alice@web1 --inside root@web1",
      says: "why alice is refused, seen from the machine",
    },
    { line: "ami-node ssh diagnose web1 --fix", says: "mend what is wrong on this side" },
    { line: "ami-node ssh diagnose --target '@prod' --json", says: "many at once, for a program" },
  ],
  input,
  args: { targetWord: true, values: { inside: "TARGET" } },
  output,
  effect: "change",
  programs: "own",
  shows: "answer",
  targets: "settings",
  exits: { 0: "nothing fails; there may be warnings", 3: "something fails, on one target at least" },
  run,
  text: (hosts, { verbose = false }) =>
    hosts.map((host) => ("error" in host ? `${host.host}: ${host.error.message}` : card(host, verbose))).join("\n"),
});

async function run(
  wish: z.output<typeof input>,
  ctx: Context,
): Promise<{ output: z.output<typeof output>; exit: number }> {
  const { targets, options, signal } = ctx;
  if (wish.fix && targets.length > 1) {
    throw new AmiError("usage.input", "--fix mends what concerns one target at a time", { hint: "name one" });
  }
  const fans = await fanout(targets, { parallel: options.parallel, timeout: options.timeout, signal }, (target, own) =>
    one(target, wish, ctx, own),
  );
  const [only] = fans;
  if (fans.length === 1 && only !== undefined && only.state !== "done") throw only.error;
  const answers = fans.map((fan) =>
    fan.state === "done" ? fan.value : { host: fan.target.name, error: errorJson(fan.error) },
  );
  const isWell = answers.every((answer) => "healthy" in answer && answer.healthy);
  return { output: answers, exit: isWell ? exitCodes.ok : exitCodes.targetFailed };
}

async function one(
  target: Target,
  wish: z.output<typeof input>,
  ctx: Context,
  signal: AbortSignal,
): Promise<Diagnosis> {
  if (target.kind !== "ssh") {
    throw new AmiError("usage.target", `${target.name} is this machine: there is no way to it to diagnose`, {
      host: target.name,
      hint: "name a machine: ami-node ssh diagnose user@host",
    });
  }
  const started = performance.now();
  const { diagnose } = await import("../../core/diagnose/diagnose.ts");
  const { sshOptionsOf } = await import("../../core/hosts/open.ts");
  const inside = wish.inside === undefined ? undefined : parseTarget(wish.inside);
  const look = (): Promise<Finding[]> =>
    diagnose({
      target,
      ssh: sshOptionsOf(ctx.hosts),
      inside: inside && ((own) => ctx.hosts.open(inside, { signal: own })),
      signal,
    });
  let findings = await look();
  const mended: string[] = [];
  while (wish.fix && mended.length < mostRepairs) {
    const said = await mendOne(findings, ctx);
    if (said === undefined) break;
    mended.push(said);
    // Lines have moved, and what was hidden behind the fault is to be seen now.
    findings = await look();
  }
  const ms = Math.round(performance.now() - started);
  const isHealthy = findings.every(({ status }) => status !== "fail");
  return { host: target.name, healthy: isHealthy, first: firstOf(findings)?.check, ms, findings, mended };
}

/** More faults of this side than that are no accident. */
const mostRepairs = 8;

/** Undefined: there is nothing to mend, or the answer was no. */
async function mendOne(findings: readonly Finding[], ctx: Context): Promise<string | undefined> {
  const { mend, questionOf } = await import("../../core/diagnose/repair.ts");
  const broken = findings.find(({ repair }) => repair !== undefined);
  if (broken?.repair === undefined) return undefined;
  try {
    await ctx.confirm(questionOf(broken.repair));
  } catch (error) {
    if (asAmiError(error).code !== "run.refused") throw error;
    ctx.events.emit({ kind: "note", level: "warn", text: `not mended: ${broken.says}` });
    return undefined;
  }
  await mend(broken.repair);
  return broken.repair.does === "chmod"
    ? `${broken.repair.path} has mode ${broken.repair.mode.toString(8)} now`
    : `${broken.repair.file}:${broken.repair.line} is removed; the file as it was is ${broken.repair.file}.old`;
}
