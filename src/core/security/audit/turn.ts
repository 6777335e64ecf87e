/** Turn: one writer at a time, by a name that only one can make. What is done meanwhile takes less than a millisecond. */
import { randomBytes } from "node:crypto";
import { readFileSync, readlinkSync, renameSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { hostname } from "node:os";
import { setTimeout as sleep } from "node:timers/promises";
import { processMark } from "../../process-mark.ts";
import { systemCode } from "../../unreadable.ts";

/** Milliseconds: how long to wait for others, and after which one of them is asked whether it still lives. */
const [patience, suspicion] = [10_000, 100];

/** Runs `work` when it is our turn. Rejects when others keep it too long, or the name cannot be made. */
export async function withTurn(lock: string, work: () => void): Promise<void> {
  own ??= processMark(process.pid);
  const words = `${process.pid} ${hostname()} ${await own}`;
  const started = performance.now();
  while (!take(lock, words)) {
    const waited = performance.now() - started;
    const holder = waited > suspicion ? holderOf(lock) : undefined;
    if (holder !== undefined && (await isGone(holder))) takeAway(lock, holder);
    else if (waited > patience) throw new Error(`${lock} is held by process ${holder?.split(" ")[0] ?? "?"}`);
    else await sleep(1 + Math.random() * 4);
  }
  try {
    work();
  } finally {
    rmSync(lock, { force: true });
  }
}

let own: Promise<string | undefined> | undefined;

/** A symlink that leads nowhere: it is made with its words in it. Windows makes none for everybody. */
function take(lock: string, words: string): boolean {
  try {
    if (process.platform === "win32") writeFileSync(lock, words, { flag: "wx" });
    else symlinkSync(words, lock);
    return true;
  } catch (error) {
    if (systemCode(error) === "EEXIST") return false;
    throw error;
  }
}

function holderOf(lock: string): string | undefined {
  try {
    return process.platform === "win32" ? readFileSync(lock, "utf8") : readlinkSync(lock);
  } catch {
    return undefined;
  }
}

/** Only a process of this machine can be asked. */
async function isGone(holder: string): Promise<boolean> {
  const [pid, host, ...mark] = holder.split(" ");
  return host === hostname() && (await processMark(Number(pid))) !== mark.join(" ");
}

/** Two may find the same dead holder: what one of them moves aside must still be the dead one's, or goes back. */
function takeAway(lock: string, holder: string): void {
  const aside = `${lock}.${randomBytes(8).toString("hex")}`;
  try {
    renameSync(lock, aside);
  } catch {
    return; // the other was first
  }
  if (holderOf(aside) === holder) rmSync(aside, { force: true });
  else renameSync(aside, lock);
}
