/** Health: how a host is doing, as a sample that is shown, sent and kept. Times are milliseconds, sizes bytes. */
import { z } from "zod";
import { formatBytes } from "./bytes.ts";
import { errorSchema } from "./report.ts";

export const healthStatus = z.enum(["ok", "warn", "bad"]);
const ms = z.number().nonnegative();
const bytes = z.number().nonnegative();

export const healthSample = z.object({
  host: z.string(),
  at: z.number().int().describe("milliseconds since 1970"),
  status: healthStatus.describe("bad: it cannot be reached, or not be worked on"),
  reasons: z.array(z.object({ status: z.enum(["warn", "bad"]), says: z.string() })),
  forecasts: z
    .array(
      z.object({
        about: z.enum(["disk", "memory", "round trip", "login"]),
        mount: z.string().optional(),
        says: z.string(),
        in: ms.optional().describe("until it is full"),
      }),
    )
    .describe("what becomes of it if it goes on like this; nothing where that is not clear"),
  connect: z
    .object({
      tcp: ms.optional().describe("absent behind a ProxyCommand"),
      handshake: ms.describe("from the banner to the end of the key exchange"),
      login: ms.describe("authentication"),
      total: ms,
    })
    .optional()
    .describe("of the login that this sample was taken on"),
  rtt: z
    .object({ count: z.number().int(), p50: ms, p95: ms, p99: ms })
    .optional()
    .describe("round trips of the ssh protocol itself on the open connection"),
  throughput: z
    .object({ up: bytes.optional(), down: bytes.optional(), at: z.number().int().describe("when it was measured") })
    .optional()
    .describe("bytes a second, of a small sample"),
  load: z
    .object({ one: z.number(), five: z.number(), fifteen: z.number(), processors: z.number().int().optional() })
    .optional(),
  memory: z.object({ total: bytes, available: bytes.optional() }).optional(),
  disks: z
    .array(
      z.object({
        mount: z.string(),
        size: bytes,
        available: bytes,
        inodesUsed: z.number().optional().describe("share of them, 0 to 1"),
      }),
    )
    .optional(),
  errors: z
    .object({ tries: z.number().int(), failures: z.number().int(), ratio: z.number() })
    .optional()
    .describe(
      "of the last 24 hours, as far as they are remembered: looks and reconnects that failed, connections lost",
    ),
  error: errorSchema.optional(),
});

export type HealthSample = z.output<typeof healthSample>;
export type HealthStatus = HealthSample["status"];
export type Forecast = HealthSample["forecasts"][number];

/** What is seen of a host; the rest of a sample is thought about it. */
export type HealthSeen = Pick<HealthSample, "connect" | "rtt" | "throughput" | "load" | "memory" | "disks">;

export const healthTitles = [
  "host",
  "status",
  "connect",
  "p50/p95/p99",
  "up",
  "down",
  "load",
  "memory",
  "disk",
  "errors",
] as const;

/** One row under those titles. */
export function healthCells(sample: HealthSample): string[] {
  const { host, status, connect, rtt, throughput, load, memory, disks, errors } = sample;
  const fullest = fullestDisk(disks ?? []);
  return [
    host,
    status,
    connect === undefined ? "-" : shortMs(connect.total),
    rtt === undefined ? "-" : `${[rtt.p50, rtt.p95, rtt.p99].map(bareMs).join("/")} ms`,
    rate(throughput?.up),
    rate(throughput?.down),
    load === undefined ? "-" : load.one.toFixed(2),
    memory?.available === undefined ? "-" : percent(1 - memory.available / memory.total),
    fullest === undefined ? "-" : `${fullest.mount} ${percent(1 - fullest.available / fullest.size)}`,
    errors === undefined ? "-" : percent(errors.ratio),
  ];
}

/** One line for each thing worth saying, the worst first. */
export function healthRemarks({ reasons, forecasts }: HealthSample): string[] {
  const said = (status: "bad" | "warn"): string[] =>
    reasons.filter((reason) => reason.status === status).map(({ says }) => `${status.padEnd(4)}  ${says}`);
  // One that is near is a reason to worry already.
  const further = forecasts.filter(({ says }) => reasons.every((reason) => reason.says !== says));
  return [...said("bad"), ...said("warn"), ...further.map(({ says }) => `trend ${says}`)];
}

export function fullestDisk<D extends { readonly size: number; readonly available: number }>(
  disks: readonly D[],
): D | undefined {
  return disks.toSorted((a, b) => a.available / a.size - b.available / b.size)[0];
}

/** `0.21 ms`, `48 ms`, `1.2 s`. */
export function shortMs(value: number): string {
  return value >= 1000 ? `${(value / 1000).toFixed(1)} s` : `${bareMs(value)} ms`;
}

function bareMs(value: number): string {
  return value < 1 ? value.toFixed(2) : value < 10 ? value.toFixed(1) : String(Math.round(value));
}

export function percent(ratio: number): string {
  return `${Math.round(100 * Math.min(1, Math.max(0, ratio)))} %`;
}

export function rate(bytesPerSecond: number | undefined): string {
  return bytesPerSecond === undefined ? "-" : `${formatBytes(bytesPerSecond)}/s`;
}
