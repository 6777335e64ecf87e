/** Prometheus: samples in its text exposition format 0.0.4, in base units. Pure. */
import type { HealthSample } from "../health.ts";

type Labels = Readonly<Record<string, string>>;
type Value = readonly [labels: Labels, value: number];

interface Metric {
  readonly name: string;
  readonly help: string;
  values(sample: HealthSample): readonly Value[];
}

export function exposition(samples: readonly HealthSample[]): string {
  return metrics
    .map(({ name, help, values }) => {
      const lines = samples.flatMap((sample) =>
        values(sample).map(([labels, value]) => `${name}${labelText({ host: sample.host, ...labels })} ${value}\n`),
      );
      return lines.length === 0 ? "" : `# HELP ${name} ${escaped(help)}\n# TYPE ${name} gauge\n${lines.join("")}`;
    })
    .join("");
}

/** To the microsecond, without the noise of binary fractions. */
const seconds = (ms: number): number => Math.round(ms * 1000) / 1e6;

const metrics: readonly Metric[] = [
  metric("ami_ssh_up", "Whether the host could be logged in to.", ({ error }) => [[{}, error === undefined ? 1 : 0]]),
  metric("ami_health_status", "1 for the status the host has.", ({ status }) =>
    ["ok", "warn", "bad"].map((each) => [{ status: each }, each === status ? 1 : 0]),
  ),
  metric("ami_health_check_timestamp_seconds", "When the host was looked at.", ({ at }) => [[{}, seconds(at)]]),
  metric("ami_ssh_connect_seconds", "What each part of a login took.", ({ connect }) =>
    connect === undefined
      ? []
      : (["tcp", "handshake", "login"] as const).flatMap((phase): Value[] => {
          const ms = connect[phase];
          return ms === undefined ? [] : [[{ phase }, seconds(ms)]];
        }),
  ),
  metric("ami_ssh_round_trip_seconds", "Round trips on the open connection, by percentile.", ({ rtt }) =>
    rtt === undefined
      ? []
      : [
          [{ percentile: "50" }, seconds(rtt.p50)],
          [{ percentile: "95" }, seconds(rtt.p95)],
          [{ percentile: "99" }, seconds(rtt.p99)],
        ],
  ),
  metric("ami_ssh_throughput_bytes_per_second", "Throughput of a small sample.", ({ throughput }) =>
    (["up", "down"] as const).flatMap((direction): Value[] => {
      const value = throughput?.[direction];
      return value === undefined ? [] : [[{ direction }, value]];
    }),
  ),
  metric("ami_ssh_error_ratio", "Share of looks that failed in the last 24 hours.", ({ errors }) =>
    errors === undefined ? [] : [[{}, errors.ratio]],
  ),
  metric("ami_host_load_average", "Load average over so many minutes.", ({ load }) =>
    load === undefined
      ? []
      : [
          [{ minutes: "1" }, load.one],
          [{ minutes: "5" }, load.five],
          [{ minutes: "15" }, load.fifteen],
        ],
  ),
  metric("ami_host_processors", "Logical processors.", ({ load }) =>
    load?.processors === undefined ? [] : [[{}, load.processors]],
  ),
  metric("ami_host_memory_size_bytes", "Memory there is.", ({ memory }) =>
    memory === undefined ? [] : [[{}, memory.total]],
  ),
  metric("ami_host_memory_available_bytes", "Memory that programs could still get.", ({ memory }) =>
    memory?.available === undefined ? [] : [[{}, memory.available]],
  ),
  metric("ami_host_filesystem_size_bytes", "Size of a file system.", ({ disks = [] }) =>
    disks.map(({ mount, size }) => [{ mountpoint: mount }, size]),
  ),
  metric("ami_host_filesystem_available_bytes", "Room left on a file system.", ({ disks = [] }) =>
    disks.map(({ mount, available }) => [{ mountpoint: mount }, available]),
  ),
  metric("ami_host_filesystem_inodes_used_ratio", "Share of the inodes that are used.", ({ disks = [] }) =>
    disks.flatMap(({ mount, inodesUsed }): Value[] =>
      inodesUsed === undefined ? [] : [[{ mountpoint: mount }, inodesUsed]],
    ),
  ),
  metric(
    "ami_host_filesystem_full_in_seconds",
    "When it is full at this rate; absent where that is not clear.",
    (sample) =>
      sample.forecasts.flatMap(({ mount, in: left }): Value[] =>
        mount === undefined || left === undefined ? [] : [[{ mountpoint: mount }, Math.round(seconds(left))]],
      ),
  ),
];

function metric(name: string, help: string, values: Metric["values"]): Metric {
  return { name, help, values };
}

function labelText(labels: Labels): string {
  const pairs = Object.entries(labels).map(([name, value]) => `${name}="${escaped(value).replaceAll('"', '\\"')}"`);
  return `{${pairs.join(",")}}`;
}

function escaped(text: string): string {
  return text.replaceAll("\\", "\\\\").replaceAll("\n", "\\n");
}
