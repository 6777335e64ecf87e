/** Jobs under torture: a million lines through fifty cuts of the connection, each of them seen once and in order; and one that cannot be ended. */
import { type ChildProcess } from "node:child_process";
import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, expect, it } from "vitest";
import type { Host } from "../../src/core/host.ts";
import { openHosts } from "../../src/core/hosts/open.ts";
import { stopJob } from "../../src/core/jobs/end.ts";
import { newJobId } from "../../src/core/jobs/job.ts";
import { startJob } from "../../src/core/jobs/start.ts";
import { parseTarget } from "../../src/core/targets.ts";
import { type Home, ami, exitOf, inventHome, start } from "../e2e/run.ts";
import { needs } from "../servers/engines.ts";
import { type Account, type Sshd, createAccount, startSshd } from "../servers/sshd.ts";

const million = 1_000_000;
const cutsWanted = 50;

needs("sshd")("a detached job that prints a million numbered lines", () => {
  let home: Home;
  let box: Sshd;
  beforeAll(async () => {
    [home, box] = await Promise.all([inventHome(), startSshd()]);
  });
  afterAll(async () => {
    await box?.stop();
    await home?.remove();
  });

  it("shows each of them once, in order, through 50 cuts at random moments", async () => {
    const on = (...words: readonly string[]): readonly string[] => ["ssh", ...words, "--ssh-config", box.configFile];
    // In bursts, so that it takes about as long as the cuts do.
    const line = `awk 'BEGIN { for (i = 1; i <= ${million}; i++) { print "line", i; if (i % 10000 == 0) { fflush(); print i >"/dev/stderr"; system("sleep 0.8") } } }'; exit 3`;
    const begun = await ami(home, [...on("run", "box", "--detach"), "--", line]);
    const id = begun.stdout.trim();
    const client = start(home, on("jobs", "attach", id, "--target", "box"));
    const lines = watch(client);
    const ended = exitOf(client);
    let isOver = false;
    void ended.then(() => (isOver = true));
    let cuts = 0;
    /** The server may take a while to count its dead. */
    const killed = new Set<number>();
    let at = 0;
    while (cuts < cutsWanted && !isOver) {
      await sleep(Math.random() * 900);
      // Only what carries the job counts as a cut: it must have gone on since the last one.
      if (lines.count() === at) continue;
      at = lines.count();
      const fresh = (await box.connections()).filter((pid) => !killed.has(pid));
      for (const pid of fresh) {
        killed.add(pid);
        kill(pid);
      }
      if (fresh.length > 0) cuts++;
    }
    expect(await ended, lines.stderr()).toBe(3);
    expect(lines.wrong()).toBeUndefined();
    expect(lines.count()).toBe(million);
    expect(cuts).toBe(cutsWanted);
    const losses = lines
      .stderr()
      .split("\n")
      .filter((each) => each.includes("attaching again")).length;
    // One that comes while a channel is being opened is made good without a word.
    expect(losses).toBeGreaterThan(cutsWanted / 2);
    const told = lines
      .stderr()
      .split("\n")
      .filter((each) => /^\d+$/.test(each));
    expect(told).toEqual(Array.from({ length: 100 }, (_, i) => String((i + 1) * 10_000)));
    const logs = await ami(home, on("jobs", "logs", id, "--target", "box"));
    expect(createHash("sha256").update(logs.bytes).digest("hex")).toBe(lines.sha256());
    process.stderr.write(`${cuts} cuts, ${losses} losses told, ${lines.count()} lines\n`);
  });
});

needs(
  "sshd",
  "root",
  "useradd",
  "sudo",
)("a job whose processes are root's", () => {
  let account: Account;
  let box: Sshd;
  beforeAll(async () => {
    account = await createAccount({ sudo: "free" });
    box = await startSshd({ user: account.name });
  });
  afterAll(async () => {
    await box?.stop();
    await account?.remove();
  });

  it("is not waited for when it cannot be ended, and its processes are named", async () => {
    const hosts = openHosts({ ssh: { configFile: box.configFile, env: {} } });
    const never = new AbortController().signal;
    const id = newJobId();
    try {
      const open = (): Promise<Host> => hosts.open(parseTarget("box"));
      const file = `${box.dir}/pid`;
      const argv = ["sudo", "sh", "-c", `trap : TERM; echo $$ >${file}; while :; do sleep 1; done`] as const;
      await startJob(open, { id, argv, about: { command: "x" } }, never);
      let pid = 0;
      for (const end = Date.now() + 60_000; pid === 0 && Date.now() < end; await sleep(50))
        pid = Number(await readFile(file, "utf8").catch(() => "0"));
      expect(pid).toBeGreaterThan(1);
      try {
        await expect(stopJob(await open(), id, 0, never)).rejects.toMatchObject({
          code: "job.failed",
          message: expect.stringMatching(new RegExp(`do not end.* ${pid}\\b`)),
        });
      } finally {
        process.kill(pid, "SIGKILL");
      }
    } finally {
      await hosts.close();
    }
  }, 120_000);
});

/** Counts the lines `line N` as they come, and keeps the first that is not the next. */
function watch(client: ChildProcess): {
  count(): number;
  wrong(): string | undefined;
  stderr(): string;
  sha256(): string;
} {
  const hash = createHash("sha256");
  let count = 0;
  let wrong: string | undefined;
  let rest = "";
  let stderr = "";
  client.stderr?.on("data", (bytes: Buffer) => (stderr += bytes.toString()));
  client.stdout?.on("data", (bytes: Buffer) => {
    hash.update(bytes);
    const lines = (rest + bytes.toString()).split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) if (line !== `line ${++count}`) wrong ??= `${line} where line ${count} was due`;
  });
  return { count: () => count, wrong: () => wrong, stderr: () => stderr, sha256: () => hash.digest("hex") };
}

/** One that is gone by now is none to be cut. */
function kill(pid: number): void {
  try {
    process.kill(pid, "SIGKILL");
  } catch (error) {
    if (!(error instanceof Error && "code" in error && error.code === "ESRCH")) throw error;
  }
}
