/** ssh health: how hosts are doing, once or all the time, and where that is going. */
import { z } from "zod";
import { type Context, defineCommand } from "../../core/command.ts";
import { parseDuration } from "../../core/duration.ts";
import { AmiError, exitCodes } from "../../core/errors.ts";
import { fanout } from "../../core/fanout.ts";
import type { Dialer, SshTarget } from "../../core/health/dial.ts";
import type { Looked } from "../../core/health/look.ts";
import { exposition } from "../../core/health/prometheus.ts";
import { healthText, historyText } from "../../core/health/text.ts";
import { type HealthSample, healthSample } from "../../core/health.ts";
import type { History } from "../../core/store/history.ts";
import type { Target } from "../../core/targets.ts";

const usualInterval = "10s";

const input = z.strictObject({
  watch: z
    .string()
    .refine((text) => isInterval(text), "must be a time like 10, 10s or 5m, from 1 second to a day")
    .optional()
    .describe(`look again and again, so often (${usualInterval} when no time is given), until Ctrl-C`),
  count: z.number().int().min(1).optional().describe("end after so many looks at each host; with --watch"),
  throughput: z.boolean().default(true).describe("send no sample of bytes to measure throughput"),
  prometheus: z.boolean().default(false).describe("print metrics in the text format of Prometheus"),
  history: z.boolean().default(false).describe("contact nothing: print what is remembered"),
});

const number = z.number().optional();
const remembered = z.object({
  host: z.string(),
  forecasts: healthSample.shape.forecasts,
  rows: z
    .array(
      z.object({
        at: z.number().describe("milliseconds since 1970"),
        span: z.number().describe("milliseconds from then on"),
        tries: z.number().int(),
        failures: z.number().int(),
        connect: number,
        rtt50: number,
        rtt95: number,
        rtt99: number,
        up: number,
        down: number,
        load: number,
        memory: number.describe("available"),
        memoryTotal: number,
        disks: z.array(z.object({ mount: z.string(), size: z.number(), available: z.number() })),
      }),
    )
    .describe("means of an hour or a minute, oldest first"),
});
const output = z.union([
  z.array(healthSample),
  z.array(remembered).describe("with --history"),
  z.object({ exposition: z.string() }).describe("with --prometheus"),
]);

export const command = defineCommand({
  name: "ssh health",
  summary: "Say how hosts are doing, and where that is going",
  description: `Logs in to each host on a connection of its own and measures: the login part by part, a hundred round trips of the ssh protocol itself, a small sample of throughput (about 1 MiB each way, less on slow ways), load, memory and disks. Says ok, warn or bad, and why.

Each look is remembered on this machine, by minutes for six hours and by hours for sixty days. Where that shows a clear direction it is told: when a disk or the memory will be full, or that latency rises. Nothing is foretold from a few looks, from noise, or from what happened once.

With --watch connections stay open. One that is lost is made again, a little later each time; that is told, and counts as an error. On a terminal a table is kept up to date; else each look is a line, and with --json an event.`,
  examples: [
    { line: "ami-node ssh health web1", says: "one host" },
    {
      line: "ami-node ssh health --target '@prod' --timeout 20s",
      says: "many; one that hangs holds up none of the others",
    },
    { line: "ami-node ssh health --target 'web*' --watch=5s", says: "a table that is kept up to date" },
    {
      line: "ami-node ssh health --target '@prod' --prometheus",
      says: "for a scraper",
    },
    { line: "ami-node ssh health web1 --history", says: "what is remembered; ssh health forget forgets it" },
  ],
  input,
  args: { targetWord: true, values: { watch: "INTERVAL" }, alone: { watch: usualInterval } },
  output,
  effect: "read",
  shows: "answer",
  live: ({ watch }) => watch !== undefined,
  targets: "settings",
  route: { method: "GET", path: "/api/ssh/health" },
  exits: { 0: "no host is bad, or a watch was ended by Ctrl-C", 3: "a host is bad, or cannot be reached" },
  run,
  text(answer) {
    if ("exposition" in answer) return answer.exposition;
    return isRemembered(answer) ? historyText(answer) : healthText(answer);
  },
});

type Wish = z.output<typeof input>;
type Answer = z.output<typeof output>;

function isRemembered(answer: Exclude<Answer, { exposition: string }>): answer is z.output<typeof remembered>[] {
  return answer.some((host) => "rows" in host);
}

function isInterval(text: string): boolean {
  const ms = parseDuration(text);
  return ms !== undefined && ms >= 1000 && ms <= 86_400_000;
}

