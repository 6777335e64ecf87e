/** Fleet: one blueprint for many hosts, each on its own; a slow or failing host holds nobody up. */
import type { Context } from "../command.ts";
import { createLimit } from "../limit.ts";
import { AmiError, errorJson, exitCodes, errorTable, type ErrorCode } from "../errors.ts";
import { noCounts, type Outcome } from "../events.ts";
import { fanout } from "../fanout.ts";
import type { Target } from "../targets.ts";
import { provisionHost, type HostRequest } from "./host.ts";
import { exitOfMany, type Ended } from "../report.ts";
import type { HostReport } from "./report.ts";

export interface FleetReport {
  readonly hosts: readonly HostReport[];
  readonly exit: number;
}

export async function provisionFleet(
  targets: readonly Target[],
  request: Omit<HostRequest, "run">,
  ctx: Context,
): Promise<FleetReport> {
  const started = Date.now();
  const title = `${request.check ? "check" : "provision"} ${request.blueprint.name}`;
  ctx.events.emit({ kind: "run.start", title, hosts: targets.map((t) => t.name) });
  const run = new Date(started).toISOString().replaceAll(/[-:.]/g, "");
  const oneAtATime = createLimit(1);
  const asking: Context = { ...ctx, confirm: (question) => oneAtATime(ctx.signal, () => ctx.confirm(question)) };
  const results = await fanout(
    targets,
    { parallel: ctx.options.parallel, signal: ctx.signal, timeout: ctx.options.timeout },
    async (target, signal) => {
      const begun = Date.now();
      ctx.events.emit({ kind: "host.start", host: target.name });
      const report = await provisionHost(target, { ...request, run: `${run}-${process.pid}` }, asking, signal);
      emitEnd(report, Date.now() - begun);
      return report;
    },
  );
  const hosts = results.map((result): HostReport => {
    if (result.state === "done") return result.value;
    const report: HostReport = {
      host: result.target.name,
      outcome: result.state === "cancelled" ? "cancelled" : "failed",
      counts: noCounts(),
      stages: 0,
      roundTrips: 0,
      resources: [],
      error: errorJson(result.error),
    };
    emitEnd(report, result.ms);
    return report;
  });
  const outcome = outcomeOf(hosts);
  ctx.events.emit({ kind: "run.end", outcome, ms: Date.now() - started });
  return { hosts, exit: ctx.signal.aborted ? exitCodes.interrupted : exitOf(hosts, request.check) };

  function emitEnd(report: HostReport, ms: number): void {
    ctx.events.emit({
      kind: "host.end",
      host: report.host,
      outcome: report.outcome,
      ms,
      counts: report.counts,
      ...(report.error === undefined ? {} : { error: report.error }),
    });
  }
}

/** The worst that happened. */
function outcomeOf(hosts: readonly HostReport[]): Outcome {
  const order: readonly Outcome[] = ["cancelled", "failed", "pending", "changed", "same", "skipped"];
  return order.find((outcome) => hosts.some((host) => host.outcome === outcome)) ?? "same";
}

/** The house's table for many targets, and that of `--check`. */
export function exitOf(hosts: readonly HostReport[], check: boolean): number {
  const exit = exitOfMany(hosts.map(endOf));
  return exit === exitCodes.ok && check && hosts.some((host) => host.outcome === "pending") ? exitCodes.pending : exit;
}

function endOf(host: HostReport): Ended {
  if (host.outcome === "cancelled") return new AmiError("run.cancelled", "cancelled");
  const { error } = host;
  if (error !== undefined)
    return Object.hasOwn(errorTable, error.code) ? new AmiError(error.code as ErrorCode, error.message) : "failed";
  return host.outcome === "failed" || host.settled === false ? "failed" : "ok";
}

/** `--var k=v` (text) and `--var k:=json`. Throws `usage.input`. */
export function readVars(words: readonly string[]): Record<string, unknown> {
  const vars: Record<string, unknown> = {};
  for (const word of words) {
    const entry = /^([A-Za-z_][A-Za-z0-9_]*)(:?=)(.*)$/s.exec(word);
    if (!entry)
      throw new AmiError("usage.input", `--var ${JSON.stringify(word)}: expected name=text or name:=json`, {
        hint: "names are letters, digits and _",
      });
    const [, name = "", sign, text = ""] = entry;
    vars[name] = sign === "=" ? text : readJson(name, text);
  }
  return vars;
}

function readJson(name: string, text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch (error) {
    throw new AmiError("usage.input", `--var ${name}:=${text}: not JSON`, {
      cause: error,
      hint: `text is written with =: --var ${name}=...`,
    });
  }
}
