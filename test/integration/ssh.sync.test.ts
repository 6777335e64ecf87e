/** ssh sync against real servers: what is here comes to be there, through storms and lost connections. */
import { chmodSync, renameSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import { mkdir, mkdtemp, readFile, readdir, rm, stat, symlink, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from "vitest";
import type { z } from "zod";
import { command } from "../../src/commands/ssh/sync.ts";
import type { Become, Context } from "../../src/core/command.ts";
import { type OpenHosts, openHosts } from "../../src/core/hosts/open.ts";
import { parseTarget } from "../../src/core/targets.ts";
import { needs } from "../servers/engines.ts";
import { type Sshd, startSshd } from "../servers/sshd.ts";
import { seeded, storm, treeText } from "../servers/storm.ts";
import { type TestContext, testContext } from "../unit/commands/context.ts";

let dir = "";
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), "ami-sync-"));
  await mkdir(join(dir, "here/sub/deep"), { recursive: true });
  await writeFile(join(dir, "here/a"), "a");
  await writeFile(join(dir, "here/sub/b"), "b".repeat(200_000));
  await symlink("../a", join(dir, "here/sub/link"));
  await mkdir(join(dir, "there"));
});
afterEach(() => rm(dir, { recursive: true, force: true }));
const at = (name: string): string => join(dir, name);

const tree = (name: string, leaveOut?: string): string => treeText(at(name), leaveOut);

const become: Become = { user: "root", method: "su" };

