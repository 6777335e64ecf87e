import { randomBytes } from "node:crypto";
import { chmod, mkdir, mkdtemp, readFile, readdir, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { command as get } from "../../../../src/commands/ssh/get.ts";
import { command as put } from "../../../../src/commands/ssh/put.ts";
import { AmiError } from "../../../../src/core/errors.ts";
import { type TestWish, testContext } from "../context.ts";

let dir = "";
const bytes = randomBytes(700_000);
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), "ami-files-"));
  await mkdir(join(dir, "there"));
  await writeFile(join(dir, "f"), bytes);
  await chmod(join(dir, "f"), 0o750);
});
afterEach(() => rm(dir, { recursive: true, force: true }));

const here = (name: string): string => join(dir, name);
const modeOf = async (name: string): Promise<number> => (await stat(here(name))).mode & 0o777;

async function run(command: typeof put | typeof get, input: Record<string, string>, wish: TestWish = {}) {
  const ctx = testContext(wish);
  const result =
    command === put ? await put.run(put.input.parse(input), ctx) : await get.run(get.input.parse(input), ctx);
  return { ...result, ctx };
}

describe("put", () => {
  it("copies byte for byte, keeps the name in a directory and the permissions of a new file", async () => {
    const { output, ctx } = await run(put, { local: here("f"), remote: here("there") });
    expect((await readFile(here("there/f"))).equals(bytes)).toBe(true);
    expect(await modeOf("there/f")).toBe(0o750);
    expect(output.hosts).toMatchObject([{ host: "local", path: here("there/f"), bytes: bytes.length }]);
    expect(ctx.of("progress").at(-1)).toMatchObject({ done: bytes.length, total: bytes.length, unit: "bytes" });
    expect(ctx.of("note")[0]?.text).toMatch(/f -> .*there\/f \(684 KiB in /);
  });

  it("leaves the permissions of an existing file, unless others are asked for", async () => {
    await writeFile(here("there/f"), "old");
    await chmod(here("there/f"), 0o604);
    await run(put, { local: here("f"), remote: here("there/f") });
    expect(await modeOf("there/f")).toBe(0o604);
    await run(put, { local: here("f"), remote: here("there/f"), mode: "0640" });
    expect(await modeOf("there/f")).toBe(0o640);
    expect(await readdir(here("there"))).toEqual(["f"]);
  });

  it("refuses what is no file, on either side", async () => {
    await expect(run(put, { local: here("none"), remote: here("x") })).rejects.toMatchObject({ code: "usage.input" });
    await expect(run(put, { local: here("there"), remote: here("x") })).rejects.toMatchObject({
      code: "usage.input",
      hint: expect.stringContaining("tar"),
    });
    await expect(run(put, { local: here("f"), remote: "/dev/null" })).rejects.toMatchObject({ code: "host.file" });
    await expect(run(put, { local: here("f"), remote: here("no/x") })).rejects.toMatchObject({ code: "host.file" });
    await mkdir(here("there/f"));
    await expect(run(put, { local: here("f"), remote: here("there") })).rejects.toMatchObject({
      code: "host.file",
      message: expect.stringContaining("directory of that name"),
    });
    for (const wrong of [{ mode: "rw" }, { mode: "0999" }, { owner: "a:b:c" }, { owner: "" }]) {
      expect(put.input.safeParse({ local: "f", ...wrong }).success).toBe(false);
    }
  });

  it("to several hosts goes on when one fails", async () => {
    const open: TestWish["open"] = (target, host) => {
      if (target.name === "b") throw new AmiError("ssh.connect", "refused");
      return host;
    };
    const { output, exit } = await run(
      put,
      { local: here("f"), remote: here("there") },
      { targets: ["a", "b", "c"], options: { parallel: 1 }, open },
    );
    expect(exit).toBe(3);
    expect(output.hosts).toMatchObject([
      { bytes: bytes.length },
      { error: { code: "ssh.connect" } },
      { bytes: bytes.length },
    ]);
  });
});

describe("get", () => {
  it("copies byte for byte, with the permissions of the other side", async () => {
    const { output, ctx } = await run(get, { remote: here("f"), local: here("there") });
    expect((await readFile(here("there/f"))).equals(bytes)).toBe(true);
    expect(await modeOf("there/f")).toBe(0o750 & ~process.umask());
    expect(output.hosts).toEqual([
      { host: "local", ms: expect.any(Number), path: here("there/f"), bytes: bytes.length },
    ]);
    expect(ctx.of("progress").at(-1)).toMatchObject({ done: bytes.length, total: bytes.length });
  });

  it("from several hosts gives each a directory", async () => {
    const { output } = await run(get, { remote: here("f"), local: here("there") }, { targets: ["a", "b"] });
    expect(output.hosts.map((host) => host.path)).toEqual([here("there/a/f"), here("there/b/f")]);
    expect((await readFile(here("there/b/f"))).equals(bytes)).toBe(true);
  });

  it("refuses what is no file, and leaves what is here", async () => {
    await writeFile(here("mine"), "mine");
    for (const remote of [here("none"), here("there"), "/dev/null"]) {
      await expect(run(get, { remote, local: here("mine") })).rejects.toMatchObject({ code: "host.file" });
    }
    await expect(run(get, { remote: "logs/", local: here("mine") })).rejects.toMatchObject({ code: "usage.input" });
    await expect(run(get, { remote: "~/..", local: here("mine") })).rejects.toMatchObject({ code: "usage.input" });
    expect(await readFile(here("mine"), "utf8")).toBe("mine");
  });
});
