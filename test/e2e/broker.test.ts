/** The broker as users meet it: set once, then felt; listed, closed, gone by itself, and asked for a password only once. */
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from "vitest";
import { needs } from "../servers/engines.ts";
import { type Sshd, startSshd } from "../servers/sshd.ts";
import { type Home, ami, inventHome, program, start } from "./run.ts";
import { openTerminal } from "./terminal.ts";

needs(
  "sshd",
  "posix",
  "tmux",
)("connections that stay open", () => {
  let home: Home;
  let box: Sshd;
  beforeAll(async () => {
    box = await startSshd();
  });
  beforeEach(async () => {
    home = await inventHome();
  });
  afterEach(async () => {
    await ami(home, ["ssh", "close", "--all", "--yes"]);
    await home.remove();
  });
  afterAll(() => box?.stop());
  const execute = (...words: readonly string[]): readonly string[] => [
    "ssh",
    "execute",
    "--ssh-config",
    box.configFile,
    "--target",
    "box",
    ...words,
  ];
  const persist = async (time: string): Promise<void> => {
    await mkdir(join(home.dir, ".config/ami-node"), { recursive: true });
    await writeFile(join(home.dir, ".config/ami-node/config.json"), JSON.stringify({ ssh: { persist: time } }));
  };
  const list = async () => JSON.parse((await ami(home, ["ssh", "list", "--json"])).stdout);

  it("the second command finds the connection of the first; close ends it, and idleness all", async () => {
    expect(await ami(home, ["ssh", "list"])).toMatchObject({
      code: 0,
      stdout: "no broker runs: no connections are kept open\n",
    });
    await ami(home, ["config", "set", "ssh.persist", "2m"]);
    const words = execute("echo $SSH_CONNECTION; exit 3");
    const first = await ami(home, words);
    expect(first).toMatchObject({ code: 3, stdout: expect.stringContaining("127.0.0.1"), stderr: "" });
    expect(await ami(home, words)).toEqual(first);
    const { broker, logins } = await list();
    expect(broker).toEqual({ pid: expect.any(Number), persist: 120_000 });
    expect(logins).toMatchObject([
      { host: "box", user: box.user, at: `127.0.0.1:${box.port}`, connections: 1, channels: 0 },
    ]);
    expect((await ami(home, ["ssh", "list"])).stdout).toMatch(/^HOST +USER +AT +SINCE +IDLE +CHANNELS\nbox /);

    expect(await ami(home, ["ssh", "close", "bix"])).toMatchObject({
      code: 64,
      stderr: expect.stringContaining("did you mean box?"),
    });
    const busy = start(home, execute("echo begun; sleep 100"));
    await new Promise((resolve) => busy.stdout?.once("data", resolve));
    expect(await ami(home, ["ssh", "close", "box"])).toMatchObject({
      code: 1,
      stderr: expect.stringContaining("something runs on box"),
    });
    busy.kill("SIGKILL");
    await until(async () => (await list()).logins[0]?.channels === 0);
    expect(await ami(home, ["ssh", "close", "box"])).toMatchObject({ code: 0, stdout: "box: closed\n" });
    expect((await list()).logins).toEqual([]);
    // The next has a new one: another port of ours.
    const second = await ami(home, words);
    expect(second.code).toBe(3);
    expect(second.stdout).not.toBe(first.stdout);
    expect(await ami(home, ["ssh", "close", "--all"])).toMatchObject({ code: 0, stdout: "box: closed\n" });
    await until(async () => (await list()).broker === undefined);

    await persist("300ms");
    expect((await ami(home, words)).code).toBe(3);
    await until(async () => (await list()).broker === undefined);
    await until(async () => (await box.connections()).length === 0);
  }, 120_000);

  it("the person at the terminal of the command is asked, once for all that follow", async () => {
    await persist("2m");
    // A host key nobody knows yet is such a question.
    const config = join(home.dir, "config");
    const known = join(home.dir, "known");
    const text = (await readFile(box.configFile, "utf8")).replace(box.knownHosts, known);
    await writeFile(config, text.replace("StrictHostKeyChecking yes", "StrictHostKeyChecking ask"));
    const words = ["ssh", "execute", "--ssh-config", config, "--target", "box", "echo hello from $0"];
    const nobody = await ami(home, words);
    expect(nobody).toMatchObject({ code: 5, stderr: expect.stringContaining("is not known") });
    const terminal = await openTerminal(home, [...program, ...words]);
    try {
      await terminal.sees(/SHA256:/);
      await terminal.type("yes");
      await terminal.press("Enter");
      expect(await terminal.sees(/exit: 0/)).toMatch(/^hello from/m);
    } finally {
      await terminal.close();
    }
    expect(await ami(home, words)).toMatchObject({ code: 0, stderr: "" });
  }, 120_000);
});

async function until(holds: () => Promise<boolean>): Promise<void> {
  for (const late = Date.now() + 20_000; !(await holds()); await sleep(30))
    if (Date.now() > late) throw new Error("it did not come about within 20 s");
}
