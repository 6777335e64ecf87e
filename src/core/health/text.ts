/** Text: samples and what is remembered of hosts, for a terminal. Pure. */
import { formatBytes } from "../bytes.ts";
import { columns } from "../columns.ts";
import {
  type HealthSample,
  fullestDisk,
  healthCells,
  healthRemarks,
  healthTitles,
  percent,
  rate,
  shortMs,
} from "../health.ts";
import type { HistoryRow } from "../store/history-rows.ts";

/** One host in full, several as a table with remarks below it. */
export function healthText(samples: readonly HealthSample[]): string {
  const [only, ...others] = samples;
  if (only === undefined) return "";
  if (others.length === 0) return card(only);
  const remarks = samples.flatMap((sample) => healthRemarks(sample).map((remark) => `${sample.host}: ${remark}`));
  return [columns([healthTitles, ...samples.map(healthCells)]), ...(remarks.length === 0 ? [] : ["", ...remarks])].join(
    "\n",
  );
}

function card(sample: HealthSample): string {
  const { host, status, connect, rtt, throughput, load, memory, disks = [], errors } = sample;
  const rows: (readonly [string, string | undefined])[] = [
    ["connect", connect && `${shortMs(connect.total)} (${phases(connect)})`],
    ["round trip", rtt && `p50 ${shortMs(rtt.p50)}, p95 ${shortMs(rtt.p95)}, p99 ${shortMs(rtt.p99)} of ${rtt.count}`],
    ["throughput", throughput && `up ${rate(throughput.up)}, down ${rate(throughput.down)}`],
    ["load", load && `${[load.one, load.five, load.fifteen].map((each) => each.toFixed(2)).join(" ")}${on(load)}`],
    [
      "memory",
      memory &&
        `${memory.available === undefined ? "" : `${formatBytes(memory.available)} free of `}${formatBytes(memory.total)}`,
    ],
    ...disks.map((disk, i): readonly [string, string] => [
      i === 0 ? "disks" : "",
      `${disk.mount}: ${formatBytes(disk.available)} free of ${formatBytes(disk.size)}`,
    ]),
    ["errors", errors && `${errors.failures} of ${errors.tries} in 24 hours`],
  ];
  const facts = rows.flatMap(([name, says]) => (says === undefined ? [] : [[`  ${name}`, says]]));
  const remarks = healthRemarks(sample).map((remark) => `  ${remark}`);
  const hint = sample.error?.hint === undefined ? [] : [`        ${sample.error.hint}`];
  return [`${host}: ${status}`, ...remarks, ...hint, ...(facts.length === 0 ? [] : [columns(facts)])].join("\n");
}

function phases({ tcp, handshake, login }: NonNullable<HealthSample["connect"]>): string {
  return [
    ...(tcp === undefined ? [] : [`tcp ${shortMs(tcp)}`]),
    `handshake ${shortMs(handshake)}`,
    `login ${shortMs(login)}`,
  ].join(", ");
}

function on({ processors }: NonNullable<HealthSample["load"]>): string {
  return processors === undefined ? "" : ` on ${processors} processor${processors === 1 ? "" : "s"}`;
}

export interface Remembered {
  readonly host: string;
  readonly rows: readonly HistoryRow[];
  readonly forecasts: HealthSample["forecasts"];
}

/** By hours, and by minutes for the last few. */
export function historyText(all: readonly Remembered[]): string {
  return all
    .map(({ host, rows, forecasts }) => {
      if (rows.length === 0) return `${host}: nothing is remembered`;
      const head = ["since", "for", "looks", "failed", "connect", "p50", "p95", "p99", "load", "memory free", "disk"];
      const lines = rows.map((row) => {
        const disk = fullestDisk(row.disks);
        const time = (ms: number | undefined): string => (ms === undefined ? "-" : shortMs(ms));
        return [
          new Date(row.at).toISOString().slice(0, 16).replace("T", " "),
          row.span >= 3_600_000 ? "1 h" : "1 min",
          String(row.tries),
          String(row.failures),
          ...[row.connect, row.rtt50, row.rtt95, row.rtt99].map(time),
          row.load?.toFixed(2) ?? "-",
          row.memory === undefined ? "-" : formatBytes(row.memory),
          disk === undefined ? "-" : `${disk.mount} ${percent(1 - disk.available / disk.size)}`,
        ];
      });
      return [
        `${host} (times in UTC)`,
        columns([head, ...lines]),
        ...forecasts.map(({ says }) => `trend ${says}`),
      ].join("\n");
    })
    .join("\n\n");
}
