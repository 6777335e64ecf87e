/**
 * Events: everything a command says while it works, as one typed, numbered stream.
 * Terminal tree, plain lines, `--json`, the log file and later the job store are subscribers of it.
 */
import { isUtf8 } from "node:buffer";
import type { ErrorJson } from "./errors.ts";
import type { HealthSample } from "./health.ts";

/** What came of a step, a host or a run. `pending`: would change (`--check`). */
export type Outcome = "changed" | "same" | "pending" | "failed" | "skipped" | "cancelled";

export type Event = { readonly seq: number; readonly at: number; readonly run: string } & EventBody;

export type EventBody =
  | { kind: "run.start"; title: string; hosts: readonly string[] }
  | { kind: "host.start"; host: string; title?: string }
  | { kind: "step.start"; host: string; step: string; title: string; index: number; total: number }
  | {
      kind: "step.end";
      host: string;
      step: string;
      title: string;
      index: number;
      total: number;
      outcome: Outcome;
      ms: number;
      /** What was, or would be, done: one line each. */
      changes?: readonly string[];
      /** Unified diffs, secrets masked. */
      diff?: string;
      /** What the step's program said; shown when it failed, or with --verbose. */
      stdout?: string;
      stderr?: string;
      /** Why it is skipped or only known later. */
      reason?: string;
      error?: ErrorJson;
    }
  /** Output of a remote program as it comes. Bytes that are not UTF-8 travel as base64. */
  | { kind: "output"; host: string; stream: "stdout" | "stderr"; data: string; encoding?: "base64" }
  /** Output that several hosts gave alike, told once when all have ended (`ssh execute --fold`); `exit` was alike too. */
  | { kind: "fold"; hosts: readonly string[]; exit: number; stdout: BytesJson; stderr: BytesJson }
  | {
      kind: "progress";
      host: string;
      title: string;
      done: number;
      total?: number;
      unit: "bytes" | "items";
      /** A second, lately. */
      rate?: number;
      /** Seconds until the end, at that rate. */
      eta?: number;
    }
  /** A tunnel carries connections: `listen` is an address of `here` or of the host; `again`: after it was lost. */
  | { kind: "tunnel.up"; host: string; listens: "here" | "there"; listen: string; to: string; again: boolean }
  /** The connection broke, or could not be made again: another attempt in `wait` milliseconds. */
  | { kind: "tunnel.lost"; host: string; error: ErrorJson; attempt: number; wait: number }
  /** A look at a host (`ssh health --watch`). */
  | { kind: "health"; sample: HealthSample }
  /**
   * A connection that was lost, or could not be made, is made again: `waiting` for so many milliseconds, then tried.
   * `attempt` counts from the last one that was there for a while.
   */
  | {
      kind: "recovery";
      host: string;
      attempt: number;
      outcome: "waiting" | "recovered" | "failed";
      wait?: number;
      error?: ErrorJson;
    }
  /** A host was brought up to date: what was written there and what was taken away, as paths below its folder. */
  | { kind: "sync"; host: string; changed: readonly string[]; deleted: readonly string[]; bytes: number; ms: number }
  /** Bringing it up to date failed: another attempt in `wait` milliseconds. */
  | { kind: "sync.lost"; host: string; error: ErrorJson; attempt: number; wait: number }
  /** A job was started there; with `attached` what it says follows. */
  | { kind: "job"; host: string; id: string; attached: boolean }
  | { kind: "note"; host?: string; level: "info" | "warn"; text: string }
  | { kind: "host.end"; host: string; outcome: Outcome; ms: number; counts?: Counts; exit?: number; error?: ErrorJson }
  | { kind: "run.end"; outcome: Outcome; ms: number; error?: ErrorJson }
  /** Always the last event of a command that acts: its typed output and exit code. */
  | { kind: "result"; exit: number; output?: unknown; error?: ErrorJson };

export type Counts = Record<Outcome, number>;

export type Listener = (event: Event) => void;

/** The bus of one run. `emit` numbers and stamps; listeners are called at once, in order of subscription. */
export interface Events {
  readonly run: string;
  emit(body: EventBody): void;
  subscribe(listener: Listener): () => void;
}

export function createEvents(run: string, now: () => number = Date.now): Events {
  const listeners = new Set<Listener>();
  let seq = 0;
  return {
    run,
    emit(body) {
      const event: Event = { seq: ++seq, at: now(), run, ...body };
      for (const listener of listeners) listener(event);
    },
    subscribe(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
  };
}

export function noCounts(): Counts {
  return { changed: 0, same: 0, pending: 0, failed: 0, skipped: 0, cancelled: 0 };
}

/** Output bytes as an event: text when it is valid UTF-8, base64 otherwise. */
export function outputEvent(host: string, stream: "stdout" | "stderr", bytes: Buffer): EventBody {
  return { kind: "output", host, stream, ...bytesJson(bytes) };
}

/** Bytes in JSON: text, unless that would alter them. */
export interface BytesJson {
  data: string;
  encoding?: "base64";
}

export function bytesJson(bytes: Buffer): BytesJson {
  return isUtf8(bytes) ? { data: bytes.toString("utf8") } : { data: bytes.toString("base64"), encoding: "base64" };
}

export function bytesOf(json: BytesJson): Buffer {
  return Buffer.from(json.data, json.encoding ?? "utf8");
}
