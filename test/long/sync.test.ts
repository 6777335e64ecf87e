/** Sync torture: storms, git checkouts of thousands of files, and connections that are cut meanwhile. */
import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, afterEach, beforeAll, beforeEach, expect, it, vi } from "vitest";
import { command } from "../../src/commands/ssh/sync.ts";
import { type OpenHosts, openHosts } from "../../src/core/hosts/open.ts";
import { parseTarget } from "../../src/core/targets.ts";
import { needs } from "../servers/engines.ts";
import { type Sshd, startSshd } from "../servers/sshd.ts";
import { seeded, storm, treeText } from "../servers/storm.ts";
import { testContext } from "../unit/commands/context.ts";

needs("sshd")("ssh sync under torture", () => {
  let server: Sshd;
  let hosts: OpenHosts;
  let dir = "";
  beforeAll(async () => {
    server = await startSshd();
  });
  afterAll(() => server?.stop());
  beforeEach(() => {
    dir = mkdtempSync(join(tmpdir(), "ami-sync-"));
    mkdirSync(join(dir, "here"));
    hosts = openHosts({ ssh: { configFile: server.configFile, env: {} } });
  });
  afterEach(async () => {
    await hosts.close();
    rmSync(dir, { recursive: true, force: true });
  });

  const watching = async (work: () => Promise<void>): Promise<void> => {
    const control = new AbortController();
    const ctx = { ...testContext({ signal: control.signal }), hosts, confirm: () => Promise.resolve() };
    const input = { source: join(dir, "here"), destination: `box:${dir}/there`, delete: true };
    const running = command.run(command.input.parse(input), {
      ...ctx,
      resolve: (word) => Promise.resolve([parseTarget(word)]),
    });
    running.catch(() => undefined);
    try {
      await work();
      await alike();
    } finally {
      control.abort();
      await running;
    }
  };
  const alike = (): Promise<void> =>
    vi.waitFor(() => expect(treeText(join(dir, "there"))).toBe(treeText(join(dir, "here"))), {
      timeout: 120_000,
      interval: 500,
    });
  const cut = async (): Promise<void> => {
    for (const pid of await server.connections()) process.kill(pid, "SIGKILL");
  };

  it("30 storms, every third with the connection cut", { timeout: 600_000 }, async () => {
    const random = seeded(7);
    await watching(async () => {
      for (let round = 0; round < 30; round++) {
        storm(join(dir, "here"), 1500, random);
        if (round % 3 === 2) await cut();
        await sleep(random() * 400);
        if (round % 10 === 9) await alike();
      }
    });
  });

  it("checkouts of branches that have 4000 files each", { timeout: 600_000 }, async () => {
    const here = join(dir, "here");
    const git = (...words: string[]): void => {
      execFileSync("git", ["-c", "user.name=t", "-c", "user.email=t@t", "-c", "gc.auto=0", ...words], { cwd: here });
    };
    git("init", "-q", "-b", "one");
    for (const branch of ["one", "two"]) {
      if (branch === "two") git("checkout", "-q", "-b", "two");
      rmSync(join(here, "src"), { recursive: true, force: true });
      for (let i = 0; i < 4000; i++) {
        const folder = join(here, "src", `${branch === "one" ? "a" : "b"}${i % 37}`, String(i % 11));
        mkdirSync(folder, { recursive: true });
        writeFileSync(join(folder, `f${i}`), `${branch} ${i}\n`);
      }
      git("add", "-A");
      git("commit", "-q", "-m", branch);
    }
    await watching(async () => {
      for (let round = 0; round < 4; round++) {
        git("checkout", "-q", round % 2 === 0 ? "one" : "two");
        if (round === 2) await cut();
        if (round % 2 === 1) await alike();
      }
    });
  });
});
