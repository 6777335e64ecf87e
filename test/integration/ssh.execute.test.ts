/** ssh execute on real servers: what only a real connection can show. */
import { randomBytes } from "node:crypto";
import { readFile, readdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from "vitest";
import { type Home, ami, exitOf, inventHome, start } from "../e2e/run.ts";
import { needs } from "../servers/engines.ts";
import { type Account, type Sshd, createAccount, startSshd } from "../servers/sshd.ts";

let home: Home;
beforeEach(async () => {
  home = await inventHome();
});
afterEach(() => home.remove());

needs("sshd")("ssh execute on real servers", () => {
  let one: Sshd;
  let two: Sshd;
  let config: string;
  beforeAll(async () => {
    [one, two] = await Promise.all([startSshd({ name: "web1" }), startSshd({ name: "web2" })]);
  });
  afterAll(() => Promise.all([one.stop(), two.stop()]));
  beforeEach(async () => {
    config = join(home.dir, "ssh_config");
    await writeFile(config, `${await readFile(one.configFile, "utf8")}\n${await readFile(two.configFile, "utf8")}`);
  });
  const execute = (...words: readonly string[]): readonly string[] => [
    "ssh",
    "execute",
    "--ssh-config",
    config,
    ...words,
  ];

  it("prefixes the lines of several hosts and never tears one", async () => {
    const line =
      "i=0; while [ $i -lt 500 ]; do printf 'line %s ' $i; printf 'of %s\\n' ${SSH_CONNECTION##* }; i=$((i+1)); done";
    const { code, stdout } = await ami(home, execute("--target", "web1,web2", line));
    expect(code).toBe(0);
    for (const server of [one, two]) {
      const own = stdout.split("\n").filter((each) => each.startsWith(`[${server.name}] `));
      expect(own).toEqual(Array.from({ length: 500 }, (_, i) => `[${server.name}] line ${i} of ${server.port}`));
    }
    expect(stdout.split("\n")).toHaveLength(1001);
  });

  it("folds equal answers and keeps odd ones apart", async () => {
    const line = 'echo same; [ "${SSH_CONNECTION##* }" = ' + two.port + " ] || exit 4";
    const { code, stdout } = await ami(home, execute("--target", "web1,web2", "--fold", "echo same"));
    expect([code, stdout]).toEqual([0, "---------------\nweb[1-2] (2)\n---------------\nsame\n"]);
    const odd = await ami(home, execute("--target", "web1,web2", "--fold", line));
    expect(odd.code).toBe(3);
    expect(odd.stdout).toContain("web1 (1) exit 4\n");
    expect(odd.stdout).toContain("web2 (1)\n");
  });

  it("gives several hosts the same stdin", async () => {
    const bytes = randomBytes(2_000_000);
    const { stdout } = await ami(home, execute("--target", "web1,web2", "--fold", "--stdin", "sha256sum"), {
      stdin: bytes,
    });
    expect(stdout).toContain("web[1-2] (2)");
  });

  it("acts on default.target when there is no other, and says so when there is none", async () => {
    const without = await ami(home, execute("true"));
    expect(without).toMatchObject({ code: 64, stderr: expect.stringContaining("config set default.target") });
    await ami(home, ["config", "set", "default.target", "web1"]);
    expect(await ami(home, execute("echo $SSH_CONNECTION"))).toMatchObject({
      code: 0,
      stdout: expect.stringContaining(` ${one.port}\n`),
    });
  });

  it("takes what the program says only as fast as it is read", async () => {
    const child = start(home, execute("--target", "web1", "--", "head", "-c", "400000000", "/dev/zero"));
    const ended = exitOf(child);
    // Nobody reads yet: the program must wait, and not its output in our memory.
    await new Promise((resolve) => setTimeout(resolve, 3000));
    const peak = Number(/VmHWM:\s+(\d+)/.exec(await readFile(`/proc/${child.pid}/status`, "utf8"))?.[1]) * 1024;
    let bytes = 0;
    child.stdout?.on("data", (chunk: Buffer) => (bytes += chunk.length));
    expect(await ended).toBe(0);
    expect(bytes).toBe(400_000_000);
    expect(peak).toBeLessThan(300_000_000);
  });

  it("ends the input of a program under a terminal too", async () => {
    const line = "tty >&2 && cat; echo end=$?";
    const empty = await ami(home, execute("--target", "web1", "--pty", line));
    expect([empty.code, empty.stdout]).toEqual([0, expect.stringMatching(/^\/dev\/\S+\r\nend=0\r\n$/)]);
    for (const text of ["whole line\n", "half a line"]) {
      const ran = await ami(home, execute("--target", "web1", "--pty", "--stdin", line), { stdin: text });
      expect(ran.stdout.split(text.trim())).toHaveLength(3); // shown as it is typed, and by cat
      expect(ran.stdout).toMatch(/end=0\r\n$/);
    }
  });

  it("tries again until the server is there, and runs once", async () => {
    const late = await startSshd({ name: "late" });
    const { port } = late;
    await late.stop();
    const mark = join(one.dir, "ran");
    const config2 = join(home.dir, "late");
    await writeFile(
      config2,
      `Host late\n  HostName 127.0.0.1\n  Port ${port}\n  User ${one.user}\n  IdentityFile ${one.identity}\n`,
    );
    const child = start(home, [
      "ssh",
      "execute",
      "--ssh-config",
      config2,
      "--accept-new",
      "--target",
      "late",
      "--retries",
      "20",
      `echo ran >> ${mark}`,
    ]);
    let said = "";
    let again: Sshd | undefined;
    const ended = exitOf(child);
    child.stdout?.resume();
    await new Promise<void>((resolve) => {
      child.stderr?.on("data", (chunk: Buffer) => {
        said += chunk.toString();
        if (said.includes("trying again")) resolve();
      });
    });
    try {
      again = await startSshd({ name: "late", port, authorizedKeys: [await readFile(`${one.identity}.pub`, "utf8")] });
      expect(await ended).toBe(0);
      expect(await readFile(mark, "utf8")).toBe("ran\n");
    } finally {
      await again?.stop();
    }
  });

  it("takes a script away from the host although the client was killed", async () => {
    const script = join(home.dir, "mine-job.sh");
    const pids = join(one.dir, "job.pid");
    await writeFile(script, `echo $$ > ${pids}.new; mv ${pids}.new ${pids}; exec sleep 4\n`);
    const child = start(home, execute("--target", "web1", "--script", script));
    const ended = exitOf(child);
    child.stdout?.resume();
    child.stderr?.resume();
    await until(async () => (await readdir(one.dir)).includes("job.pid"));
    const left = async (): Promise<string[]> =>
      (await readdir("/tmp")).filter((name) => /^ami-[0-9a-f]{32}\.mine-job\.sh$/.test(name));
    expect(await left()).toHaveLength(1);
    child.kill("SIGKILL");
    expect(await ended).toBe(137);
    await until(async () => (await left()).length === 0);
  });
});

needs(
  "sshd",
  "root",
  "useradd",
  "sudo",
)("ssh execute as another user", () => {
  let account: Account;
  let box: Sshd;
  beforeAll(async () => {
    account = await createAccount({ sudo: "free" });
    box = await startSshd({ user: account.name });
  });
  afterAll(async () => {
    await box.stop();
    await account.remove();
  });
  const on = (...words: readonly string[]): readonly string[] => [
    "ssh",
    ...words,
    "--ssh-config",
    box.configFile,
    "--target",
    "box",
  ];

  it("runs lines, words and scripts as that user", async () => {
    const script = join(home.dir, "who.sh");
    await writeFile(script, "#!/bin/sh\nid -un; cat\n");
    expect(await ami(home, [...on("execute"), "--become", "id -un"])).toMatchObject({ code: 0, stdout: "root\n" });
    expect(await ami(home, [...on("execute"), "--become", "id", "-un"])).toMatchObject({ code: 0, stdout: "root\n" });
    expect(
      await ami(home, [...on("execute"), "--become", "--script", script, "--stdin"], { stdin: "in" }),
    ).toMatchObject({ code: 0, stdout: "root\nin" });
    expect(await ami(home, [...on("execute"), "id -un"])).toMatchObject({ stdout: `${account.name}\n` });
  });

  it("ends root's processes too when it is interrupted", async () => {
    const mark = join(account.home, "pid");
    const child = start(home, [
      ...on("execute"),
      "--become",
      `echo $$ > ${mark}.new; mv ${mark}.new ${mark}; sleep 1000`,
    ]);
    const ended = exitOf(child);
    child.stdout?.resume();
    child.stderr?.resume();
    await until(async () => (await readdir(account.home)).includes("pid"));
    const pid = Number(await readFile(mark, "utf8"));
    child.kill("SIGINT");
    expect(await ended).toBe(130);
    await until(async () => (await readFile(`/proc/${pid}/stat`, "utf8").catch(() => ") Z ")).includes(") Z "));
  });

  it("puts and gets files that only that user may touch", async () => {
    const data = randomBytes(400_000);
    const [local, back, there] = [join(home.dir, "data"), join(home.dir, "back"), join(box.dir, "secret.bin")];
    await writeFile(local, data, { mode: 0o600 });
    expect(await ami(home, [...on("put", local, there)])).toMatchObject({
      code: 1,
      stderr: expect.stringContaining("--become"),
    });
    expect(await ami(home, [...on("put", local, there), "--become", "--owner", "root:root"])).toMatchObject({
      code: 0,
    });
    expect((await readFile(there)).equals(data)).toBe(true);
    expect((await ami(home, [...on("get", there, back)])).code).toBe(1);
    expect(await ami(home, [...on("get", there, back), "--become"])).toMatchObject({ code: 0 });
    expect((await readFile(back)).equals(data)).toBe(true);
  });
});

/** Waits for what must come; the test's own deadline ends it. */
async function until(met: () => Promise<boolean>): Promise<void> {
  while (!(await met())) await new Promise((resolve) => setTimeout(resolve, 50));
}
