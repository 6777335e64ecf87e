/**
 * Rotation on ten real servers with a failure at each step on each of them in turn, and the program killed at random
 * moments: no server is ever without a key that lies here, watched all the while, and the next run ends it.
 */
import { readFile, readdir } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, expect, it } from "vitest";
import { readKeyLines } from "../../src/core/ssh/key/lines.ts";
import { publicHalf } from "../../src/core/ssh/key/places.ts";
import { readKeyFile } from "../../src/core/ssh/keys.ts";
import { exitOf, inventHome, start } from "../e2e/run.ts";
import { needs } from "../servers/engines.ts";
import { type KeyFleet, startKeyFleet } from "../servers/key-fleet.ts";
import { rotateKeys, stepsOf } from "../servers/rotate-keys.ts";

needs(
  "sshd",
  "ssh",
  "unshare",
)("rotation of a key on ten servers", () => {
  let fleet: KeyFleet;
  beforeAll(async () => {
    fleet = await startKeyFleet(10);
  });
  afterAll(() => fleet?.stop());

  it("survives a failure at each step, before and after it took effect", async () => {
    const steps = await stepsOf(fleet, "box1");
    expect(steps.filter((step) => step === "write")).toHaveLength(2);
    for (const [index, what] of steps.entries()) {
      for (const when of ["before", "after"] as const) {
        await fleet.reset();
        const host = fleet.names[index % fleet.names.length] ?? "";
        const watch = watchFleet(fleet);
        const failed = await rotateKeys(fleet, { host, step: index + 1, when });
        expect([what, when, failed.exit]).toEqual([what, when, 3]);
        expect([what, when, await lockedOut(fleet)]).toEqual([what, when, []]);
        expect([what, when, (await rotateKeys(fleet)).output.done]).toEqual([what, when, true]);
        expect([what, when, await watch.end()]).toEqual([what, when, []]);
        expect([what, when, await lockedOut(fleet, ["id"])]).toEqual([what, when, []]);
      }
    }
  });

  it("survives being killed at random moments", async () => {
    const home = await inventHome();
    const words = ["ssh", "key", "rotate", fleet.names.join(","), "--key", fleet.key, "--ssh-config", fleet.configFile];
    const args = [...words, "--without-passphrase", "--yes"];
    let killed = 0;
    try {
      for (let round = 0; round < 40; round++) {
        await fleet.reset();
        const watch = watchFleet(fleet);
        const child = start(home, args);
        const ended = exitOf(child);
        await sleep(300 + (round / 40) * 2000 + Math.random() * 200);
        child.kill("SIGKILL");
        if ((await ended) === 137) killed++;
        expect([round, await lockedOut(fleet)]).toEqual([round, []]);
        expect([round, await exitOf(start(home, args))]).toEqual([round, 0]);
        expect([round, await watch.end()]).toEqual([round, []]);
        expect([round, await lockedOut(fleet, ["id"])]).toEqual([round, []]);
      }
    } finally {
      await home.remove();
    }
    expect(killed).toBeGreaterThan(20);
  });
});

/** Names of the servers that OpenSSH gets into with none of the keys that lie here. */
async function lockedOut(fleet: KeyFleet, only?: readonly string[]): Promise<string[]> {
  const keys = only ?? (await keyFiles(fleet));
  const found = await Promise.all(
    fleet.names.map(async (name) => {
      for (const key of keys) if (await fleet.opens(name, join(fleet.dir, "keys", key))) return [];
      return [name];
    }),
  );
  return found.flat();
}

async function keyFiles(fleet: KeyFleet): Promise<string[]> {
  const names = await readdir(join(fleet.dir, "keys"));
  return names.filter((name) => !/\.(pub|rotation)$|\.ami-/.test(name));
}

/** Looks all the while whether each authorized_keys file, whole or not, holds a key that lies here. */
function watchFleet(fleet: KeyFleet): { end(): Promise<string[]> } {
  const seen = new Set<string>();
  let isOver = false;
  const look = async (): Promise<void> => {
    for (;;) {
      for (const name of fleet.names) {
        const lines = readKeyLines(await readFile(fleet.authorized(name), "utf8"));
        const files = await Promise.all(
          (await keyFiles(fleet)).map((key) => readKeyFile(join(fleet.dir, "keys", key))),
        );
        const held = files.map(publicHalf).filter((key) => key !== undefined);
        if (!lines.some((line) => held.some((key) => key.blob.equals(line.blob)))) seen.add(name);
      }
      if (isOver) return;
      await sleep(5);
    }
  };
  const looking = look();
  return {
    async end() {
      isOver = true;
      await looking;
      return [...seen];
    },
  };
}
