/** Memory: what is remembered of each host on this machine, and what a look adds to it. */
import { dirname } from "node:path";
import { makeFolder } from "../folder.ts";
import { ownPaths } from "../config/paths.ts";
import { type AmiError, asAmiError, errorJson } from "../errors.ts";
import type { Events } from "../events.ts";
import type { HealthSample } from "../health.ts";
import type { HistoryRow } from "../store/history-rows.ts";
import { type History, openHistory } from "../store/history.ts";
import type { Target } from "../targets.ts";
import { forecastsOf } from "./forecast.ts";
import { judge } from "./judge.ts";
import type { Looked } from "./look.ts";

/** Rejects with `store.unusable`. */
export async function openMemory(events: Events, env?: NodeJS.ProcessEnv): Promise<History> {
  const { health: file } = ownPaths(env);
  try {
    makeFolder(dirname(file));
  } catch {
    // Opening says why.
  }
  return openHistory({
    file,
    damaged: (aside) =>
      events.emit({
        kind: "note",
        level: "warn",
        text: `what was remembered of hosts was damaged; it is kept as ${aside}, and a new file is begun`,
      }),
  });
}

/** A full disk or a read-only home must not keep anybody from looking at hosts: then nothing is remembered. */
export async function openAnyMemory(events: Events, env?: NodeJS.ProcessEnv): Promise<History> {
  const forgetful = await openHistory({ file: ":memory:" });
  let kept: History | undefined;
  let hasTold = false;
  const give = (error: unknown): History => {
    const text = `nothing is remembered: ${asAmiError(error).message}`;
    if (!hasTold) events.emit({ kind: "note", level: "warn", text });
    hasTold = true;
    kept?.close();
    kept = undefined;
    return forgetful;
  };
  try {
    kept = await openMemory(events, env);
  } catch (error) {
    give(error);
  }
  const either = <T>(work: (history: History) => T): T => {
    try {
      return work(kept ?? forgetful);
    } catch (error) {
      return work(give(error));
    }
  };
  return {
    record: (host, entry) => either((history) => history.record(host, entry)),
    read: (host, since) => either((history) => history.read(host, since)),
    forget: (host) => either((history) => history.forget(host)),
    close() {
      kept?.close();
      forgetful.close();
    },
  };
}

/** The machine behind a target, whoever logs in to it. */
export function placeOf({ name }: Target): string {
  return name.replace(/^ssh:\/\//, "").replace(/^[^@/]*@/, "");
}

/** A mistake of ours, such as a config that cannot be read, says nothing about the host. */
export function isOfTheHost({ code }: AmiError): boolean {
  return /^(ssh|host|hostkey|run)\./.test(code);
}

const day = 86_400_000;

/** Keeps a look, and makes a sample of it. `forecasts`: worked out already. */
export function sampleOf(
  host: string,
  looked: Looked | AmiError,
  { history, place, now = Date.now(), forecasts }: SampleWish,
): HealthSample {
  const isError = looked instanceof Error;
  const seen = isError ? {} : looked.seen;
  const { connect, rtt, throughput, load, memory, disks } = seen;
  if (!isError || isOfTheHost(looked)) {
    history.record(place, {
      at: now,
      ok: !isError,
      connect: !isError && looked.isSameLogin === true ? undefined : connect?.total,
      rtt50: rtt?.p50,
      rtt95: rtt?.p95,
      rtt99: rtt?.p99,
      up: throughput?.up,
      down: throughput?.down,
      load: load?.one,
      memory: memory?.available,
      memoryTotal: memory?.total,
      disks,
    });
  }
  // A clock that was ahead once has left looks of days to come: those say nothing of now.
  const rows = history.read(place).filter(({ at }) => at <= now);
  const errors = errorsOf(rows, now);
  const coming = isError ? [] : [...(forecasts ?? forecastsOf(rows, now))];
  if (isError) {
    const error = errorJson(looked);
    const reasons = [{ status: "bad" as const, says: error.message }];
    return { host, at: now, status: "bad", reasons, forecasts: coming, errors, error };
  }
  const judged = judge({ seen, silent: looked.silent, errors, forecasts: coming });
  return { host, at: now, ...judged, forecasts: coming, ...seen, errors };
}

export interface SampleWish {
  readonly history: History;
  readonly place: string;
  readonly now?: number | undefined;
  readonly forecasts?: HealthSample["forecasts"] | undefined;
}

/** Of the last day, as far as it is remembered. */
export function errorsOf(rows: readonly HistoryRow[], now: number): HealthSample["errors"] {
  const recent = rows.filter(({ at, span }) => at + span > now - day);
  const tries = recent.reduce((sum, row) => sum + row.tries, 0);
  const failures = recent.reduce((sum, row) => sum + row.failures, 0);
  return tries === 0 ? undefined : { tries, failures, ratio: failures / tries };
}
