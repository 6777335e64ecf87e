/** The broker under what happens seldom: a reader that is slow, a broker that is stopped, many that start one at once. */
import { chmod, mkdir, readFile, readdir, readlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from "vitest";
import { askBroker } from "../../src/core/broker/ask.ts";
import { type BrokerPlace, brokerPlace } from "../../src/core/broker/place.ts";
import { processMark } from "../../src/core/process-mark.ts";
import { type Home, ami, exitOf, inventHome, start } from "../e2e/run.ts";
import { needs } from "../servers/engines.ts";
import { type Sshd, startSshd } from "../servers/sshd.ts";

needs("sshd", "linux")("the broker", () => {
  let box: Sshd;
  let home: Home;
  let place: BrokerPlace;
  beforeAll(async () => {
    box = await startSshd();
  });
  afterAll(() => box?.stop());
  beforeEach(async () => {
    home = await inventHome();
    await chmod(home.dir, 0o700);
    place = brokerPlace(home.env);
    await mkdir(join(home.dir, ".config/ami-node"), { recursive: true });
    await writeFile(join(home.dir, ".config/ami-node/config.json"), '{"ssh":{"persist":"5m"}}');
  });
  afterEach(async () => {
    const pid = await pidOf();
    await askBroker(place, { wish: "close" }).catch(() => undefined);
    if (pid !== undefined) await until(async () => !(await isAlive(pid)));
    await home.remove();
  });
  const on = (...words: readonly string[]): readonly string[] => [
    "ssh",
    "execute",
    "--ssh-config",
    box.configFile,
    "--target",
    "box",
    ...words,
  ];
  const pidOf = async (): Promise<number | undefined> =>
    (await askBroker(place, { wish: "list" }).catch(() => undefined))?.pid;
  const brokerPid = async (): Promise<number> => (await pidOf()) ?? Promise.reject(new Error("no broker runs"));

  it("a reader that is slow holds the program up; one that leaves ends it", async () => {
    await ami(home, on("true"));
    const child = start(home, on("echo $$; yes 0123456789012345678901234567890123456789012345678901234567890"));
    const pid = await firstLine(child);
    child.stdout?.pause();
    // So much fits into everything on the way; more than that means that somebody keeps it.
    await sleep(500);
    const used = async (): Promise<number> =>
      Number(/^VmRSS:\s+(\d+)/m.exec(await readFile(`/proc/${await brokerPid()}/status`, "utf8"))?.[1]);
    const before = await used();
    await sleep(700);
    expect((await used()) - before).toBeLessThan(30_000);
    child.stdout?.destroy();
    expect(await exitOf(child)).toBe(130);
    await until(async () => !(await isAlive(pid)));
  });

  it("one that is stopped is done without", async () => {
    await ami(home, on("true"));
    const pid = await brokerPid();
    process.kill(pid, "SIGSTOP");
    try {
      expect(await ami(home, on("--quiet", "echo mine"))).toMatchObject({ code: 0, stdout: "mine\n", stderr: "" });
    } finally {
      process.kill(pid, "SIGCONT");
    }
    await until(async () => (await pidOf()) === pid);
  });

  it("started by four at once there is one in the end, and all are served", async () => {
    const all = await Promise.all([1, 2, 3, 4].map((i) => ami(home, on(`echo ${i}`))));
    expect(all.map(({ stdout, code }) => `${code} ${stdout}`)).toEqual(["0 1\n", "0 2\n", "0 3\n", "0 4\n"]);
    const current = await readlink(place.current);
    await until(async () => (await readdir(place.folder)).length === 3);
    expect(await readdir(place.folder)).toContain(current);
  });
});

async function firstLine(child: ReturnType<typeof start>): Promise<number> {
  let said = "";
  child.stdout?.on("data", (bytes: Buffer) => (said = (said + bytes.toString()).slice(0, 100)));
  await until(() => said.includes("\n"));
  return Number(said.split("\n")[0]);
}

/** Not one that only waits to be counted. */
async function isAlive(pid: number): Promise<boolean> {
  return (await processMark(pid)) !== undefined;
}

async function until(holds: () => boolean | Promise<boolean>): Promise<void> {
  for (const late = Date.now() + 20_000; !(await holds()); await sleep(20))
    if (Date.now() > late) throw new Error("it did not come about within 20 s");
}
