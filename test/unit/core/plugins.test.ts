import { chmod, mkdir, mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { findPlugin, listPlugins } from "../../../src/core/plugins.ts";
import type { Place } from "../../../src/core/plugins.ts";
import { needs } from "../../servers/engines.ts";

let dir: string;
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), "ami-plugins-"));
});
afterEach(() => rm(dir, { recursive: true, force: true }));

async function program(path: string, mode = 0o755): Promise<string> {
  await mkdir(join(dir, path, ".."), { recursive: true });
  await writeFile(join(dir, path), "#!/bin/sh\n");
  await chmod(join(dir, path), mode);
  return join(dir, path);
}

function place(...folders: readonly string[]): Place {
  return { path: folders.map((folder) => join(dir, folder)).join(delimiter), platform: "linux" };
}

needs("posix")("plugins", () => {
  it("are executables named ami-node-NAME, in the order of PATH", async () => {
    const b = await program("one/ami-node-b");
    const a = await program("one/ami-node-a");
    const c = await program("two/ami-node-c-d");
    await program("one/ami-node-");
    await program("one/ami-node--x");
    await program("one/ami-node-__complete");
    await program("one/other");
    await program("one/ami-node-notes", 0o644);
    await mkdir(join(dir, "one/ami-node-folder"));
    await symlink(b, join(dir, "two/ami-node-link"));
    await symlink(join(dir, "gone"), join(dir, "two/ami-node-dangling"));
    expect(listPlugins(new Set(), place("one", "missing", "two", "one"))).toEqual([
      { name: "a", path: a },
      { name: "b", path: b },
      { name: "c-d", path: c },
      { name: "link", path: join(dir, "two/ami-node-link") },
    ]);
  });

  it("never replace a built-in command, nor one another; the list says so", async () => {
    const first = await program("one/ami-node-x");
    const second = await program("two/ami-node-x");
    const ssh = await program("two/ami-node-ssh");
    expect(listPlugins(new Set(["ssh"]), place("one", "two"))).toEqual([
      { name: "x", path: first },
      { name: "ssh", path: ssh, hiddenBy: "the built-in command ssh" },
      { name: "x", path: second, hiddenBy: first },
    ]);
    expect(findPlugin("x", place("one", "two"))).toBe(first);
    expect(findPlugin("x", place("two", "one"))).toBe(second);
  });

  it.each(["../x", "a/b", "", "-x", "x y", ".x"])("are never looked for by a name like %j", async (name) => {
    await program("one/ami-node-x");
    await program("x");
    expect(findPlugin(name, place("one"))).toBeUndefined();
  });

  it("are not taken from relative or empty entries of PATH", async () => {
    await program("one/ami-node-x");
    expect(findPlugin("x", { path: ":.:one:", platform: "linux" })).toBeUndefined();
    expect(listPlugins(new Set(), { path: undefined, platform: "linux" })).toEqual([]);
  });
});

describe("plugins", () => {
  it("end in .exe or .cmd on Windows, whatever their mode", async () => {
    await program("one/ami-node-a.exe", 0o644);
    await program("one/ami-node-b.cmd", 0o644);
    await program("one/ami-node-c.txt", 0o644);
    const windows: Place = { path: join(dir, "one"), platform: "win32", pathExt: ".EXE;.CMD" };
    expect(listPlugins(new Set(), windows).map(({ name }) => name)).toEqual(["a", "b"]);
    expect(findPlugin("b", windows)).toBe(join(dir, "one/ami-node-b.cmd"));
    expect(findPlugin("c", windows)).toBeUndefined();
  });
});
