/** A folder of this machine kept in view, by either way in which systems tell of changes. */
import { chmodSync, mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { type Near, openNear } from "../../../../../src/core/ssh/sync/near.ts";
import { createFilter } from "../../../../../src/core/ssh/transfer/filter.ts";

describe.each([
  ["of each folder by itself", true],
  ["of all below one", false],
])("told %s", (_title, each) => {
  let dir = "";
  let near: Near;
  beforeEach(() => {
    dir = mkdtempSync(join(tmpdir(), "ami-near-"));
    mkdirSync(join(dir, "a/left out"), { recursive: true });
    const filter = createFilter({ include: [], exclude: ["left out"] });
    near = openNear(dir, { filter, watch: true, each, warn: () => undefined });
  });
  afterEach(() => {
    near.close();
    rmSync(dir, { recursive: true, force: true });
  });
  const sees = (...paths: string[]): Promise<void> =>
    vi.waitFor(() => expect([...near.items.keys()].toSorted()).toEqual(paths), { timeout: 20_000 });

  it("sees what is made in new folders, what is renamed and what is gone", async () => {
    expect([...near.items.keys()]).toEqual(["a"]);
    const { version } = near;
    const told = near.changed(version, new AbortController().signal);
    mkdirSync(join(dir, "b/c/d"), { recursive: true });
    writeFileSync(join(dir, "b/c/d/file"), "");
    writeFileSync(join(dir, "a/left out/file"), "");
    await told;
    await sees("a", "b", "b/c", "b/c/d", "b/c/d/file");
    renameSync(join(dir, "b/c"), join(dir, "e"));
    await sees("a", "b", "e", "e/d", "e/d/file");
    // In a folder that had another name when it began to be watched.
    writeFileSync(join(dir, "e/d/more"), "");
    mkdirSync(join(dir, "b/c"));
    writeFileSync(join(dir, "b/c/x"), "");
    await sees("a", "b", "b/c", "b/c/x", "e", "e/d", "e/d/file", "e/d/more");
    rmSync(join(dir, "e"), { recursive: true });
    await sees("a", "b", "b/c", "b/c/x");
    expect(near.version).toBeGreaterThan(version);
    expect(near.blind).toBeUndefined();
  });

  it.runIf(process.getuid?.() === 0 && process.seteuid !== undefined)(
    "leaves alone what it may not look at, and still sees the rest",
    async () => {
      const own = mkdtempSync(join(tmpdir(), "ami-near-"));
      mkdirSync(join(own, "no search"));
      for (const name of ["no search/x", "secret", "fine"]) writeFileSync(join(own, name), name);
      chmodSync(join(own, "no search"), 0o744);
      chmodSync(join(own, "secret"), 0o600);
      chmodSync(own, 0o755);
      const said: string[] = [];
      const filter = createFilter({ include: [], exclude: [] });
      process.seteuid?.(65_534);
      try {
        const other = openNear(own, { filter, watch: false, each, warn: (text) => void said.push(text) });
        expect([...other.items.keys()].toSorted()).toEqual(["fine", "no search", "secret"]);
        expect(other.unreadable).toEqual(["no search"]);
        expect([other.entry("secret"), other.entry("fine")?.path]).toEqual([undefined, "fine"]);
        expect(said.toSorted()).toEqual([
          expect.stringContaining("no search is left as it is there"),
          expect.stringContaining("secret is left as it is there"),
        ]);
        other.close();
      } finally {
        process.seteuid?.(0);
        rmSync(own, { recursive: true, force: true });
      }
    },
  );

  it("ends the wait of who wants no more", async () => {
    const control = new AbortController();
    const waiting = near.changed(near.version, control.signal);
    control.abort();
    await expect(waiting).rejects.toThrow();
  });
});
