/** ssh transfer against real servers: with and without sftp, with and without tar there. */
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import {
  chmod,
  link,
  mkdir,
  mkdtemp,
  readFile,
  readdir,
  rm,
  stat,
  symlink,
  truncate,
  utimes,
  writeFile,
} from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import type { z } from "zod";
import { command } from "../../src/commands/ssh/transfer.ts";
import { type OpenHosts, openHosts } from "../../src/core/hosts/open.ts";
import { parseTarget } from "../../src/core/targets.ts";
import { needs } from "../servers/engines.ts";
import { type Sshd, type SshdOptions, startSshd } from "../servers/sshd.ts";
import { type TestContext, type TestWish, testContext } from "../unit/commands/context.ts";

let dir = "";
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), "ami-transfer-"));
  await mkdir(join(dir, "src/sub/empty"), { recursive: true });
  await writeFile(join(dir, "src/small"), "hello\n");
  await writeFile(join(dir, "src/large"), content(1_000_003));
  await writeFile(join(dir, "src/sub/ä b'\"\n$x"), "odd");
  await symlink("../small", join(dir, "src/sub/link"));
  await chmod(join(dir, "src/small"), 0o640);
  await utimes(join(dir, "src/large"), 1_500_000_000, 1_500_000_000);
  await mkdir(join(dir, "dst"));
});
afterEach(async () => {
  const left = execFileSync("find", [dir, "-name", ".*ami*"], { encoding: "utf8" });
  await rm(dir, { recursive: true, force: true });
  expect(left).toBe("");
});

const at = (name: string): string => join(dir, name);
const read = async (name: string): Promise<string> => readFile(at(name), "utf8");

function same(one: string, other: string): void {
  execFileSync("diff", ["-r", "--no-dereference", at(one), at(other)]);
}

function content(size: number, seed = "ami"): Buffer {
  return createHash("shake256", { outputLength: size }).update(seed).digest();
}

type Flags = Partial<z.input<typeof command.input>>;

const runner =
  (hosts: () => OpenHosts) =>
  async (paths: readonly string[], flags: Flags = {}, wish: TestWish = {}) => {
    const ctx: TestContext = { ...testContext(wish), hosts: hosts(), confirm: () => Promise.resolve() };
    const result = await command.run(command.input.parse({ paths: [...paths], ...flags }), {
      ...ctx,
      resolve: (word) => Promise.resolve(word.split(",").map(parseTarget)),
    });
    return { ...result, ctx, moved: result.output.hosts[0]?.moves?.[0], notes: ctx.of("note").map(({ text }) => text) };
  };

