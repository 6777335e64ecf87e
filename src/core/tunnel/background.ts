/**
 * Background: tunnels that go on when the command has ended. The command starts itself once more, detached; that one
 * holds the tunnels and writes down how they are. Whoever started it waits until they are up.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { open, readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { AmiError, errorJson, isErrorCode } from "../errors.ts";
import type { Events } from "../events.ts";
import { processMark } from "../process-mark.ts";
import { ownProgram } from "../runtime-compat.ts";
import { type Answers, answerFor, recordVariable } from "./questions.ts";
import {
  type TunnelRecord,
  claimRecord,
  isAlive,
  readRecord,
  recordFile,
  recordFolder,
  writeRecord,
} from "./records.ts";

export interface StartWish {
  /** Default: that of the target, with a number where it is taken. */
  readonly name: string | undefined;
  readonly target: string;
  /** Who answers what it is asked before it is up. */
  readonly answers: Answers;
  readonly signal: AbortSignal;
}

/**
 * Resolves when all tunnels are up. Rejects with what the one in the background failed with, `usage.input` when the
 * name is taken, `run.cancelled`.
 */
export async function startBackground({ name, target, answers, signal }: StartWish): Promise<TunnelRecord> {
  const folder = await recordFolder();
  const { file, log } = await claim(folder, name, target);
  const [program, ...first] = ownProgram();
  const out = await open(log, "w", 0o600);
  let child: ChildProcess;
  try {
    child = spawn(program, [...first, ...process.argv.slice(2)], {
      detached: true,
      stdio: ["ignore", out.fd, out.fd, "ipc"],
      env: { ...process.env, [recordVariable]: file },
    });
  } finally {
    await out.close();
  }
  const stopped = Promise.withResolvers<never>();
  stopped.promise.catch(() => undefined); // raced
  answerFor(child, answers, stopped.reject);
  try {
    return await Promise.race([untilUp(child, file, log, signal), stopped.promise]);
  } catch (error) {
    child.kill("SIGTERM");
    await Promise.all([file, log].map((path) => rm(path, { force: true })));
    throw error;
  } finally {
    if (child.connected) child.disconnect();
    child.unref();
  }
}

/** Takes a name for this process; the one it starts takes it over. */
async function claim(
  folder: string,
  wished: string | undefined,
  target: string,
): Promise<{ file: string; log: string }> {
  const base = wished ?? target.replaceAll(/[^A-Za-z0-9._@-]+/g, "-").replace(/^[.-]+/, "");
  const mark = (await processMark(process.pid)) ?? "";
  for (let number = 1; ; number++) {
    const name = number === 1 ? base : `${base}-${number}`;
    const [file, log] = [recordFile(folder, name), logFile(folder, name)];
    const since = new Date().toISOString();
    const record: TunnelRecord = { name, target, pid: process.pid, mark, state: "starting", since, tunnels: [], log };
    if (await claimRecord(file, record)) return { file, log };
    const other = await readRecord(file);
    if (other === undefined || !(await isAlive(other))) {
      await rm(file, { force: true }); // of one that is gone
      number--;
    } else if (wished !== undefined) {
      throw new AmiError("usage.input", `there is a tunnel ${name} already, to ${other.target}`, {
        hint: `end it with: ami-node ssh tunnel close ${name}`,
      });
    }
  }
}

async function untilUp(child: ChildProcess, file: string, log: string, signal: AbortSignal): Promise<TunnelRecord> {
  const ended = new Promise<"ended">((resolve) => child.once("exit", () => resolve("ended")));
  const failed = new Promise<never>((_, reject) => child.once("error", reject));
  for (;;) {
    const end = await Promise.race([failed, ended, sleep(30, undefined, { signal })]);
    const record = await readRecord(file);
    if (record?.state === "up") return record;
    if (record?.error !== undefined) throw asThrown(record.error);
    if (end === "ended") {
      const words = (await readFile(log, "utf8").catch(() => "")).trim();
      throw new AmiError("run.failed", `it ended at once${words === "" ? "" : `: ${words}`}`);
    }
  }
}

function asThrown({ code, message, ...init }: NonNullable<TunnelRecord["error"]>): AmiError {
  return new AmiError(isErrorCode(code) ? code : "run.failed", message, init);
}

function logFile(folder: string, name: string): string {
  return join(folder, `${name}.log`);
}

export interface Ledger {
  /** Says why it ends; undefined: because it was wanted no more. */
  end(error: unknown): Promise<void>;
}

/** In the one in the background: writes down what the events of `count` tunnels say. Undefined: this process is in the foreground. */
export async function openLedger(events: Events, count: number): Promise<Ledger | undefined> {
  const file = process.env[recordVariable];
  const claimed = file === undefined ? undefined : await readRecord(file);
  const mark = await processMark(process.pid);
  if (file === undefined || claimed === undefined || mark === undefined) return undefined;
  const wanted = new Map<string, TunnelRecord["tunnels"][number]>();
  let up = 0;
  let record: TunnelRecord = { ...claimed, pid: process.pid, mark };
  let writing = writeRecord(file, record);
  const write = (change: Partial<TunnelRecord>): void => {
    record = { ...record, ...change, since: new Date().toISOString() };
    const next = record;
    writing = writing.then(() => writeRecord(file, next));
  };
  const stop = events.subscribe((event) => {
    if (event.kind === "tunnel.up") {
      const { listens, listen, to } = event;
      wanted.set(`${listens} ${listen}`, { listens, listen, to });
      up++;
      if (up === count) write({ state: "up", tunnels: [...wanted.values()], error: undefined });
    }
    if (event.kind === "tunnel.lost") {
      up = 0;
      write({ state: "lost", error: event.error });
    }
  });
  return {
    async end(error) {
      stop();
      if (error !== undefined) write({ state: "failed", error: errorJson(error) });
      await writing;
      if (error === undefined) await rm(file, { force: true });
    },
  };
}

/** Milliseconds it has to end by itself. */
const grace = 5000;

/** Ends it, if it is still there, and forgets it. False: it was gone before. */
export async function endBackground(folder: string, record: TunnelRecord): Promise<boolean> {
  const wasAlive = await isAlive(record);
  if (wasAlive) {
    process.kill(record.pid, "SIGTERM");
    for (const end = Date.now() + grace; await isAlive(record); await sleep(20)) {
      if (Date.now() > end) process.kill(record.pid, "SIGKILL");
    }
  }
  for (const path of [recordFile(folder, record.name), logFile(folder, record.name)]) await rm(path, { force: true });
  return wasAlive;
}
