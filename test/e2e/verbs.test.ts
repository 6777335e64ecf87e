/** The verbs on files as a user types them: ls, cat, mkdir, mv, chmod, rm, sync, and edit in a real editor. */
import { mkdir, readFile, readdir, rm, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { Readable } from "node:stream";
import { buffer } from "node:stream/consumers";
import { afterAll, afterEach, beforeAll, beforeEach, expect, it, vi } from "vitest";
import { needs } from "../servers/engines.ts";
import { type Sshd, startSshd } from "../servers/sshd.ts";
import { type Home, type Ran, ami, exitOf, inventHome, program, start } from "./run.ts";
import { openTerminal } from "./terminal.ts";

needs("sshd")("everyday verbs", () => {
  let box: Sshd;
  let home: Home;
  beforeAll(async () => {
    box = await startSshd();
  });
  afterAll(() => box?.stop());
  beforeEach(async () => {
    home = await inventHome();
  });
  afterEach(() => home.remove());
  const run = (verb: string, ...words: readonly string[]): Promise<Ran> =>
    ami(home, ["ssh", verb, "--ssh-config", box.configFile, ...words]);

  it("a folder is made, filled, looked at, moved, and deleted", async () => {
    const at = (path: string): string => `box:${home.dir}/${path}`;
    expect(await run("mkdir", "-p", at("a/b"))).toMatchObject({ code: 0, stdout: "" });
    await writeFile(join(home.dir, "a/b/x\x1b[1m"), Buffer.from([0, 255, 10]));
    expect((await run("cat", at("a/b/x*"))).bytes).toEqual(Buffer.from([0, 255, 10]));
    expect(await run("ls", at("a/b"))).toMatchObject({ code: 0, stdout: "x\\x1b[1m\n" });
    const json = await run("ls", at("a"), "--json");
    expect(JSON.parse(json.stdout)).toMatchObject({ hosts: [{ host: "box", lists: [{ entries: [{ name: "b" }] }] }] });
    expect(await run("mv", at("a/b/x*"), at("a/y"))).toMatchObject({ code: 0 });
    expect(await run("chmod", "u=rw,go=", at("a/y"))).toMatchObject({ code: 0 });
    expect((await stat(join(home.dir, "a/y"))).mode & 0o777).toBe(0o600);
    expect(await run("rm", at("a/y"))).toMatchObject({ code: 1, stderr: expect.stringContaining("delete") });
    expect(await run("rm", at("a"), "--yes")).toMatchObject({
      code: 1,
      stderr: expect.stringContaining("--recursive"),
    });
    expect(await run("rm", "-rf", at("a"))).toMatchObject({ code: 0 });
    expect(await readdir(home.dir)).not.toContain("a");
    expect(await run("ls", "box")).toMatchObject({ code: 64, stderr: expect.stringContaining("as in box:") });
    expect(await run("cat", at("none"))).toMatchObject({ code: 1, stderr: expect.stringContaining("nothing of that") });
  });

  it("sync follows what changes here, until Ctrl-C, and says so in JSON", async () => {
    await mkdir(join(home.dir, "here/sub"), { recursive: true });
    await writeFile(join(home.dir, "here/sub/one"), "1");
    const words = ["ssh", "sync", "here", `box:${home.dir}/there`, "--ssh-config", box.configFile];
    const child = start(home, [...words, "--json", "--delete", "--yes"]);
    const said = buffer(child.stdout ?? Readable.from([]));
    try {
      const there = (name: string) => readFile(join(home.dir, "there", name), "utf8").catch(() => undefined);
      await vi.waitFor(async () => expect(await there("sub/one")).toBe("1"), 20_000);
      await writeFile(join(home.dir, "here/sub/two"), "2");
      await rm(join(home.dir, "here/sub/one"));
      await vi.waitFor(
        async () => expect([await there("sub/one"), await there("sub/two")]).toEqual([undefined, "2"]),
        20_000,
      );
    } finally {
      child.kill("SIGINT");
    }
    expect(await exitOf(child)).toBe(130);
    const events = (await said)
      .toString()
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line) as Record<string, unknown>);
    expect(events.filter(({ kind }) => kind === "sync")[0]).toMatchObject({ host: "box", changed: ["sub", "sub/one"] });
    expect(events.at(-1)).toMatchObject({ kind: "result", exit: 130, output: { hosts: [{ host: "box" }] } });
    expect(await run("sync", "here", "box:x", "--once", "--delete")).toMatchObject({
      code: 1,
      stderr: expect.stringContaining("delete there"),
    });
  });

  needs("tmux", "vim")("in a terminal", () => {
    it("edit opens the editor, and what it saves is there", async () => {
      await writeFile(join(home.dir, "notes.txt"), "first line\n");
      const words = ["ssh", "edit", `box:${home.dir}/notes.txt`, "--ssh-config", box.configFile];
      const terminal = await openTerminal(home, ["env", "EDITOR=vi -u NONE", ...program, ...words]);
      try {
        await terminal.sees(/first line/);
        await terminal.type("osecond line");
        await terminal.press("Escape");
        await terminal.type(":wq");
        await terminal.press("Enter");
        await terminal.sees(/exit: 0/);
        expect(await readFile(join(home.dir, "notes.txt"), "utf8")).toBe("first line\nsecond line\n");
      } finally {
        await terminal.close();
      }
    });
  });
});
