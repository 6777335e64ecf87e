/** ls, cat, rm, mkdir, mv and chmod on real servers: with sftp, without it, as another user, and with nothing else. */
import { randomBytes } from "node:crypto";
import { chmod, mkdir, mkdtemp, readFile, readdir, rm, stat, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import type { z } from "zod";
import { command as catCommand } from "../../src/commands/ssh/cat.ts";
import { command as chmodCommand } from "../../src/commands/ssh/chmod.ts";
import { command as lsCommand } from "../../src/commands/ssh/ls.ts";
import { command as mkdirCommand } from "../../src/commands/ssh/mkdir.ts";
import { command as mvCommand } from "../../src/commands/ssh/mv.ts";
import { command as rmCommand } from "../../src/commands/ssh/rm.ts";
import type { Become, Context } from "../../src/core/command.ts";
import { type OpenHosts, openHosts } from "../../src/core/hosts/open.ts";
import { openVerbs } from "../../src/core/ssh/verbs/open.ts";
import type { Verbs } from "../../src/core/ssh/verbs/verbs.ts";
import { parseTarget } from "../../src/core/targets.ts";
import { verbsExam } from "../contract/verbs.ts";
import { needs } from "../servers/engines.ts";
import { type Sshd, startSshd } from "../servers/sshd.ts";
import { type TestContext, testContext } from "../unit/commands/context.ts";

let dir = "";
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), "ami-verbs-"));
});
afterEach(() => rm(dir, { recursive: true, force: true }));
const at = (name: string): string => join(dir, name);

const root: Become = { user: "root", method: "su" };

