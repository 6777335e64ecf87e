/** The exam of `Verbs`: everyday work on files, whatever carries it there. */
import { execFileSync } from "node:child_process";
import { chmod, lstat, mkdir, readFile, readdir, stat, symlink, utimes, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { expand } from "../../src/core/ssh/verbs/places.ts";
import { type Verbs, absolute } from "../../src/core/ssh/verbs/verbs.ts";

/** `place`: the verbs, and an empty folder of this machine that they reach under the same path. */
export function verbsExam(place: () => Promise<{ readonly verbs: Verbs; readonly dir: string }>): void {
  describe("verbs", () => {
    const odd = ["a b", "-rf", "new\nline", "tab\t", "\x1b[31mred", "ä☃", "*", "'\"$x`", "> .", ".hidden", "..."];

    it("lists what there is, as it is, whatever it is called", async () => {
      const { verbs, dir } = await place();
      for (const name of odd) await writeFile(join(dir, name), name);
      await mkdir(join(dir, "folder"), { mode: 0o750 });
      await chmod(join(dir, "folder"), 0o2750);
      await symlink("no where\n", join(dir, "link"));
      await writeFile(join(dir, "exact"), "12345", { mode: 0o640 });
      await utimes(join(dir, "exact"), 1_500_000_000, 1_500_000_001);
      const socket = createServer().listen(join(dir, "socket"));
      try {
        await new Promise((resolve) => socket.once("listening", resolve));
        const found = new Map((await verbs.list(dir)).map((each) => [each.name, each]));
        expect([...found.keys()].toSorted()).toEqual([...odd, "exact", "folder", "link", "socket"].toSorted());
        expect(found.get("exact")).toMatchObject({ type: "file", size: 5, mode: 0o640, mtime: 1_500_000_001 });
        expect(found.get("exact")).toMatchObject({
          path: join(dir, "exact"),
          owner: nameOf("-un"),
          group: nameOf("-gn"),
        });
        expect(found.get("folder")).toMatchObject({ type: "folder", mode: 0o2750 });
        expect(found.get("link")).toMatchObject({ type: "symlink" });
        expect(found.get("link")?.leadsTo?.trimEnd()).toBe("no where");
        expect(found.get("socket")).toMatchObject({ type: "socket" });
      } finally {
        socket.close();
      }
    });

    it("looks at links themselves, and follows them when asked to", async () => {
      const { verbs, dir } = await place();
      await mkdir(join(dir, "folder"));
      await symlink("folder", join(dir, "link"));
      await symlink("nothing", join(dir, "broken"));
      expect(await verbs.look(join(dir, "link"))).toMatchObject({ type: "symlink", leadsTo: "folder", name: "link" });
      expect(await verbs.follow(join(dir, "link"))).toMatchObject({ type: "folder" });
      expect(await verbs.look(join(dir, "broken"))).toMatchObject({ type: "symlink" });
      expect(await verbs.follow(join(dir, "broken"))).toBeUndefined();
      expect(await verbs.look(join(dir, "none"))).toBeUndefined();
      expect(await verbs.look(join(dir, "none/below"))).toBeUndefined();
      expect(await verbs.look("/")).toMatchObject({ type: "folder", path: "/" });
    });

    it("removes files, links and empty folders, and nothing a link leads to", async () => {
      const { verbs, dir } = await place();
      await mkdir(join(dir, "kept"));
      await writeFile(join(dir, "kept/file"), "");
      await symlink("kept", join(dir, "link"));
      await mkdir(join(dir, "-empty"));
      for (const name of ["link", "-empty"]) {
        const found = await verbs.look(join(dir, name));
        if (found !== undefined) await verbs.remove(found);
      }
      expect(await readdir(dir)).toEqual(["kept"]);
      const full = await verbs.look(join(dir, "kept"));
      if (full === undefined) throw new Error("it is there");
      await expect(verbs.remove(full)).rejects.toMatchObject({ code: "host.file" });
      expect(await readdir(join(dir, "kept"))).toEqual(["file"]);
    });

    it("makes folders, with a mode whatever the umask", async () => {
      const { verbs, dir } = await place();
      await verbs.makeFolder(join(dir, "plain"));
      await verbs.makeFolder(join(dir, "open"), 0o1777);
      expect((await stat(join(dir, "open"))).mode & 0o7777).toBe(0o1777);
      await expect(verbs.makeFolder(join(dir, "plain"))).rejects.toMatchObject({ code: "host.file" });
      await expect(verbs.makeFolder(join(dir, "no/where"))).rejects.toMatchObject({
        code: "host.file",
        message: expect.stringMatching(/no such file/i),
      });
    });

    it("moves, onto a file only when told to, and never into a folder of the new name", async () => {
      const { verbs, dir } = await place();
      await writeFile(join(dir, "one"), "1");
      await writeFile(join(dir, "two"), "2");
      const taken = { code: "host.file" };
      await expect(verbs.move(join(dir, "one"), join(dir, "two"), { replace: false })).rejects.toMatchObject(taken);
      expect((await readdir(dir)).toSorted()).toEqual(["one", "two"]);
      await verbs.move(join(dir, "one"), join(dir, "two"), { replace: true });
      expect([await readdir(dir), await readFile(join(dir, "two"), "utf8")]).toEqual([["two"], "1"]);
      await verbs.move(join(dir, "two"), join(dir, "-three"), { replace: false });
      await mkdir(join(dir, "folder"));
      await expect(verbs.move(join(dir, "-three"), join(dir, "folder"), { replace: true })).rejects.toMatchObject(
        taken,
      );
      await verbs.move(join(dir, "folder"), join(dir, "renamed"), { replace: false });
      expect((await readdir(dir)).toSorted()).toEqual(["-three", "renamed"]);
    });

    it("moves to another disk", async () => {
      const { verbs, dir } = await place();
      const other = `/dev/shm/ami-verbs-${process.pid}`;
      if ((await lstat("/dev/shm")).dev === (await lstat(dir)).dev) return;
      await writeFile(join(dir, "one"), "1");
      try {
        await verbs.move(join(dir, "one"), other, { replace: false });
        expect(await readFile(other, "utf8")).toBe("1");
        await writeFile(join(dir, "two"), "2");
        await expect(verbs.move(join(dir, "two"), other, { replace: false })).rejects.toMatchObject({
          code: "host.file",
        });
        await verbs.move(join(dir, "two"), other, { replace: true });
        expect([await readFile(other, "utf8"), await readdir(dir)]).toEqual(["2", []]);
      } finally {
        await verbs.remove((await verbs.look(other)) ?? { path: other, name: "", ...nothing });
      }
    });

    it("changes modes, through a link that was named", async () => {
      const { verbs, dir } = await place();
      await writeFile(join(dir, "file"), "");
      await symlink("file", join(dir, "link"));
      await verbs.chmod(join(dir, "link"), 0o4711);
      expect((await stat(join(dir, "file"))).mode & 0o7777).toBe(0o4711);
      await expect(verbs.chmod(join(dir, "none"), 0o600)).rejects.toMatchObject({ code: "host.file" });
    });

    it("knows where paths begin, and what patterns stand for", async () => {
      const { verbs, dir } = await place();
      expect([absolute(verbs, ""), absolute(verbs, "~/a"), absolute(verbs, "/a//./b/")]).toEqual([
        verbs.start,
        `${verbs.home}/a`,
        "/a/b",
      ]);
      for (const name of ["a.log", "b.log", ".c.log", "a*b"]) await writeFile(join(dir, name), "");
      await mkdir(join(dir, "sub"));
      await writeFile(join(dir, "sub/d.log"), "");
      await symlink("sub", join(dir, "way"));
      const names = async (word: string): Promise<string[]> =>
        (await expand(verbs, `${dir}/${word}`)).map(({ path }) => path.slice(dir.length + 1));
      expect(await names("*.log")).toEqual(["a.log", "b.log"]);
      expect(await names(".*.log")).toEqual([".c.log"]);
      expect(await names("[ab].log")).toEqual(["a.log", "b.log"]);
      expect(await names("a*b")).toEqual(["a*b"]);
      expect(await names("*/d.log")).toEqual(["sub/d.log", "way/d.log"]);
      expect(await names("none*")).toEqual([]);
    });
  });
}

function nameOf(flag: string): string {
  return execFileSync("id", [flag], { encoding: "utf8" }).trim();
}

const nothing = { type: "file", size: 0, mode: 0, owner: "", group: "", mtime: 0 } as const;
