/** ssh edit with scripted editors, on real servers: with sftp, without it, and as another user. */
import { chmod, chown, mkdir, mkdtemp, readFile, readdir, rm, stat, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from "vitest";
import { command } from "../../src/commands/ssh/edit.ts";
import type { Become } from "../../src/core/command.ts";
import { asAmiError } from "../../src/core/errors.ts";
import { type OpenHosts, openHosts } from "../../src/core/hosts/open.ts";
import { parseTarget } from "../../src/core/targets.ts";
import { needs } from "../servers/engines.ts";
import { type Sshd, startSshd } from "../servers/sshd.ts";
import { type TestContext, testContext } from "../unit/commands/context.ts";

let dir = "";
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), "ami-editing-"));
  vi.stubEnv("TMPDIR", join(dir, "tmp"));
  await mkdir(join(dir, "tmp"));
});
afterEach(async () => {
  vi.unstubAllEnvs();
  await rm(dir, { recursive: true, force: true });
});
const at = (name: string): string => join(dir, name);

needs("sshd")("ssh edit", () => {
  describe.each([
    ["with sftp", [], undefined],
    ["without sftp", ["Subsystem sftp /no/such/program"], undefined],
    ["become another user", [], { user: "root", method: "su" }],
    ["on a server that speaks nothing but sftp", ["ForceCommand internal-sftp"], undefined],
  ] as [string, string[], Become | undefined][])("%s", (_title, config, become) => {
    let server: Sshd;
    let hosts: OpenHosts;
    beforeAll(async () => {
      server = await startSshd({ config });
      hosts = openHosts({ ssh: { configFile: server.configFile, env: {} }, become });
    });
    afterAll(async () => {
      await hosts?.close();
      await server?.stop();
    });

    /** `editor` is a line of shell in which "$1" is the file. */
    const run = async (name: string, editor: string) => {
      await writeFile(at("editor"), `#!/bin/sh\n${editor}\n`, { mode: 0o700 });
      vi.stubEnv("VISUAL", "");
      vi.stubEnv("EDITOR", `${at("editor")} "an argument of its"`);
      const { stdin, stdout, stderr } = process;
      const ctx: TestContext = { ...testContext({ stdio: { stdin, stdout, stderr } }), hosts };
      const resolve = (word: string) => Promise.resolve(word.split(",").map(parseTarget));
      const result = await command.run({ path: `box:${at(name)}` }, { ...ctx, resolve });
      expect(await readdir(at("tmp"))).toEqual([]);
      return result.output;
    };

    it("what is saved goes back, with the mode and owner it had", async () => {
      await writeFile(at("app.conf"), "old\n");
      await chmod(at("app.conf"), 0o640);
      const isRoot = process.getuid?.() === 0;
      if (isRoot) await chown(at("app.conf"), 12_345, 54_321);
      const look = `echo "$1|$2|$(stat -c %a "$2")|$(stat -c %a "$(dirname "$2")")" > ${at("seen")}`;
      const output = await run("app.conf", `${look}; echo new >> "$2"`);
      expect(output).toEqual({ host: "box", path: at("app.conf"), written: true, bytes: 8 });
      expect(await readFile(at("app.conf"), "utf8")).toBe("old\nnew\n");
      const { mode, uid, gid } = await stat(at("app.conf"));
      expect(mode & 0o7777).toBe(0o640);
      if (isRoot) expect([uid, gid]).toEqual([12_345, 54_321]);
      const [argument, file, own, folder] = (await readFile(at("seen"), "utf8")).trim().split("|");
      expect([argument, file?.endsWith("/app.conf"), own, folder]).toEqual(["an argument of its", true, "600", "700"]);
    });

    it("a link is followed, and stays one", async () => {
      await mkdir(at("real"));
      await writeFile(at("real/file"), "1");
      await symlink("real/file", at("one"));
      await symlink("one", at("two"));
      expect(await run("two", 'printf 2 > "$2"')).toMatchObject({ path: at("real/file"), written: true });
      expect([await readFile(at("real/file"), "utf8"), await readFile(at("two"), "utf8")]).toEqual(["2", "2"]);
      expect((await stat(at("real/file"))).isFile()).toBe(true);
    });

    it("a file that is not there is made, unless nothing was written into it", async () => {
      expect(await run("fresh.txt", "true")).toMatchObject({ written: false });
      await expect(stat(at("fresh.txt"))).rejects.toThrow("ENOENT");
      expect(await run("fresh.txt", 'echo hello > "$2"')).toMatchObject({ written: true, bytes: 6 });
      expect(await readFile(at("fresh.txt"), "utf8")).toBe("hello\n");
      await expect(run("no/where", "true")).rejects.toMatchObject({ code: "host.file" });
    });

    it("nothing is written when nothing changed, or the editor fails or is missing", async () => {
      await writeFile(at("file"), "same");
      await chmod(at("file"), 0o400);
      const before = await stat(at("file"));
      expect(await run("file", 'touch "$2"')).toMatchObject({ written: false });
      await expect(run("file", "exit 3")).rejects.toMatchObject({ code: "run.refused" });
      await expect(run("file", "exec /no/such/editor")).rejects.toMatchObject({ code: "tool.missing" });
      await expect(run("file", 'rm "$2"')).rejects.toMatchObject({ code: "run.refused" });
      const after = await stat(at("file"));
      expect([after.ino, after.mtimeMs]).toEqual([before.ino, before.mtimeMs]);
      expect(await readdir(at("tmp"))).toEqual([]);
    });

    it("text that was saved outlives an editor that is killed", async () => {
      await writeFile(at("file"), "old");
      const failure = await run("file", `echo mine > "$2"; kill -9 $$`).catch(asAmiError);
      if (!("hint" in failure)) throw new Error("it was written");
      expect(failure).toMatchObject({ code: "run.refused" });
      const kept = /your text is in (\S+);/.exec(failure.hint ?? "")?.[1] ?? "";
      expect([await readFile(kept, "utf8"), await readFile(at("file"), "utf8")]).toEqual(["mine\n", "old"]);
    });

    it.each([
      ["changed", (file: string) => `echo other > ${file}`],
      ["deleted", (file: string) => `rm ${file}`],
    ])("refuses when the file was %s meanwhile, and keeps the text", async (what, meanwhile) => {
      await writeFile(at("file"), "old");
      const failure = await run("file", `${meanwhile(at("file"))}; echo mine > "$2"`).catch(asAmiError);
      if (!("hint" in failure)) throw new Error("it was written");
      expect(failure).toMatchObject({
        code: "host.file",
        message: expect.stringContaining(`${what} by somebody else`),
      });
      const kept = /your text is in (\S+);/.exec(failure.hint ?? "")?.[1] ?? "";
      expect(await readFile(kept, "utf8")).toBe("mine\n");
      expect((await stat(dirname(kept))).mode & 0o777).toBe(0o700);
      const there = await readFile(at("file"), "utf8").catch(() => undefined);
      expect(there).toBe(what === "changed" ? "other\n" : undefined);
    });

    it("refuses folders and devices", async () => {
      for (const name of ["tmp", "../../dev/null"])
        await expect(run(name, "true")).rejects.toMatchObject({ code: "host.file" });
    });
  });
});
