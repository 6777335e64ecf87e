/** Lock: one holder at a time, over all processes of this machine. A dead one's lock is taken over. */
import { randomBytes } from "node:crypto";
import { open, readFile, rename, rm } from "node:fs/promises";
import { hostname } from "node:os";
import { setTimeout as sleep } from "node:timers/promises";
import { AmiError } from "./errors.ts";
import { processMark } from "./process-mark.ts";
import { systemCode, whyUnreadable } from "./unreadable.ts";

export interface LockWish {
  /** `FILE.lock` is the lock. */
  readonly file: string;
  /** Milliseconds to wait for another holder. */
  readonly patience: number;
  readonly signal: AbortSignal;
  /** What the caller gets when another keeps it for longer; `by` names its process. */
  held(by: string, lock: string): AmiError;
}

/** Runs `work` while the lock is ours. Rejects with what `held` gives, or `host.file` where no lock can be made. */
export async function withLock<T>({ file, patience, signal, held }: LockWish, work: () => Promise<T>): Promise<T> {
  const lock = `${file}.lock`;
  const mark = (await processMark(process.pid)) ?? "";
  const own = `${process.pid} ${hostname()} ${randomBytes(8).toString("hex")} ${mark}\n`;
  const deadline = performance.now() + patience;
  while (!(await make(lock, own))) {
    signal.throwIfAborted();
    const holder = await readFile(lock, "utf8").catch(() => "");
    if (await isDead(holder)) await takeAway(lock, holder);
    else if (performance.now() > deadline) {
      const [pid = "?", host = "?"] = holder.split(" ");
      throw held(`process ${pid} on ${host}`, lock);
    } else await sleep(20 + Math.random() * 30, undefined, { signal });
  }
  try {
    return await work();
  } finally {
    await rm(lock, { force: true });
  }
}

async function make(lock: string, words: string): Promise<boolean> {
  try {
    const handle = await open(lock, "wx", 0o600);
    try {
      await handle.writeFile(words);
    } finally {
      await handle.close();
    }
    return true;
  } catch (cause) {
    if (systemCode(cause) === "EEXIST") return false;
    throw new AmiError("host.file", `${lock} cannot be made: ${whyUnreadable(cause)}`, { cause });
  }
}

/** Only a process of this machine can be asked; one that has not written its name yet is alive. */
async function isDead(holder: string): Promise<boolean> {
  const [pid, host, , ...mark] = holder.trim().split(" ");
  if (pid === undefined || !/^\d+$/.test(pid) || host !== hostname()) return false;
  const now = await processMark(Number(pid));
  // A later process may have got its number.
  return now === undefined || (mark.length > 0 && now !== mark.join(" "));
}

/** Two may find the same dead holder: what one of them moves aside must still be the dead one's, or goes back. */
async function takeAway(lock: string, holder: string): Promise<void> {
  const aside = `${lock}.${randomBytes(8).toString("hex")}`;
  try {
    await rename(lock, aside);
  } catch {
    return; // the other was first
  }
  if ((await readFile(aside, "utf8")) === holder) await rm(aside, { force: true });
  else await rename(aside, lock);
}
