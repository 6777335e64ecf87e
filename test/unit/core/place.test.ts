import { chmod, mkdir, mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { homedir, tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { localHost } from "../../../src/core/hosts/local.ts";
import { lookAt, readListing } from "../../../src/core/place.ts";

const host = localHost();
const { signal } = new AbortController();
let dir = "";
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), "ami-place-"));
});
afterEach(() => rm(dir, { recursive: true, force: true }));
const look = (path: string, name?: string) => lookAt(host, path, { signal, ...(name === undefined ? {} : { name }) });

describe("what stands at a path", () => {
  it("is a file, with its size and permissions, also behind a link", async () => {
    await writeFile(join(dir, "f"), "12345");
    await chmod(join(dir, "f"), 0o640);
    await symlink("f", join(dir, "link"));
    expect(await look(join(dir, "f"))).toEqual({ path: join(dir, "f"), type: "file", size: 5, mode: 0o640 });
    expect(await look(join(dir, "link"))).toMatchObject({ type: "file", size: 5 });
  });

  it("is the file of that name when it is a directory and a name is wanted", async () => {
    await mkdir(join(dir, "d"));
    expect(await look(join(dir, "d"))).toEqual({ path: join(dir, "d"), type: "directory" });
    expect(await look(join(dir, "d"), "x")).toEqual({ path: join(dir, "d/x"), type: "absent" });
    expect(await look(join(dir, "d/"), "x")).toMatchObject({ path: join(dir, "d/x") });
    await mkdir(join(dir, "d/sub"));
    expect(await look(join(dir, "d"), "sub")).toMatchObject({ path: join(dir, "d/sub"), type: "directory" });
  });

  it("is nothing, where something could be", async () => {
    expect(await look(join(dir, "none"))).toEqual({ path: join(dir, "none"), type: "absent" });
    await symlink("nowhere", join(dir, "dangling"));
    expect(await look(join(dir, "dangling"))).toMatchObject({ type: "absent" });
  });

  it("is an error where nothing could be", async () => {
    await expect(look(join(dir, "no/x"))).rejects.toMatchObject({
      code: "host.file",
      hint: expect.stringContaining("not made on the way"),
    });
    await expect(look(join(dir, "none/"), "x")).rejects.toMatchObject({ code: "host.file" });
  });

  it("can be a device", async () => {
    expect(await look("/dev/null")).toMatchObject({ type: "other" });
  });

  it.each([
    ["~", homedir()],
    ["~/", homedir()],
    [".", process.cwd()],
    ["./.", process.cwd()],
    ["/", "/"],
    ["/./tmp/./", "/tmp"],
  ])("%s is %s", async (path, real) => {
    expect(await look(path)).toMatchObject({ path: real, type: "directory" });
  });

  it("may have any name", async () => {
    for (const name of ["a b", "-n", "'", '"', "$x", "\\", "*", "ü\n!", "~"]) {
      await writeFile(join(dir, name), "x");
      expect(await look(dir, name)).toMatchObject({ path: join(dir, name), type: "file", size: 1 });
      expect(await look(join(dir, name))).toMatchObject({ path: join(dir, name), type: "file" });
    }
  });
});

it.each([
  ["-rw-r--r-- 49", { size: 49, mode: 0o644 }],
  ["-rwsr-xr-x 12345", { size: 12_345, mode: 0o755 }],
  ["-rw-rwSr-T+ 7", { size: 7, mode: 0o664 }],
  ["-rw-------@ 7", { size: 7, mode: 0o600 }],
  ["", {}],
  ["ls: denied", {}],
])("reads the listing %j", (listing, found) => {
  expect(readListing(listing)).toEqual(found);
});
