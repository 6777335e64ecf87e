/** The log file: our own errors and actions as JSON lines, in three files of at most 1 MiB each. */
import { appendFileSync, renameSync, statSync } from "node:fs";
import { dirname } from "node:path";
import type { ErrorJson } from "../errors.ts";
import type { Event, Listener } from "../events.ts";
import { makeFolder } from "../folder.ts";

export type LogLevel = "off" | "errors" | "actions";

export interface Log {
  /** Subscriber of a run's events. */
  readonly listener: Listener;
  /** One line at the end of a command. Its words are left out: they may hold what must not be kept. */
  ended(command: CommandEnd): void;
}

export interface CommandEnd {
  readonly run: string;
  readonly command: string;
  readonly targets: readonly string[];
  readonly exit: number;
  readonly ms: number;
  readonly error?: ErrorJson;
}

const maxBytes = 1024 * 1024;
const keep = 3;

/** A log that cannot be written is given up silently: a full disk or a read-only home must not break a command. */
export function openLog(file: string, level: LogLevel, limit = maxBytes): Log {
  let size: number | undefined;
  let broken = level === "off";
  const write = (line: Readonly<Record<string, unknown>>) => {
    if (broken) return;
    const text = `${JSON.stringify(line)}\n`;
    try {
      size ??= openAt(file);
      if (size > 0 && size + Buffer.byteLength(text) > limit) size = rotate(file);
      appendFileSync(file, text, { mode: 0o600 });
      size += Buffer.byteLength(text);
    } catch {
      broken = true;
    }
  };
  const stamped = (at: number) => ({ at: new Date(at).toISOString(), pid: process.pid });
  return {
    listener(event) {
      if (isWorthKeeping(event, level)) write({ ...withoutBulk(event), ...stamped(event.at) });
    },
    ended(command) {
      if (level === "actions" || command.exit !== 0) write({ kind: "command", ...command, ...stamped(Date.now()) });
    },
  };
}

/** What changed something or went wrong. Never the output of programs people run: it may be large, and it is not ours. */
function isWorthKeeping(event: Event, level: LogLevel): boolean {
  switch (event.kind) {
    case "step.end":
      return event.outcome === "failed" || (level === "actions" && event.outcome === "changed");
    case "host.end":
    case "run.end":
      return level === "actions" || event.outcome === "failed";
    case "run.start":
    case "tunnel.up":
    case "job":
      return level === "actions";
    case "tunnel.lost":
    case "recovery":
    case "sync.lost":
      return true;
    case "note":
      return event.level === "warn";
    case "host.start":
    case "step.start":
    case "output":
    case "fold":
    case "progress":
    case "health":
    case "sync":
    case "result":
      return false;
  }
}

/** Without what may be large or must not be kept. What a failed step complained of stays: it is why it failed. */
function withoutBulk(event: Event): Partial<Event> {
  if (event.kind === "run.start") {
    // The words of a command line are its title.
    const { title: _title, ...rest } = event;
    return rest;
  }
  if (event.kind !== "step.end") return event;
  const { diff: _diff, stdout: _stdout, stderr, ...rest } = event;
  return { ...rest, ...(event.outcome === "failed" && stderr !== undefined ? { stderr } : {}) };
}

function openAt(file: string): number {
  makeFolder(dirname(file));
  return statSync(file, { throwIfNoEntry: false })?.size ?? 0;
}

/** Shifts `log.1` to `log.2`, `log` to `log.1`. Two processes doing it at once lose at most one old file. */
function rotate(file: string): number {
  for (let i = keep - 1; i >= 1; i--) {
    const from = i === 1 ? file : `${file}.${i - 1}`;
    if (statSync(from, { throwIfNoEntry: false })) renameSync(from, `${file}.${i}`);
  }
  return statSync(file, { throwIfNoEntry: false })?.size ?? 0;
}