needs("sshd")("ssh transfer", () => {
  describe.each([
    ["with sftp and tar", { config: [] }, { file: "ranges", tree: "tar" }],
    ["without sftp", { config: ["Subsystem sftp /no/such/program"] }, { file: "tar", tree: "tar" }],
    ["without tar", { config: [], env: { PATH: "" } }, { file: "ranges", tree: "sftp" }],
    ["on a server that allows one session", { config: ["MaxSessions 1"] }, { file: "ranges", tree: "tar" }],
  ] as [string, SshdOptions, { file: string; tree: string }][])("%s", (_, options, engines) => {
    let server: Sshd;
    let hosts: OpenHosts;
    let bin = "";
    const run = runner(() => hosts);
    beforeAll(async () => {
      if (options.env !== undefined) {
        bin = await mkdtemp(join(tmpdir(), "ami-bin-"));
        const program = 'ln -s /usr/bin/* "$1"; rm "$1/tar"';
        execFileSync("sh", ["-c", program, "sh", bin]);
      }
      server = await startSshd({ ...options, ...(bin === "" ? {} : { env: { PATH: bin } }) });
      hosts = openHosts({ ssh: { configFile: server.configFile, env: {} } });
    });
    afterAll(async () => {
      await hosts?.close();
      await server?.stop();
      if (bin !== "") await rm(bin, { recursive: true, force: true });
    });

    it("a file there and back, its mode and time kept, an old one replaced", async () => {
      await writeFile(at("dst/large"), "old");
      const up = await run([at("src/large"), `box:${at("dst")}/`], { checksum: true });
      expect(up.moved).toMatchObject({ engine: engines.file, files: 1, bytes: 1_000_003 });
      same("src/large", "dst/large");
      expect((await stat(at("dst/large"))).mtimeMs).toBe(1_500_000_000_000);
      const down = await run([`box:${at("src/small")}`, at("new")], { checksum: true });
      expect(down.moved).toMatchObject({ engine: engines.file, path: dir, names: ["new"] });
      expect(await read("new")).toBe("hello\n");
      expect((await stat(at("new"))).mode & 0o777).toBe(0o640);
    });

    it("a larger file, of which each byte counts", async () => {
      await writeFile(at("src/large"), content(9_000_001));
      const up = await run([at("src/large"), `box:${at("dst")}`]);
      expect(up.moved).toMatchObject({ engine: engines.file, bytes: 9_000_001 });
      same("src/large", "dst/large");
      await run([`box:${at("src/large")}`, at("dst/back")]);
      same("src/large", "dst/back");
    });

    it("a folder there and back, and again over itself", async () => {
      for (const round of [1, 2]) {
        const up = await run([at("src"), `box:${at("dst")}`], { checksum: true });
        expect(up.moved, String(round)).toMatchObject({ engine: engines.tree, files: 3 });
        same("src", "dst/src");
        await writeFile(at("dst/src/small"), "changed meanwhile");
      }
      await run([`box:${at("src")}`, at("back")], { checksum: true });
      same("src", "back");
      await writeFile(at("back/small"), "changed");
      await writeFile(at("back/own"), "kept");
      await run([`box:${at("src")}/.`, at("back")]);
      expect([await read("back/small"), await read("back/own")]).toEqual(["hello\n", "kept"]);
    });

    it("from one machine to another through this one", async () => {
      await run([`box:${at("src")}`, `box:${at("dst/copy")}`]);
      same("src", "dst/copy");
      await run([`box:${at("src/large")}`, `box:${at("dst")}`]);
      same("src/large", "dst/large");
    });

    it("patterns there and here, what is left out, and what is deleted", async () => {
      await writeFile(at("a.c"), "a");
      await writeFile(at("b b.c"), "b");
      await run([`box:${at("*.c")}`, at("src/*"), `box:${at("dst")}`].slice(1), { exclude: ["empty", "l*"] });
      expect((await readdir(at("dst"), { recursive: true })).toSorted()).toEqual(
        ["large", "small", "sub", "sub/ä b'\"\n$x"].toSorted(),
      );
      await run([`box:${at("*.c")}`, at("dst")]);
      expect(await read("dst/b b.c")).toBe("b");
      const gone = await run([`${at("src")}/.`, `box:${at("dst")}`], { delete: true, exclude: ["a.c"] });
      expect(gone.moved).toMatchObject({ deleted: 1 });
      await rm(at("dst/a.c"));
      same("src", "dst");
    });

    it.each(["there", "here"])("what is left out stays in a folder that is to go %s", async (where) => {
      await mkdir(at("dst/old/sub"), { recursive: true });
      for (const name of ["old/kept.o", "old/x", "old/sub/y"]) await writeFile(at(`dst/${name}`), "");
      const [from, to] = where === "there" ? ["", "box:"] : ["box:", ""];
      await run([`${from}${at("src")}/.`, `${to}${at("dst")}`], { delete: true, exclude: ["*.o"] });
      expect(await readdir(at("dst/old"))).toEqual(["kept.o"]);
    });

    it("says what it would do, and does nothing", async () => {
      await writeFile(at("dst/old"), "old");
      const up = await run([`${at("src")}/.`, `box:${at("dst")}`], { dryRun: true, delete: true, explain: true });
      expect(up.moved).toMatchObject({ engine: engines.tree, files: 4, deleted: 1 });
      expect(up.notes).toEqual(
        expect.arrayContaining([
          expect.stringContaining(`${engines.tree}, a folder`),
          `would copy ${at("dst/small")}`,
          `would delete ${at("dst/old")}`,
        ]),
      );
      expect(await readdir(at("dst"))).toEqual(["old"]);
      const down = await run([`box:${at("src")}/.`, at("dst")], { dryRun: true });
      expect(down.moved).toMatchObject({ files: 4 });
    });

    it("what cannot be is refused in words, and leaves nothing", async () => {
      await mkdir(at("dst/small"));
      const refused = (paths: string[], words: string) =>
        expect(run(paths), paths.join(" ")).rejects.toMatchObject({ message: expect.stringContaining(words) });
      await refused([at("src/none"), `box:${at("dst")}`], "no such file");
      await refused([`box:${at("src/none")}`, at("dst")], "no such file");
      await refused([at("src/small"), `box:${at("no/where/x")}`], "no folder");
      await refused([at("src/small"), `box:${at("src/large")}/`], "no folder");
      await refused([at("src/small"), at("src/large"), `box:${at("dst/none")}`], "need a folder");
      await refused([at("src"), `box:${at("src/small")}`], "it is a file");
      await refused([at("src/small"), `box:${at("dst")}`], "folder");
      await refused([`box:${at("src/small")}`, at("dst")], "folder");
      await refused([at("src/small"), at("dst")], "both on this machine");
      await refused([at("src/small")], "a source and a destination");
      expect(await readdir(at("dst/small"))).toEqual([]);
    });

    it("an abort leaves the old file and nothing else", async () => {
      await writeFile(at("dst/large"), "old");
      await writeFile(at("src/large"), content(5_000_000));
      for (const paths of [
        [at("src/large"), `box:${at("dst")}`],
        [`box:${at("src/large")}`, at("dst")],
        [at("src"), `box:${at("dst/new")}`],
        [`box:${at("src")}`, at("dst/new")],
      ]) {
        const control = new AbortController();
        setTimeout(() => control.abort(), 150);
        await expect(run(paths, { bwlimit: "200K" }, { signal: control.signal })).rejects.toMatchObject({
          code: "run.cancelled",
        });
      }
      // What runs there is being ended.
      await until(async () => (await readdir(at("dst"))).join() === "large");
      expect(await read("dst/large")).toBe("old");
    });
  });

  describe("with two servers", () => {
    let box: Sshd;
    let hosts: OpenHosts;
    const run = runner(() => hosts);
    beforeAll(async () => {
      box = await startSshd();
      const text = await readFile(box.configFile, "utf8");
      await writeFile(box.configFile, `${text}\n${text.replace("Host box", "Host two")}`);
      hosts = openHosts({ ssh: { configFile: box.configFile, env: {} } });
    });
    afterAll(async () => {
      await hosts?.close();
      await box?.stop();
    });

    it("one file to many", async () => {
      // Both are this machine: the second replaces what the first put.
      const many = await run([at("src/large"), `box,two:${at("dst")}`], { checksum: true });
      expect(many.output.hosts.map(({ host, moves }) => [host, moves?.[0]?.engine])).toEqual([
        ["box", "ranges"],
        ["two", "ranges"],
      ]);
      same("src/large", "dst/large");
    });

    it("from many each into a folder of its name", async () => {
      await run([`box,two:${at("src")}`, at("from")]);
      same("src", "from/box/src");
      same("src", "from/two/src");
    });

    it("goes on where it was cut, and compares", async () => {
      const size = 40 * 254 * 1024 + 17;
      await writeFile(at("big"), content(size));
      for (const [paths, side] of [
        [[at("big"), `box:${at("dst/up")}`], "up"],
        [[`box:${at("big")}`, at("dst/down")], "down"],
      ] as const) {
        const control = new AbortController();
        const { onProgress } = { onProgress: (done: number) => done > size / 2 && control.abort() };
        const cut = testContext({ signal: control.signal });
        cut.events.subscribe((event) => void (event.kind === "progress" && onProgress(event.done)));
        const wish = command.input.parse({ paths: [...paths], resume: true, bwlimit: "20M" });
        const resolve = (word: string) => Promise.resolve([parseTarget(word)]);
        await expect(command.run(wish, { ...cut, hosts, resolve })).rejects.toMatchObject({ code: "run.cancelled" });
        expect(await readdir(at("dst"))).toContain(`.${side}.ami-partial`);
        const rest = await run([...paths], { resume: true });
        expect(rest.moved?.bytes).toBeLessThan(size * 0.7);
        expect(rest.moved?.sha256).toBe(createHash("sha256").update(content(size)).digest("hex"));
        same("big", `dst/${side}`);
      }
    });

    it.each([["perl"], ["python3"]])("with --delta only what differs travels, by %s", async (tool) => {
      const bin = await mkdtemp(join(tmpdir(), "ami-bin-"));
      const program = `ln -s /usr/bin/* "$1"; rm "$1"/perl* "$1"/python*; ln -s "$(readlink -f "$(command -v "$2")")" "$1/$2"`;
      execFileSync("sh", ["-c", program, "sh", bin, tool], { env: { PATH: "/usr/bin:/bin" } });
      const server = await startSshd({ env: { PATH: bin } });
      const own = openHosts({ ssh: { configFile: server.configFile, env: {} } });
      const old = content(6_000_000);
      // Changed in the middle, something put in before, the end cut off.
      const fresh = Buffer.concat([
        old.subarray(0, 1_000_000),
        content(5000, "new"),
        old.subarray(1_000_000, 5_900_001),
      ]);
      fresh.fill(7, 4_000_000, 4_000_100);
      try {
        await writeFile(at("new"), fresh);
        for (const [paths, name] of [
          [[at("new"), `box:${at("dst/up")}`], "up"],
          [[`box:${at("new")}`, at("dst/down")], "down"],
        ] as const) {
          await writeFile(at(`dst/${name}`), old, { mode: 0o600 });
          const { moved } = await runner(() => own)([...paths], { delta: true });
          expect(moved).toMatchObject({ engine: "delta" });
          expect(moved?.bytes).toBeLessThan(120_000);
          same("new", `dst/${name}`);
          // Nothing to compare with: whole.
          const whole = await runner(() => own)([paths[0], `${paths[1]}2`], { delta: true });
          expect(whole.moved).toMatchObject({ engine: "ranges", bytes: fresh.length });
          expect(whole.notes.join()).toContain("no old file");
          await writeFile(at(`dst/${name}2`), "tiny");
          expect((await runner(() => own)([paths[0], `${paths[1]}2`], { delta: true })).moved?.engine).toBe("ranges");
          same("new", `dst/${name}2`);
        }
      } finally {
        await own.close();
        await server.stop();
        await rm(bin, { recursive: true, force: true });
      }
    });

    it("what was kept of another file is of no use", async () => {
      await writeFile(at("big"), content(2_000_000));
      await writeFile(at("dst/.up.ami-partial"), content(2_000_000 + 40, "other"));
      const up = await run([at("big"), `box:${at("dst/up")}`], { resume: true });
      expect(up.moved?.bytes).toBe(2_000_000);
      same("big", "dst/up");
    });

    it("what was kept but spoiled is found out and thrown away", async () => {
      await writeFile(at("big"), content(3_000_000));
      const control = new AbortController();
      const cut = testContext({ signal: control.signal });
      cut.events.subscribe((event) => void (event.kind === "progress" && event.done > 1e6 && control.abort()));
      const wish = command.input.parse({ paths: [at("big"), `box:${at("dst/up")}`], resume: true, bwlimit: "10M" });
      const resolve = (word: string) => Promise.resolve([parseTarget(word)]);
      await expect(command.run(wish, { ...cut, hosts, resolve })).rejects.toThrow();
      const kept = await readFile(at("dst/.up.ami-partial"));
      // A byte in every piece: which of them had arrived before the cut is chance.
      for (let at = 5; at < 3_000_000; at += 64 * 1024) kept[at] = (kept[at] ?? 0) ^ 1;
      await writeFile(at("dst/.up.ami-partial"), kept);
      await expect(run([at("big"), `box:${at("dst/up")}`], { resume: true })).rejects.toThrow("thrown away");
      await run([at("big"), `box:${at("dst/up")}`], { resume: true });
      same("big", "dst/up");
    });

    it("what the tar there cannot read is told, and nothing arrives", async () => {
      const shim = join(box.home, "bin");
      await mkdir(shim, { recursive: true });
      for (const compress of [false, true]) {
        // A folder that goes away while it is read, as far as tar can tell.
        await writeFile(join(shim, "tar"), '#!/bin/sh\n/usr/bin/tar "$@" ./gone\n', { mode: 0o755 });
        const broken = await startSshd({ env: { PATH: `${shim}:/usr/bin:/bin` } });
        const own = openHosts({ ssh: { configFile: broken.configFile, env: {} } });
        try {
          await expect(runner(() => own)([`box:${at("src")}`, at("dst/src")], { compress })).rejects.toMatchObject({
            code: "host.file",
            message: expect.stringMatching(/gone.*no such file/i),
          });
        } finally {
          await own.close();
          await broken.stop();
        }
        expect(await readdir(at("dst"))).toEqual([]);
      }
    });

    it("compressed, by zstd or gzip, the same arrives", async () => {
      await writeFile(at("src/zeros"), Buffer.alloc(3_000_000));
      for (const paths of [
        [at("src"), `box:${at("dst/a")}`],
        [`box:${at("src")}`, at("dst/b")],
        [at("src/zeros"), `box:${at("dst/zeros")}`],
      ]) {
        expect((await run(paths, { compress: true })).moved).toMatchObject({ engine: "tar" });
      }
      same("src", "dst/a");
      same("src", "dst/b");
      same("src/zeros", "dst/zeros");
    });

    it("hard links stay links, sizes around a piece are right, nothing at all is a file too", async () => {
      await link(at("src/small"), at("src/second"));
      await run([at("src"), `box:${at("dst/src")}`]);
      expect((await stat(at("dst/src/second"))).ino).toBe((await stat(at("dst/src/small"))).ino);
      for (const size of [0, 1, 254 * 1024 - 1, 254 * 1024, 254 * 1024 + 1]) {
        await writeFile(at("f"), content(size));
        await run([at("f"), `box:${at("dst/f")}`], { resume: size % 2 === 0 });
        same("f", "dst/f");
        await run([`box:${at("f")}`, at("dst/g")], { resume: size % 2 === 1 });
        same("f", "dst/g");
      }
      await truncate(at("f"), 3);
    });

    it("holes stay holes, there and back", async () => {
      const size = 30_000_000;
      await writeFile(at("holes"), content(300_000));
      await truncate(at("holes"), size);
      const before = (await stat(at("holes"))).blocks;
      expect(before * 512).toBeLessThan(1_000_000);
      const up = await run([at("holes"), `box:${at("dst")}`], { checksum: true });
      expect(up.moved?.bytes).toBeLessThan(1_000_000);
      await run([`box:${at("holes")}`, at("dst/back")], { checksum: true });
      for (const name of ["dst/holes", "dst/back"]) {
        same("holes", name);
        expect((await stat(at(name))).blocks * 512).toBeLessThan(1_000_000);
      }
      // What stood there before is nothing to go on with.
      await writeFile(at("dst/holes"), content(size, "old"));
      await run([at("holes"), `box:${at("dst")}`], { resume: true });
      same("holes", "dst/holes");
    });

    it("a source that is not here troubles no other machine", async () => {
      const text = await readFile(box.configFile, "utf8");
      await writeFile(at("config"), text.replace(/Port \d+/, "Port 1"));
      const nowhere = openHosts({ ssh: { configFile: at("config"), env: {} } });
      try {
        await expect(runner(() => nowhere)([at("none"), `box:${at("dst")}`])).rejects.toMatchObject({
          code: "usage.input",
        });
        await expect(runner(() => nowhere)([at("src"), `box:${at("dst")}`])).rejects.toMatchObject({
          code: "ssh.connect",
        });
      } finally {
        await nowhere.close();
      }
    });

    it("a connection that is cut leaves what was there, and is told", async () => {
      await writeFile(at("dst/large"), "old");
      await writeFile(at("src/large"), content(12_000_000));
      for (const paths of [
        [at("src/large"), `box:${at("dst")}`],
        [at("src"), `box:${at("dst/tree")}`],
        [`box:${at("src")}`, at("dst/here")],
      ]) {
        const cutting = setTimeout(() => {
          void box.connections().then((pids) => pids.forEach((pid) => process.kill(pid, "SIGKILL")));
        }, 400);
        await expect(run(paths, { bwlimit: "300K" })).rejects.toMatchObject({
          code: expect.stringMatching(/^ssh|host/),
        });
        clearTimeout(cutting);
      }
      expect(await read("dst/large")).toBe("old");
      // A killed sftp server cannot tidy up after itself.
      await until(async () => {
        for (const name of await readdir(at("dst")))
          if (/^\.ami-.*partial$/.test(name)) await rm(at(`dst/${name}`), { recursive: true });
        return (await readdir(at("dst"))).join() === "large";
      });
    });
  });
});

async function until(isSo: () => Promise<boolean>): Promise<void> {
  const end = Date.now() + 10_000;
  while (!(await isSo())) {
    if (Date.now() > end) throw new Error("it never came to be so");
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}
