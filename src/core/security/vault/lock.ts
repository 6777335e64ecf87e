/** Lock: one writer of a file at a time, over all processes of this machine. A dead one's lock is taken over. */
import { randomBytes } from "node:crypto";
import { open, readFile, rename, rm } from "node:fs/promises";
import { hostname } from "node:os";
import { setTimeout as sleep } from "node:timers/promises";
import { AmiError } from "../../errors.ts";

/** Milliseconds; writing takes far less than a second. */
const patience = 15_000;

/** Runs `work` while `FILE.lock` is ours. Rejects with `vault.locked` when another keeps it too long. */
export async function withLock<T>(file: string, signal: AbortSignal, work: () => Promise<T>): Promise<T> {
  const lock = `${file}.lock`;
  const own = `${process.pid} ${hostname()} ${randomBytes(8).toString("hex")}\n`;
  const deadline = performance.now() + patience;
  while (!(await make(lock, own))) {
    signal.throwIfAborted();
    const holder = await readFile(lock, "utf8").catch(() => "");
    if (isDead(holder)) await takeAway(lock, holder);
    else if (performance.now() > deadline) {
      const [pid = "?", host = "?"] = holder.split(" ");
      throw new AmiError("vault.locked", `${file} is being written by process ${pid} on ${host}`, {
        hint: `wait for it; when it is gone, remove ${lock}`,
        retry: "yes",
      });
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
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "EEXIST") return false;
    throw error;
  }
}

/** Only a process of this machine can be asked; one that has not written its name yet is alive. */
function isDead(holder: string): boolean {
  const [pid, host] = holder.trim().split(" ");
  if (pid === undefined || !/^\d+$/.test(pid) || host !== hostname()) return false;
  try {
    process.kill(Number(pid), 0);
    return false;
  } catch (error) {
    return error instanceof Error && "code" in error && error.code === "ESRCH";
  }
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
