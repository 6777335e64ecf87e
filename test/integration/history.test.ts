/** History: real files, shared by real processes, damaged on purpose. */
import { execFile } from "node:child_process";
import { mkdtemp, open, readdir, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { promisify } from "node:util";
import { afterEach, beforeEach, expect, it } from "vitest";
import { type History, openHistory } from "../../src/core/store/history.ts";

const run = promisify(execFile);
const minute = 60_000;
const hour = 60 * minute;
const day = 24 * hour;
/** The beginning of an hour. */
const start = Math.floor(1_700_000_000_000 / hour) * hour;

let dir: string;
let file: string;
let now: number;
const opened: History[] = [];
const aside: string[] = [];

beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), "ami-history-"));
  file = join(dir, "health.db");
  now = start;
  aside.length = 0;
});
afterEach(async () => {
  for (const history of opened.splice(0)) history.close();
  await rm(dir, { recursive: true, force: true });
});

async function openOne(most?: number): Promise<History> {
  const history = await openHistory({ file, now: () => now, most, damaged: (path) => aside.push(path) });
  opened.push(history);
  return history;
}

it("keeps looks by the minute, for this user only, also for those who open it later", async () => {
  const history = await openOne();
  history.record("web1", { at: start + 1000, ok: true, connect: 10, rtt50: 1, rtt99: 9, memory: 50, memoryTotal: 100 });
  history.record("web1", { at: start + 2000, ok: false });
  history.record("web1", { at: start + 3000, ok: true, connect: 30, rtt50: 3, rtt99: 5, up: 7 });
  history.record("web2", { at: start + 3000, ok: true });
  history.close();
  const rows = (await openOne()).read("web1");
  expect(rows).toEqual([
    {
      at: start,
      span: minute,
      tries: 3,
      failures: 1,
      connect: 20,
      rtt50: 2,
      rtt99: 9,
      up: 7,
      memory: 50,
      memoryTotal: 100,
      disks: [],
    },
  ]);
  for (const name of await readdir(dir)) expect((await stat(join(dir, name))).mode & 0o777, name).toBe(0o600);
});

it("makes hours of minutes that are old, and forgets hours that are very old", async () => {
  const history = await openOne();
  const disks = (available: number) => [{ mount: "/", size: 100, available }];
  for (let i = 0; i < 60; i++) {
    now = start + i * minute;
    history.record("web1", { at: now, ok: i !== 0, connect: i === 0 ? undefined : 60, disks: disks(i) });
  }
  now = start + 7 * hour;
  history.record("web1", { at: now, ok: true, connect: 5, disks: disks(1) });
  expect(history.read("web1")).toMatchObject([
    { at: start, span: hour, tries: 60, failures: 1, connect: 60, disks: [{ mount: "/", size: 100, available: 29.5 }] },
    { at: now, span: minute, tries: 1, failures: 0 },
  ]);
  now = start + 60 * day + 3 * hour;
  history.record("web1", { at: now, ok: true });
  expect(history.read("web1").map(({ at }) => at)).toEqual([start + 7 * hour, now]);
});

it("stays small, however long and often a host is looked at", async () => {
  const history = await openOne();
  for (; now < start + 62 * day; now += 45 * minute) history.record("web1", { at: now, ok: true, connect: 1 });
  const rows = history.read("web1");
  expect(rows.length).toBeLessThanOrEqual(60 * 24 + 7 * 2);
  expect(rows.filter(({ span }) => span === minute).length).toBeLessThanOrEqual(7 * 2);
  expect(rows.at(0)?.at).toBeGreaterThanOrEqual(now - 60 * day - hour);
}, 30_000);

it("forgets hosts that nobody looks at any more, and what is oldest when all is too much", async () => {
  const first = await openOne();
  first.record("gone", { at: now, ok: true });
  now += 59 * day;
  for (let i = 0; i < 1000; i++) first.record("web1", { at: now - i * hour, ok: true, connect: 1 });
  first.close();
  now += 2 * day;
  expect((await openOne()).read("gone")).toEqual([]);
  const kept = (await openOne(32_768)).read("web1");
  expect(kept.length).toBeGreaterThan(0);
  expect(kept.length).toBeLessThan(500);
  expect(kept.at(-1)?.at).toBe(start + 59 * day);
}, 30_000);