needs("sshd")("ssh sync", () => {
  let server: Sshd;
  let hosts: OpenHosts;
  beforeAll(async () => {
    server = await startSshd();
    hosts = openHosts({ ssh: { configFile: server.configFile, env: {} } });
  });
  afterAll(async () => {
    await hosts?.close();
    await server?.stop();
  });

  type Flags = Partial<z.input<typeof command.input>>;
  const start = (flags: Flags = {}, wish: { signal?: AbortSignal; hosts?: OpenHosts; asked?: string[] } = {}) => {
    const test = testContext({ signal: wish.signal });
    const ctx: Context & TestContext = {
      ...test,
      hosts: wish.hosts ?? hosts,
      resolve: (word) => Promise.resolve(word.split(",").map(parseTarget)),
      confirm: async (question) => void wish.asked?.push(question),
    };
    const input = command.input.parse({ source: at("here"), destination: `box:${at("there")}`, ...flags });
    const running = command.run(input, ctx);
    running.catch(() => undefined); // looked at by whoever waits for it
    return { running, ctx };
  };
  const once = async (flags: Flags = {}) => {
    const { running, ctx } = start({ once: true, ...flags });
    const { output } = await running;
    return { ...output.hosts[0], notes: ctx.of("note").map(({ text }) => text), events: ctx.of("sync") };
  };

  describe("once", () => {
    it("brings what differs, and nothing the second time", async () => {
      const first = await once();
      expect(first).toMatchObject({ host: "box", path: at("there"), rounds: 1, changed: 5, deleted: 0 });
      expect(tree("there")).toBe(tree("here"));
      expect(await once()).toMatchObject({ changed: 0, deleted: 0, bytes: 0 });
      await writeFile(at("here/sub/b"), "new");
      chmodSync(at("here/sub/deep"), 0o700);
      expect((await once()).events[0]?.changed.toSorted()).toEqual(["sub/b", "sub/deep"]);
      expect(tree("there")).toBe(tree("here"));
    });

    it("deletes only when told to, after a question, and never what is left out", async () => {
      await mkdir(at("there/old/deep"), { recursive: true });
      for (const name of ["there/old/x", "there/keep.o", "there/old/keep.o", "there/gone"])
        await writeFile(at(name), "");
      await once({ exclude: ["*.o"] });
      expect((await readdir(at("there"))).toSorted()).toEqual(["a", "gone", "keep.o", "old", "sub"]);
      const asked: string[] = [];
      await start({ once: true, delete: true, exclude: ["*.o", "old/"] }, { asked }).running;
      expect(asked).toEqual([expect.stringContaining("delete there what is not here?")]);
      expect((await readdir(at("there"))).toSorted()).toEqual(["a", "keep.o", "old", "sub"]);
      expect((await once({ delete: true })).events[0]?.deleted.toSorted()).toEqual(["keep.o", "old"]);
      expect(tree("there")).toBe(tree("here"));
    });

    it("leaves what is left out where it is, in folders that are gone here too", async () => {
      await mkdir(at("there/old/logs"), { recursive: true });
      await mkdir(at("there/a"));
      for (const name of ["old/logs/app.log", "old/logs/x", "old/y", "a/app.log"])
        await writeFile(at(`there/${name}`), "");
      const { notes } = await once({ delete: true, exclude: ["*.log"] });
      expect(notes).toEqual([expect.stringContaining("a is left as it is there")]);
      expect(
        (await readdir(at("there"), { recursive: true })).filter((name) => /old|^a/.test(name)).toSorted(),
      ).toEqual(["a", "a/app.log", "old", "old/logs", "old/logs/app.log"]);
    });

    it("deletes neither all there is, for want of a source, nor the keys that let us in", async () => {
      await mkdir(at("empty"));
      await writeFile(at("there/x"), "");
      await expect(once({ delete: true, source: at("empty") })).rejects.toMatchObject({ code: "run.refused" });
      expect(await readdir(at("there"))).toEqual(["x"]);
      await mkdir(at("there/.ssh"));
      await writeFile(at("there/.ssh/authorized_keys"), "");
      const other = await startSshd({ env: { HOME: at("there") } });
      const own = openHosts({ ssh: { configFile: other.configFile, env: {} } });
      try {
        const wish = { once: true, delete: true };
        await expect(start(wish, { hosts: own }).running).rejects.toMatchObject({ code: "usage.input" });
        expect((await readdir(at("there"))).toSorted()).toEqual([".ssh", "x"]);
        await start({ ...wish, exclude: [".ssh"] }, { hosts: own }).running;
        expect((await readdir(at("there"))).toSorted()).toEqual([".ssh", "a", "sub"]);
      } finally {
        await own.close();
        await other.stop();
      }
    });

    it("puts one kind of thing in the place of another where nothing of others is lost", async () => {
      await mkdir(at("there/a/of others"), { recursive: true });
      await writeFile(at("there/sub"), "a file");
      const blocked = await once();
      expect(blocked.notes).toHaveLength(2);
      expect(await readdir(at("there/a"))).toEqual(["of others"]);
      await once({ delete: true });
      expect(tree("there")).toBe(tree("here"));
    });

    it("does it as another user, and where there is no sftp", async () => {
      const other = await startSshd({ config: ["Subsystem sftp /no/such/program"] });
      const own = openHosts({ ssh: { configFile: other.configFile, env: {} }, become });
      try {
        await start({ once: true }, { hosts: own }).running;
        expect(tree("there")).toBe(tree("here"));
      } finally {
        await own.close();
        await other.stop();
      }
    });

    it("refuses what cannot be", async () => {
      const refused = async (flags: Flags): Promise<unknown> => once(flags).catch((error: unknown) => error);
      expect(await refused({ source: at("none") })).toMatchObject({ code: "usage.input" });
      expect(await refused({ source: at("here/a") })).toMatchObject({ code: "usage.input" });
      expect(await refused({ source: "box:x" })).toMatchObject({ message: expect.stringContaining("yet") });
      expect(await refused({ destination: at("there") })).toMatchObject({ code: "usage.input" });
      expect(await refused({ destination: `box:${at("no/where")}` })).toMatchObject({ code: "host.file" });
      expect(await refused({ destination: `box:${at("here/a")}` })).toMatchObject({ code: "host.file" });
    });
  });

  /** Until both are alike, or the patience of a test is over. */
  const alike = (leaveOut?: string): Promise<void> =>
    vi.waitFor(() => expect(tree("there", leaveOut)).toBe(tree("here", leaveOut)), { timeout: 40_000, interval: 200 });

  describe("watching", () => {
    let control: AbortController;
    beforeEach(() => {
      control = new AbortController();
    });
    const ended = async ({ running }: ReturnType<typeof start>) => {
      control.abort();
      const { output, exit } = await running;
      expect(exit).toBe(130);
      return output.hosts[0];
    };

    it("follows what is written, made, renamed and deleted, and tells of each batch", async () => {
      const job = start({ delete: true, exclude: ["*.tmp"] }, { signal: control.signal });
      await alike();
      // The same size in the same second.
      for (const text of ["1", "2", "3"]) {
        await writeFile(at("here/a"), text);
        await utimes(at("here/a"), 1_600_000_000, 1_600_000_000);
        await vi.waitFor(async () => expect(await readFile(at("there/a"), "utf8")).toBe(text), { timeout: 20_000 });
      }
      await mkdir(at("here/new/folder"), { recursive: true });
      await writeFile(at("here/new/folder/c"), "c");
      await writeFile(at("here/new/no.tmp"), "left out");
      await alike("*.tmp");
      renameSync(at("here/new"), at("here/renamed"));
      await alike("*.tmp");
      await writeFile(at("here/renamed/folder/d"), "in what was renamed");
      rmSync(at("here/sub"), { recursive: true });
      await writeFile(at("here/sub"), "now a file");
      await alike("*.tmp");
      expect(await readdir(at("there/renamed"))).toEqual(["folder"]);
      const report = await ended(job);
      expect(report?.changed).toBeGreaterThan(8);
      const told = job.ctx.of("sync").flatMap(({ changed, deleted }) => [...changed, ...deleted]);
      expect(told).toEqual(expect.arrayContaining(["a", "new/folder/c", "renamed/folder/d", "new"]));
      expect((await readdir(at("there"))).filter((name) => name.startsWith(".ami"))).toEqual([]);
    });

    it("ends in the right state after a storm", async () => {
      const job = start({ delete: true }, { signal: control.signal });
      await alike();
      const random = seeded(20_251_125);
      for (let burst = 0; burst < 4; burst++) {
        storm(at("here"), 700, random);
        await new Promise((resolve) => setTimeout(resolve, Math.floor(random() * 300)));
      }
      await alike();
      await writeFile(at("here/last"), "seen");
      await alike();
      await ended(job);
    });

    it("goes on after the connection was lost, and puts right what changed there meanwhile", async () => {
      const own = openHosts({ ssh: { configFile: server.configFile, env: {} } });
      try {
        const job = start({ delete: true }, { signal: control.signal, hosts: own });
        await alike();
        for (let round = 0; round < 3; round++) {
          for (const pid of await server.connections()) process.kill(pid, "SIGKILL");
          await writeFile(at("there/a"), "somebody else");
          await writeFile(at(`here/after-${round}`), "x".repeat(3_000_000));
          await vi.waitFor(() => stat(at(`there/after-${round}`)), { timeout: 40_000, interval: 100 });
        }
        await writeFile(at("here/a"), "ours");
        await alike();
        await ended(job);
      } finally {
        await own.close();
      }
    });

    it("what was written in the same size and second, and did not arrive, arrives later", async () => {
      const rewrite = (text: string): void => {
        writeFileSync(at("here/same"), text);
        utimesSync(at("here/same"), 1_600_000_000, 1_600_000_000);
      };
      rewrite("1");
      const job = start({}, { signal: control.signal });
      await alike();
      renameSync(at("there"), at("aside"));
      writeFileSync(at("there"), "no folder");
      rewrite("2");
      await vi.waitFor(() => expect(job.ctx.of("sync.lost")).not.toEqual([]), { timeout: 20_000 });
      rmSync(at("there"));
      renameSync(at("aside"), at("there"));
      await writeFile(at("here/after"), "");
      await alike();
      await ended(job);
    });

    it("what was left out and came there meanwhile survives its folder", async () => {
      const job = start({ delete: true, exclude: ["*.log"] }, { signal: control.signal });
      await alike();
      await writeFile(at("there/sub/app.log"), "written by the server");
      rmSync(at("here/sub"), { recursive: true });
      await vi.waitFor(async () => expect(await readdir(at("there/sub"))).toEqual(["app.log"]), { timeout: 20_000 });
      await ended(job);
    });

    it("takes nothing for deleted while the folder itself is away", async () => {
      const job = start({ delete: true }, { signal: control.signal });
      await alike();
      renameSync(at("here"), at("away"));
      await vi.waitFor(
        () =>
          expect(
            job.ctx
              .of("note")
              .map(({ text }) => text)
              .join(),
          ).toContain("waiting for it"),
        {
          timeout: 20_000,
        },
      );
      expect(await readFile(at("there/a"), "utf8")).toBe("a");
      renameSync(at("away"), at("here"));
      await writeFile(at("here/back"), "again");
      await alike();
      // Nor when it is empty all at once.
      renameSync(at("here"), at("away"));
      await mkdir(at("here"));
      await vi.waitFor(() => expect(JSON.stringify(job.ctx.of("note"))).toContain("nothing here any more"), {
        timeout: 20_000,
      });
      await writeFile(at("away/last"), "seen");
      expect(await readFile(at("there/a"), "utf8")).toBe("a");
      await rm(at("here"), { recursive: true });
      renameSync(at("away"), at("here"));
      await alike();
      await ended(job);
    });
  });
});
