/** ssh transfer as a user runs it: there, back, again, explained, and refused. */
import { execFileSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { mkdir, readFile, readdir, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from "vitest";
import { needs } from "../servers/engines.ts";
import { type Sshd, startSshd } from "../servers/sshd.ts";
import { type Home, type Ran, ami, inventHome } from "./run.ts";

needs("sshd")("ssh transfer", () => {
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
  const transfer = (...words: readonly string[]): Promise<Ran> =>
    ami(home, ["ssh", "transfer", "--ssh-config", box.configFile, ...words]);

  it("carries a file and a folder there and back, and says so in JSON", async () => {
    const big = randomBytes(5_000_000);
    await mkdir(join(home.dir, "tree/sub"), { recursive: true });
    await writeFile(join(home.dir, "tree/sub/a b"), "text");
    await symlink("sub/a b", join(home.dir, "tree/link"));
    await writeFile(join(home.dir, "big"), big);
    expect(await transfer("big", "box:big", "--checksum")).toMatchObject({ code: 0 });
    expect(await transfer("tree", "box:", "--compress")).toMatchObject({ code: 0 });
    await mkdir(join(home.dir, "back"));
    const json = await transfer("box:big", "box:tree", "back", "--json", "--explain");
    expect(json.code).toBe(0);
    const last = JSON.parse(json.stdout.trim().split("\n").at(-1) ?? "") as Record<string, unknown>;
    expect(last).toMatchObject({
      kind: "result",
      output: { hosts: [{ host: "box", moves: [{ engine: "tar", files: 2, names: ["big", "tree"] }] }] },
    });
    expect((await readFile(join(home.dir, "back/big"))).equals(big)).toBe(true);
    execFileSync("diff", ["-r", "--no-dereference", join(home.dir, "tree"), join(home.dir, "back/tree")]);
    expect((await readdir(home.dir)).filter((name) => name.startsWith(".ami"))).toEqual([]);
  });

  it("says what goes where without doing it, and asks before it deletes", async () => {
    await writeFile(join(home.dir, "one"), "1");
    const dry = await transfer("one", "box:elsewhere", "--dry-run", "--explain");
    expect(dry).toMatchObject({ code: 0, stderr: expect.stringMatching(/ranges, one file(.|\n)*nothing was changed/) });
    await mkdir(join(home.dir, "tree"));
    expect(await transfer("tree", "box:", "--delete")).toMatchObject({
      code: 1,
      stderr: expect.stringContaining("delete in the destination"),
    });
  });

  it("refuses words that make no sense", async () => {
    expect(await transfer("only")).toMatchObject({ code: 64, stderr: expect.stringContaining("a source and a") });
    expect(await transfer("a", "b")).toMatchObject({ code: 64, stderr: expect.stringContaining("both on this") });
    expect(await transfer("none", "box:")).toMatchObject({ code: 64, stderr: expect.stringContaining("no such file") });
    expect(await transfer("box:none", ".")).toMatchObject({ code: 1, stderr: expect.stringContaining("box") });
    expect(await transfer("a", "box:", "--target", "x")).toMatchObject({
      code: 64,
      stderr: expect.stringContaining("targets in its words"),
    });
    expect(await transfer("a", "box:", "--bwlimit", "fast")).toMatchObject({ code: 64 });
  });
});