async function run(wish: Wish, ctx: Context): Promise<{ output: Answer; exit?: number }> {
  const alone = [wish.watch !== undefined && "--watch", wish.prometheus && "--prometheus", wish.history && "--history"];
  const [one, other] = alone.filter((flag) => flag !== false);
  if (other !== undefined) throw new AmiError("usage.input", `${one} and ${other} do not go together`);
  if (wish.count !== undefined && wish.watch === undefined)
    throw new AmiError("usage.input", "--count is for --watch: say how often to look");
  if (ctx.options.become !== undefined) {
    throw new AmiError("usage.input", "--become is not for ssh health: it looks as the user who logs in", {
      hint: "leave it out; load, memory and disks are the same for every user",
    });
  }
  if (wish.history) return { output: await remember(ctx) };

  const { createDialer } = await import("../../core/health/dial.ts");
  const { openAnyMemory } = await import("../../core/health/memory.ts");
  const { sshOptionsOf } = await import("../../core/hosts/open.ts");
  const targets = ctx.targets.map(sshTarget);
  const history = await openAnyMemory(ctx.events);
  const dialer = createDialer(sshOptionsOf(ctx.hosts));
  try {
    const samples = await (wish.watch === undefined ? lookOnce : keepLooking)(targets, { wish, ctx, dialer, history });
    const isWell = samples.every(({ status }) => status !== "bad");
    return {
      output: wish.prometheus ? { exposition: exposition(samples) } : samples,
      // Who ends a watch has seen what there was to see.
      exit: isWell || ctx.signal.aborted ? exitCodes.ok : exitCodes.targetFailed,
    };
  } finally {
    await dialer.close();
    history.close();
  }
}

function sshTarget(target: Target): SshTarget {
  if (target.kind === "ssh") return target;
  throw new AmiError("usage.target", `${target.name} is this machine: there is no connection to it to look at`, {
    host: target.name,
    hint: "name a machine: ami-node ssh health user@host; of this one ami-node system info tells",
  });
}

interface Looking {
  readonly wish: Wish;
  readonly ctx: Context;
  readonly dialer: Dialer;
  readonly history: History;
}

async function lookOnce(
  targets: readonly SshTarget[],
  { wish, ctx, dialer, history }: Looking,
): Promise<HealthSample[]> {
  const [{ look }, { isOfTheHost, placeOf, sampleOf }] = await Promise.all([
    import("../../core/health/look.ts"),
    import("../../core/health/memory.ts"),
  ]);
  const { options, signal } = ctx;
  const samples = new Map<SshTarget, HealthSample>();
  const fans = await fanout<SshTarget, Looked>(
    targets,
    {
      parallel: options.parallel,
      timeout: options.timeout,
      signal,
      grace: 1000,
      // At once: others may take long.
      onEnd(fan) {
        if (fan.state === "cancelled") return;
        const looked = fan.state === "done" ? fan.value : fan.error;
        samples.set(fan.target, sampleOf(fan.target.name, looked, { history, place: placeOf(fan.target) }));
      },
    },
    async (target, own) => {
      const line = await dialer.dial(target, own);
      try {
        return await look(line, { pinging: 2000, throughput: wish.throughput ? undefined : "none", signal: own });
      } finally {
        line.close();
      }
    },
  );
  for (const fan of fans) {
    if (fan.state === "cancelled") throw fan.error;
    if (fan.state === "failed" && !isOfTheHost(fan.error) && fans.length === 1) throw fan.error;
  }
  return targets.flatMap((target) => samples.get(target) ?? []);
}

async function keepLooking(
  targets: readonly SshTarget[],
  { wish, ctx, dialer, history }: Looking,
): Promise<HealthSample[]> {
  const { watch } = await import("../../core/health/watch.ts");
  const { options, events, signal } = ctx;
  const every = parseDuration(wish.watch ?? usualInterval) ?? 10_000;
  const { count, throughput } = wish;
  const { parallel, timeout = 30_000 } = options;
  return watch({ targets, dialer, history, events, every, count, parallel, timeout, throughput, signal });
}

async function remember({ targets, events }: Context): Promise<z.output<typeof remembered>[]> {
  const [{ openMemory, placeOf }, { forecastsOf }] = await Promise.all([
    import("../../core/health/memory.ts"),
    import("../../core/health/forecast.ts"),
  ]);
  const history = await openMemory(events);
  try {
    return targets.map((target) => {
      const rows = history.read(placeOf(target));
      const now = Date.now();
      const past = rows.filter(({ at }) => at <= now);
      return { host: target.name, forecasts: forecastsOf(past, now), rows };
    });
  } finally {
    history.close();
  }
}