needs("sshd")("everyday verbs", () => {
  it("lists what has an owner with a space, and what is left when something vanishes meanwhile", async () => {
    await mkdir(at("bin"));
    await mkdir(at("tree"));
    for (const name of ["tree/stays", "tree/vanishes"]) await writeFile(at(name), "");
    const stat_ = `#!/bin/sh
l=; [ "$1" = -L ] && { l=-L; shift; }
f=$(printf %s "$2" | sed "s/%G/domain users/"); shift 2; rm -f ./vanishes; exec /usr/bin/stat $l -c "$f" "$@"\n`;
    await writeFile(at("bin/stat"), stat_, { mode: 0o755 });
    const config = ["Subsystem sftp /no/such/program"];
    const other = await startSshd({ config, env: { PATH: `${at("bin")}:/usr/bin:/bin` } });
    const own = openHosts({ ssh: { configFile: other.configFile, env: {} } });
    try {
      const verbs = await openVerbs(await own.open(parseTarget("box")), new AbortController().signal);
      expect(await verbs.list(at("tree"))).toMatchObject([{ name: "stays", group: "domain users" }]);
      expect(await verbs.look(at("tree"))).toMatchObject({ type: "folder", group: "domain users" });
    } finally {
      await own.close();
      await other.stop();
    }
  });

  it("rm refuses the home folder and what it is in, by whatever name", async () => {
    await mkdir(at("homes/me"), { recursive: true });
    const other = await startSshd({ config: ["Subsystem sftp /no/such/program"], env: { HOME: at("homes/me") } });
    const own = openHosts({ ssh: { configFile: other.configFile, env: {} } });
    try {
      const ctx: Context = { ...testContext(), hosts: own, resolve: async (word) => [parseTarget(word)] };
      for (const name of ["homes/m?", "homes/../homes/me", "homes", "h*"]) {
        const wish = rmCommand.input.parse({ paths: [`box:${at(name)}`], recursive: true, force: true });
        await expect(rmCommand.run(wish, ctx), name).rejects.toMatchObject({ code: "usage.input" });
      }
      expect(await readdir(at("homes"))).toEqual(["me"]);
    } finally {
      await own.close();
      await other.stop();
    }
  });

  describe.each([
    ["with sftp", [], undefined],
    ["without sftp", ["Subsystem sftp /no/such/program"], undefined],
    ["become another user", [], root],
    ["on a server that speaks nothing but sftp", ["ForceCommand internal-sftp"], undefined],
  ] as [string, string[], Become | undefined][])("%s", (title, config, become) => {
    let server: Sshd;
    let hosts: OpenHosts;
    let verbs: Verbs | undefined;
    const isOnlySftp = title.includes("nothing but");
    beforeAll(async () => {
      server = await startSshd({ config });
      hosts = openHosts({ ssh: { configFile: server.configFile, env: {} }, become });
    });
    afterAll(async () => {
      verbs?.end();
      await hosts?.close();
      await server?.stop();
    });

    const contextOf = (asked: string[]): Context & TestContext => ({
      ...testContext(),
      hosts,
      resolve: (word) => Promise.resolve(word.split(",").map(parseTarget)),
      confirm: async (question) => void asked.push(question),
    });
    /** Runs a command with its words and flags. */
    const run = async <I extends z.ZodObject, R>(
      command: { readonly input: I; run(input: z.output<I>, ctx: Context): Promise<R> },
      input: z.input<I>,
    ) => {
      const asked: string[] = [];
      const ctx = contextOf(asked);
      return { ...(await command.run(command.input.parse(input), ctx)), asked, ctx };
    };
    const box = (...names: string[]): string[] => names.map((name) => `box:${at(name)}`);

    if (!isOnlySftp) {
      verbsExam(async () => {
        verbs ??= await openVerbs(await hosts.open(parseTarget("box")), new AbortController().signal);
        return { verbs, dir };
      });
    }

    it("ls: folders, patterns, hidden things and what is in them", async () => {
      await mkdir(at("sub/deep"), { recursive: true });
      await writeFile(at("b"), "12345");
      await writeFile(at("a\x1b[31m\n"), "1");
      await writeFile(at(".hidden"), "");
      await writeFile(at("sub/deep/z"), "");
      await symlink("sub", at("way"));
      const names = (result: { output: z.output<typeof lsCommand.output> }): (string | string[])[][] =>
        (result.output.hosts[0]?.lists ?? []).map((list) => [
          list.folder?.slice(dir.length) ?? "named",
          list.entries.map(({ name }) => name),
        ]);
      const plain = await run(lsCommand, { paths: [`box:${dir}`] });
      expect(names(plain)).toEqual([["", ["a\x1b[31m\n", "b", "sub", "way"]]]);
      expect(lsCommand.text?.(plain.output, { columns: 80 })).toBe("a\\x1b[31m\\n\nb\nsub\nway");
      expect(names(await run(lsCommand, { paths: [`box:${dir}/`], all: true, sort: "size" }))[0]?.[1]).toContain(
        ".hidden",
      );
      expect(names(await run(lsCommand, { paths: [`box:${dir}`], recursive: true })).slice(1)).toEqual([
        ["/sub", ["deep"]],
        ["/sub/deep", ["z"]],
      ]);
      expect(names(await run(lsCommand, { paths: box("way", "b") }))).toEqual([
        ["named", ["b"]],
        ["/way", ["deep"]],
      ]);
      expect(names(await run(lsCommand, { paths: box("way"), directory: true }))).toEqual([["named", ["way"]]]);
      expect(names(await run(lsCommand, { paths: box("s*", "?") }))).toEqual([
        ["named", ["b"]],
        ["/sub", ["deep"]],
      ]);
      const long = await run(lsCommand, { paths: [`box:${dir}`], long: true, bytes: true });
      expect(lsCommand.text?.(long.output, { columns: 80 })).toMatch(
        /^-rw-r--r-- {2}\S+ +\S+ +5 {2}[-\d]+ [:\d]+ {2}b$/m,
      );
      expect(lsCommand.text?.(long.output, { columns: 80 })).toMatch(/way -> sub$/m);
      await expect(run(lsCommand, { paths: box("none") })).rejects.toMatchObject({ code: "host.file", host: "box" });
    });

    it("cat: byte for byte, several, and a folder refused before anything is printed", async () => {
      const bytes = randomBytes(700_000);
      await writeFile(at("x"), bytes);
      await writeFile(at("y"), "end\n");
      const { ctx, output } = await run(catCommand, { paths: box("x", "y") });
      expect(ctx.said().equals(Buffer.concat([bytes, Buffer.from("end\n")]))).toBe(true);
      expect(output.hosts[0]).toMatchObject({ files: [{ bytes: 700_000 }, { bytes: 4 }] });
      await mkdir(at("folder"));
      await expect(run(catCommand, { paths: box("y", "folder") })).rejects.toMatchObject({ code: "host.file" });
      await expect(run(catCommand, { paths: box("y", "none") })).rejects.toMatchObject({ code: "host.file" });
    });

    it("rm: asks, never follows a link, and refuses what nobody means", async () => {
      await mkdir(at("tree/sub"), { recursive: true });
      await mkdir(at("kept"));
      await writeFile(at("kept/file"), "");
      await symlink(at("kept"), at("tree/sub/link"));
      await symlink(at("kept"), at("link"));
      for (let i = 0; i < 50; i++) await writeFile(at(`tree/sub/f${i}`), "");
      const folder = { code: "host.file", message: expect.stringContaining("it is a folder") };
      await expect(run(rmCommand, { paths: box("link", "tree") })).rejects.toMatchObject(folder);
      await expect(run(rmCommand, { paths: box("link", "none") })).rejects.toMatchObject({ code: "host.file" });
      expect((await readdir(dir)).toSorted()).toEqual(["kept", "link", "tree"]);
      const { asked, output } = await run(rmCommand, { paths: box("link/", "tree"), recursive: true });
      expect([asked.length, asked[0]]).toEqual([1, expect.stringContaining("delete")]);
      expect(output.hosts[0]).toMatchObject({ deleted: [at("link"), at("tree")] });
      expect([await readdir(dir), await readdir(at("kept"))]).toEqual([["kept"], ["file"]]);
      expect((await run(rmCommand, { paths: box("none"), force: true })).asked).toEqual([]);
      for (const path of ["/", "//", "", ".", "~", "/tmp/..", `${dir}/.`, "/*/../.."]) {
        const wish = { paths: [`box:${path}`], recursive: true, force: true };
        await expect(run(rmCommand, wish), path).rejects.toMatchObject({ code: "usage.input" });
      }
    });

    it("mkdir: one, or all above it, with a mode", async () => {
      await run(mkdirCommand, { paths: box("one") });
      await expect(run(mkdirCommand, { paths: box("one") })).rejects.toMatchObject({ code: "host.file" });
      const { output } = await run(mkdirCommand, { paths: box("a/b/c"), parents: true, mode: "0700" });
      expect(output.hosts[0]).toMatchObject({ made: [at("a"), at("a/b"), at("a/b/c")] });
      expect((await stat(at("a/b/c"))).mode & 0o777).toBe(0o700);
      expect((await run(mkdirCommand, { paths: box("a/b/c"), parents: true })).output.hosts[0]).toMatchObject({
        made: [],
      });
      await writeFile(at("file"), "");
      await expect(run(mkdirCommand, { paths: box("file/x"), parents: true })).rejects.toMatchObject({
        code: "host.file",
      });
    });

    it("mv: renames, moves into folders, asks before it replaces", async () => {
      await writeFile(at("a"), "a");
      await writeFile(at("b"), "b");
      await mkdir(at("folder"));
      const first = await run(mvCommand, { paths: box("a", "c") });
      expect([first.asked, await readFile(at("c"), "utf8")]).toEqual([[], "a"]);
      await expect(run(mvCommand, { paths: box("c", "b"), noClobber: true })).rejects.toMatchObject({
        code: "host.file",
      });
      expect(await readFile(at("b"), "utf8")).toBe("b");
      const second = await run(mvCommand, { paths: box("c", "b") });
      expect([second.asked, await readFile(at("b"), "utf8")]).toEqual([[`replace box:${at("b")}?`], "a"]);
      await run(mvCommand, { paths: box("b", "folder") });
      expect(await readdir(at("folder"))).toEqual(["b"]);
      await expect(run(mvCommand, { paths: box("folder", "folder/in") })).rejects.toMatchObject({ code: "host.file" });
      await expect(run(mvCommand, { paths: [...box("folder"), "other:/x"] })).rejects.toMatchObject({
        code: "usage.input",
      });
      await expect(run(mvCommand, { paths: [...box("folder"), "./x"] })).rejects.toMatchObject({ code: "usage.input" });
      await expect(run(mvCommand, { paths: box("folder", "no/where") })).rejects.toMatchObject({ code: "host.file" });
    });

    it("chmod: digits and letters, for one thing or all below", async () => {
      await mkdir(at("tree/sub"), { recursive: true });
      for (const name of ["tree/x", "tree/sub/y"]) await writeFile(at(name), "", { mode: 0o600 });
      await writeFile(at("outside"), "", { mode: 0o600 });
      await symlink(at("outside"), at("tree/link"));
      await chmod(at("tree/sub"), 0o700);
      await run(chmodCommand, { mode: "0640", paths: box("tree/x") });
      await run(chmodCommand, { mode: "u+x,g-r", paths: box("tree/x") });
      const bits = async (name: string): Promise<string> => ((await stat(at(name))).mode & 0o7777).toString(8);
      expect(await bits("tree/x")).toBe("700");
      await run(chmodCommand, { mode: "+rX", paths: box("tree"), recursive: true });
      const names = ["tree/x", "tree/sub", "tree/sub/y", "outside"];
      expect(await Promise.all(names.map(bits))).toEqual(["755", "755", "644", "600"]);
      expect((await run(chmodCommand, { mode: "755", paths: box("tree/x") })).output.hosts[0]).toMatchObject({
        changed: [],
      });
    });
  });
});
