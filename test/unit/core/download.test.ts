import { chmod, mkdir, mkdtemp, readFile, readdir, rm, stat, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PassThrough, Readable } from "node:stream";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { destinations, receive } from "../../../src/core/download.ts";

let dir = "";
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), "ami-download-"));
});
afterEach(() => rm(dir, { recursive: true, force: true }));

const modeOf = async (path: string): Promise<number> => (await stat(path)).mode & 0o777;

describe("where files go", () => {
  const paths = async (local: string, ...hosts: string[]) => [...(await destinations(local, "f", hosts)).values()];

  it("one goes where it is said, or keeps its name in a directory", async () => {
    expect(await paths(join(dir, "g"), "web1")).toEqual([join(dir, "g")]);
    expect(await paths(dir, "web1")).toEqual([join(dir, "f")]);
    await expect(paths(join(dir, "none/"), "web1")).rejects.toMatchObject({ code: "usage.input" });
    await expect(paths("/dev/null", "web1")).rejects.toMatchObject({
      code: "usage.input",
      message: "/dev/null is not a plain file",
    });
  });

  it("those of several hosts go into a directory each", async () => {
    expect(await paths(dir, "web1", "web2")).toEqual([join(dir, "web1/f"), join(dir, "web2/f")]);
    expect(await paths(join(dir, "new"), "web1", "web2")).toEqual([join(dir, "new/web1/f"), join(dir, "new/web2/f")]);
    await writeFile(join(dir, "file"), "");
    await expect(paths(join(dir, "file"), "web1", "web2")).rejects.toMatchObject({
      hint: expect.stringContaining("DIRECTORY/HOST/f"),
    });
  });

  it("a host's name never leads out of the directory", async () => {
    expect(await paths(dir, "ssh://me@web1:22", "..")).toEqual([join(dir, "ssh___me@web1_22/f"), join(dir, "_../f")]);
    await expect(paths(dir, "a:1", "a/1")).rejects.toMatchObject({ code: "usage.input" });
  });
});

describe("how they get there", () => {
  it("whole, with the permissions asked for, and the folders they need", async () => {
    const path = join(dir, "a/b/f");
    const progress: number[] = [];
    expect(
      await receive(Readable.from([Buffer.from("12"), Buffer.from("345")]), path, {
        mode: 0o600,
        onProgress: (bytes) => progress.push(bytes),
      }),
    ).toBe(5);
    expect(await readFile(path, "utf8")).toBe("12345");
    expect(await modeOf(path)).toBe(0o600);
    expect(progress).toEqual([2, 5]);
  });

  it("an existing file keeps its permissions, a link keeps leading there", async () => {
    const path = join(dir, "f");
    await writeFile(path, "old");
    await chmod(path, 0o604);
    await symlink("f", join(dir, "link"));
    await receive(Readable.from([Buffer.from("new")]), join(dir, "link"), { mode: 0o777 });
    expect(await readFile(path, "utf8")).toBe("new");
    expect(await modeOf(path)).toBe(0o604);
    expect((await readdir(dir)).sort()).toEqual(["f", "link"]);
  });

  it("or not at all: the old file stays when the stream breaks, and nothing is left beside it", async () => {
    const path = join(dir, "f");
    await writeFile(path, "old");
    const source = new PassThrough();
    const done = receive(source, path);
    const failed = expect(done).rejects.toMatchObject({
      code: "run.failed",
      message: expect.stringContaining("cut off"),
    });
    source.write("half of the n");
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(await readFile(path, "utf8")).toBe("old");
    source.destroy(new Error("cut off"));
    await failed;
    expect(await readdir(dir)).toEqual(["f"]);
    expect(await readFile(path, "utf8")).toBe("old");
  });

  it("nor when it is interrupted", async () => {
    const control = new AbortController();
    const source = new PassThrough();
    const done = receive(source, join(dir, "f"), { signal: control.signal });
    const failed = expect(done).rejects.toThrow(/abort/i);
    source.write("half");
    control.abort();
    await failed;
    expect(await readdir(dir)).toEqual([]);
    expect(source.destroyed).toBe(true);
  });

  it("is readable to nobody else until it is there", async () => {
    const source = new PassThrough();
    const done = receive(source, join(dir, "f"), { mode: 0o644 });
    source.write("secret");
    let names: string[] = [];
    while (names.length === 0) names = await readdir(dir);
    expect(await modeOf(join(dir, names[0] ?? ""))).toBe(0o600);
    source.end();
    await done;
  });

  it("never over a directory", async () => {
    await mkdir(join(dir, "d"));
    await expect(receive(Readable.from([]), join(dir, "d"))).rejects.toMatchObject({ code: "run.failed" });
  });
});
