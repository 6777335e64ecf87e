/** Look: everything that is measured of a host in one go, on a connection that is open. */
import { asAmiError } from "../errors.ts";
import type { HealthSeen } from "../health.ts";
import { ping } from "../ssh/ping.ts";
import type { Line } from "./dial.ts";
import { askMachine } from "./machine.ts";
import { type Throughput, sampleThroughput } from "./throughput.ts";

export interface LookWish {
  /** A sample of throughput that is still good; absent: one is taken. `none`: none is wanted. */
  readonly throughput?: HealthSeen["throughput"] | "none" | undefined;
  /** Milliseconds that the round trips may take altogether. */
  readonly pinging: number;
  readonly signal: AbortSignal;
}

export interface Looked {
  readonly seen: HealthSeen;
  /** Why nothing is known of the machine behind the connection. */
  readonly silent: string | undefined;
  /** The login is that of an earlier look: what it took is known already. */
  readonly isSameLogin?: boolean | undefined;
}

/** Rejects with `ssh.lost` and when aborted; that the machine runs no program is seen, and no failure. */
export async function look(line: Line, { throughput: known, pinging, signal }: LookWish): Promise<Looked> {
  const { connect } = line;
  const rtt = await roundTrips(line, pinging, signal);
  const machine = await orWhy(line, signal, () => askMachine(line.host, signal));
  const wants = known === undefined && "value" in machine && machine.value !== undefined;
  const speed = wants
    ? await orWhy(line, signal, () => sampleThroughput(line.host, { rtt: rtt.p50, signal }))
    : { value: undefined };
  return {
    seen: {
      connect: {
        tcp: connect.tcp === undefined ? undefined : fine(connect.tcp),
        handshake: fine(connect.handshake),
        login: fine(connect.login),
        total: fine(connect.total),
      },
      rtt,
      throughput: known === "none" ? undefined : (known ?? throughputOf(speed)),
      ...("value" in machine ? machine.value : {}),
    },
    silent: "why" in machine ? machine.why : machine.value === undefined ? "no POSIX shell answers there" : undefined,
  };
}

type Tried<T> = { readonly value: T } | { readonly why: string };

/** What fails while the connection stands is said; that the connection went is the failure of it all. */
async function orWhy<T>(line: Line, signal: AbortSignal, work: () => Promise<T>): Promise<Tried<T>> {
  try {
    return { value: await line.connection.during(work()) };
  } catch (error) {
    if (signal.aborted || !line.connection.isOpen) throw error;
    return { why: asAmiError(error).message };
  }
}

function throughputOf(tried: Tried<Throughput | undefined>): HealthSeen["throughput"] {
  if (!("value" in tried) || tried.value === undefined) return undefined;
  const { up, down } = tried.value;
  if (up === undefined && down === undefined) return undefined;
  const whole = (rate: number | undefined) => (rate === undefined ? undefined : Math.round(rate));
  return { up: whole(up), down: whole(down), at: Date.now() };
}

/** One after the other: a hundred of them, fewer where they take long. */
async function roundTrips(line: Line, most: number, signal: AbortSignal): Promise<NonNullable<HealthSeen["rtt"]>> {
  const until = performance.now() + most;
  const all: number[] = [];
  // The first one meets what is still under way from the login, such as announced host keys.
  await ping(line.connection, line.host.name, { patience, signal });
  while (all.length < mostPings && (all.length < leastPings || performance.now() < until))
    all.push(await ping(line.connection, line.host.name, { patience, signal }));
  return percentiles(all);
}

const mostPings = 100;
const leastPings = 5;
/** Milliseconds: longer than a packet is lost and sent again on the worst of ways. */
const patience = 10_000;

/** By nearest rank: each is a value that was measured. */
export function percentiles(values: readonly number[]): NonNullable<HealthSeen["rtt"]> {
  const sorted = values.toSorted((a, b) => a - b);
  const at = (share: number): number => fine(sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)] ?? 0);
  return { count: sorted.length, p50: at(0.5), p95: at(0.95), p99: at(0.99) };
}

/** Microseconds: clocks say no more that means anything. */
function fine(ms: number): number {
  return Math.round(ms * 1000) / 1000;
}