it("forgets when it is told to", async () => {
  const history = await openOne();
  history.record("web1", { at: start, ok: true, disks: [{ mount: "/", size: 2, available: 1 }] });
  history.record("web2", { at: start, ok: true });
  expect([history.forget("web1"), history.forget("web1")]).toEqual([1, 0]);
  expect([history.read("web1"), history.read("web2").length]).toEqual([[], 1]);
});

it("takes looks from several processes at once and loses none", async () => {
  const script = resolve(import.meta.dirname, "../servers/remember.ts");
  const hosts = ["a", "a", "b", "b"];
  await Promise.all(hosts.map((host) => run(process.execPath, [script, file, host, "50"])));
  const history = await openOne();
  const tries = (host: string) => history.read(host).reduce((sum, row) => sum + row.tries, 0);
  expect([tries("a"), tries("b")]).toEqual([100, 100]);
}, 60_000);

it("puts a file aside that is none of ours, and begins anew", async () => {
  await writeFile(file, "not a database, but something somebody may want to see again ".repeat(100));
  const history = await openOne();
  history.record("web1", { at: start, ok: true });
  expect(history.read("web1")).toHaveLength(1);
  expect(aside).toHaveLength(1);
  expect((await stat(aside[0] ?? "")).size).toBe(6100);
});

it("does so once when several processes find it out together", async () => {
  await writeFile(file, "none of ours ".repeat(1000));
  const script = resolve(import.meta.dirname, "../servers/remember.ts");
  await Promise.all([1, 2, 3, 4, 5, 6].map(() => run(process.execPath, [script, file, "a", "20"])));
  const history = await openOne();
  expect(history.read("a").reduce((sum, row) => sum + row.tries, 0)).toBe(120);
  expect((await readdir(dir)).filter((name) => name.includes("damaged"))).toHaveLength(1);
  expect(aside).toEqual([]);
}, 60_000);

it("does so as well when the damage is found later", async () => {
  const history = await openOne();
  for (let i = 0; i < 800; i++) history.record(`host ${i}`, { at: start, ok: true, connect: i });
  history.close();
  const { size } = await stat(file);
  const handle = await open(file, "r+");
  await handle.write(Buffer.alloc(size - 4096, 0xff), 0, size - 4096, 4096);
  await handle.close();
  const again = await openOne();
  again.record("web1", { at: start, ok: true });
  expect(again.read("web1")).toHaveLength(1);
  expect(aside).toHaveLength(1);
}, 30_000);

it("goes on in a new file when somebody removes it meanwhile", async () => {
  const history = await openOne();
  history.record("web1", { at: start, ok: true });
  await rm(file);
  history.record("web1", { at: start + hour, ok: true });
  history.close();
  expect((await openOne()).read("web1")).toMatchObject([{ at: start + hour, tries: 1 }]);
  expect(aside).toEqual([]);
});

it("does not touch what a newer program wrote", async () => {
  (await openOne()).close();
  const { DatabaseSync } = await import("node:sqlite");
  const db = new DatabaseSync(file);
  db.exec("PRAGMA user_version = 99");
  db.close();
  await expect(openOne()).rejects.toMatchObject({ code: "store.unusable", message: /newer ami-node/ });
  expect(aside).toEqual([]);
});

it("says when there is no place for it", async () => {
  file = join(dir, "no", "such", "folder", "health.db");
  await expect(openOne()).rejects.toMatchObject({ code: "store.unusable" });
  await writeFile(join(dir, "taken"), "");
  file = join(dir, "taken", "health.db");
  await expect(openOne()).rejects.toMatchObject({ code: "store.unusable", message: /ENOTDIR|taken/ });
});
