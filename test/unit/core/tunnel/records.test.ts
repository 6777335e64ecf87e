import { chmod, chown, mkdir, mkdtemp, readdir, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import {
  type TunnelRecord,
  claimRecord,
  readRecords,
  recordFile,
  recordFolder,
  writeRecord,
} from "../../../../src/core/tunnel/records.ts";

let home: string;
beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), "ami-records-"));
});
afterEach(() => rm(home, { recursive: true, force: true }));

const record = (name: string): TunnelRecord => ({
  name,
  target: "web1",
  pid: process.pid,
  mark: "m",
  state: "up",
  since: "2026-01-02T03:04:05.000Z",
  tunnels: [{ listens: "here", listen: "localhost:1", to: "db:2" }],
  log: "/x.log",
});

describe("records of tunnels", () => {
  it("lie in a private folder, made when it is needed", async () => {
    const made = await recordFolder({ AMI_NODE_CONFIG_DIR: join(home, "own") });
    expect(made).toBe(join(home, "own/run/tunnels"));
    expect((await stat(made)).mode & 0o777).toBe(0o700);
    expect(await recordFolder({ HOME: home, XDG_RUNTIME_DIR: home })).toBe(join(home, "ami-node/tunnels"));
    const fallback = join(home, ".local/state/ami-node/run/tunnels");
    expect(await recordFolder({ HOME: home })).toBe(fallback);
    // Of another user, or of nobody.
    const others = process.getuid?.() === 0 ? join(home, "theirs") : "/";
    if (others !== "/") {
      await mkdir(others);
      await chown(others, 65_534, 65_534);
    }
    for (const folder of [others, join(home, "none")])
      expect(await recordFolder({ HOME: home, XDG_RUNTIME_DIR: folder })).toBe(fallback);
  });

  it("are not kept where others may write or read", async () => {
    const env = { AMI_NODE_CONFIG_DIR: home };
    const folder = await recordFolder(env);
    await chmod(folder, 0o755);
    await expect(recordFolder(env)).rejects.toMatchObject({ code: "config.invalid" });
  });

  it("a name is claimed by one only, however many want it at once", async () => {
    const file = recordFile(home, "db");
    const claims = await Promise.all(Array.from({ length: 20 }, () => claimRecord(file, record("db"))));
    expect(claims.filter(Boolean)).toHaveLength(1);
    expect(await readdir(home)).toEqual(["db.json"]);
  });

  it("are read back whole; what is no record is none", async () => {
    await writeRecord(recordFile(home, "b"), record("b"));
    await writeRecord(recordFile(home, "a"), record("a"));
    await writeRecord(recordFile(home, "a"), { ...record("a"), state: "lost" });
    await writeFile(join(home, "broken.json"), "{");
    await writeFile(join(home, "other.json"), "{}");
    expect(await readRecords(home)).toEqual([{ ...record("a"), state: "lost" }, record("b")]);
  });
});
