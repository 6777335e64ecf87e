/** The broker: what goes through it is as without it, and nobody is worse off when it is killed, replaced or not to be had. */
import { execFile } from "node:child_process";
import { createHash, randomBytes } from "node:crypto";
import { chmod, copyFile, mkdir, readFile, readdir, readlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";
import { afterAll, afterEach, beforeAll, beforeEach, expect, it, vi } from "vitest";
import { askBroker } from "../../src/core/broker/ask.ts";
import { type BrokerPlace, brokerPlace } from "../../src/core/broker/place.ts";
import { processMark } from "../../src/core/process-mark.ts";
import { type Home, ami, exitOf, inventHome, program, start } from "../e2e/run.ts";
import { needs } from "../servers/engines.ts";
import { type Sshd, startSshd } from "../servers/sshd.ts";

// Each starts many processes, beside other tests that do.
vi.setConfig({ testTimeout: 120_000 });

needs("sshd", "posix")("the broker", () => {
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
    await persist("5m");
  });
  afterEach(async () => {
    const pid = await pidOf();
    await askBroker(place, { wish: "close" }).catch(() => undefined);
    if (pid !== undefined) await until(async () => !(await isAlive(pid)));
    await home.remove();
  });

  const persist = (time: string): Promise<void> =>
    writeFile(join(home.dir, ".config/ami-node/config.json"), JSON.stringify({ ssh: { persist: time } }));
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
  const logins = async () => (await askBroker(place, { wish: "list" }))?.logins ?? [];
  /** What a run that goes through prints and returns, and the same without a broker. */
  const bothWays = async (words: readonly string[], options: Parameters<typeof ami>[2] = {}) => {
    const [through, plain] = await Promise.all([
      ami(home, words, options),
      ami(home, words, { ...options, env: { ...options.env, AMI_NODE_CONFIG_DIR: join(home.dir, "other") } }),
    ]);
    return { through, plain };
  };

  it("a second command takes the connection of the first, and is told the same", async () => {
    const before = (await box.connections()).length;
    expect(await ami(home, on("printf out; printf err >&2; exit 42"))).toMatchObject({
      code: 42,
      stdout: "out",
      stderr: "err",
    });
    const pid = await brokerPid();
    const cases: readonly (readonly string[])[] = [
      on("printf out; printf err >&2; kill -9 $$"),
      on("--", "printf", "[%s]", "$HOME `id`", "a'b\"c", "", "*", "ä€😀"),
      on("--env", "TOKEN=secret", "--cwd", "/", "echo $TOKEN; pwd"),
      on("--pty", "tty >/dev/null && echo terminal"),
      on("no-such-program"),
      on("--timeout", "300ms", "sleep 20"),
    ];
    const compared = cases.map(async (words) => {
      const { through, plain } = await bothWays(words);
      expect(through, words.join(" ")).toEqual(plain);
    });
    await Promise.all(compared);
    // What cannot be the same twice, in the events: when it was, how long it took, and the number of the run.
    const { through, plain } = await bothWays(on("--json", "echo x; exit 3"));
    const timeless = (text: string): string => text.replaceAll(/"(at|ms|run)":("[^"]*"|\d+)/g, "");
    expect({ ...through, stdout: timeless(through.stdout), bytes: 0 }).toEqual({
      ...plain,
      stdout: timeless(plain.stdout),
      bytes: 0,
    });
    expect(await brokerPid()).toBe(pid);
    expect(await logins()).toMatchObject([{ host: "box", connections: 1, channels: 0 }]);
    await until(async () => (await box.connections()).length === before + 1);
  });

  it("carries 8 MiB in and out, and leaves the stdin of others alone", async () => {
    await ami(home, on("true"));
    const data = randomBytes(8 * 2 ** 20);
    const ran = await ami(home, on("--stdin", "cat"), { stdin: data });
    expect(ran.code).toBe(0);
    expect(sum(ran.bytes)).toBe(sum(data));
    const lines = `while read line; do "$@"; echo "$line"; done`;
    const loop = await promisify(execFile)(
      "sh",
      ["-c", `printf '1\\n2\\n3\\n' | { ${lines}; }`, "sh", ...program, ...on("true")],
      { env: home.env },
    );
    expect(loop.stdout).toBe("1\n2\n3\n");
  });

  for (const [how, signal, code] of [
    ["Ctrl-C", "SIGINT", 130],
    ["a killed client", "SIGKILL", 137],
  ] as const) {
    it(`${how} ends the program there with all its children`, async () => {
      await ami(home, on("true"));
      const child = start(home, on("sleep 300 & echo $!; wait"));
      const pid = await firstLine(child);
      child.kill(signal);
      expect(await exitOf(child)).toBe(code);
      await until(async () => !(await isAlive(pid)));
      expect(await logins()).toHaveLength(1);
    });
  }

  it("a broker that is killed under a command leaves its end unknown; the next command does without, or has a new one", async () => {
    await ami(home, on("true"));
    const pid = await brokerPid();
    const child = start(home, on("--json", "echo here; sleep 300"));
    let said = "";
    child.stdout?.on("data", (bytes: Buffer) => (said += bytes.toString()));
    await until(() => said.includes("here"));
    process.kill(pid, "SIGKILL");
    expect(await exitOf(child)).toBe(4);
    expect(JSON.parse(said.trim().split("\n").at(-1) ?? "")).toMatchObject({
      exit: 4,
      error: { code: "ssh.lost", retry: "unknown" },
    });
    // Its socket is still there, and nobody behind it.
    expect(await readlink(place.current)).toMatch(/^[0-9a-f]{8}$/);
    expect(await pidOf()).toBeUndefined();
    expect(await ami(home, on("echo again"))).toMatchObject({ code: 0, stdout: "again\n", stderr: "" });
    expect(await brokerPid()).not.toBe(pid);
    // Nothing of the dead one is left.
    expect((await readdir(place.folder)).toSorted()).toEqual(
      [await readlink(place.current), "current", "log"].toSorted(),
    );
  });

  it("one of another version is replaced, and what runs on it goes on to its end", async () => {
    await ami(home, on("true"));
    const pid = await brokerPid();
    await expect(askBroker(place, { wish: "list" }, "9.9.9")).rejects.toThrow("does not answer ami-node 9.9.9");
    const child = start(home, on(`echo begun; until [ -e ${join(home.dir, "end")} ]; do sleep 0.02; done; echo ended`));
    const ended = exitOf(child);
    let said = "";
    child.stdout?.on("data", (bytes: Buffer) => (said += bytes.toString()));
    await until(() => said.includes("begun"));
    expect(await askBroker(place, { wish: "retire" }, "9.9.9")).toMatchObject({ pid });
    expect(await ami(home, on("echo new"))).toMatchObject({ code: 0, stdout: "new\n" });
    expect(await brokerPid()).not.toBe(pid);
    await writeFile(join(home.dir, "end"), "");
    expect(await ended).toBe(0);
    expect(said).toBe("begun\nended\n");
    await until(async () => !(await isAlive(pid)));
  });

  it("nobody gets a connection that was made with another key or another agent", async () => {
    const other = join(home.dir, "other-key");
    await copyFile(box.identity, other);
    await chmod(other, 0o600);
    await ami(home, on("true"));
    await ami(home, on("true"), { env: { SHLVL: "7" } });
    expect(await logins()).toHaveLength(1);
    await ami(home, on("--identity", other, "true"));
    expect(await logins()).toHaveLength(2);
    await ami(home, on("true"), { env: { SSH_AUTH_SOCK: "/nowhere" } });
    expect(await logins()).toHaveLength(3);
    // A config that says otherwise is another way there, and is read each time.
    const config = join(home.dir, "config");
    await writeFile(config, `${await readFile(box.configFile, "utf8")}  IdentityFile /no/such/key\n`);
    const words = ["ssh", "execute", "--ssh-config", config, "--target", "box", "true"];
    expect((await ami(home, words)).code).toBe(0);
    await writeFile(config, (await readFile(box.configFile, "utf8")).replace(box.identity, "/no/such/key"));
    expect((await ami(home, words)).code).toBe(4);
  });

  it("paths and programs of the ssh config are seen from where the command is", async () => {
    await mkdir(join(home.dir, "there"));
    await writeFile(
      join(home.dir, "there/config"),
      `Match exec "test -e id && test $WHO = me"\n  User ${box.user}\n  IdentityFile id\n  UserKnownHostsFile known\nHost box\n  User nobody\n  HostName ${box.host}\n  Port ${box.port}\n  StrictHostKeyChecking yes\n`,
    );
    await copyFile(box.identity, join(home.dir, "there/id"));
    await chmod(join(home.dir, "there/id"), 0o600);
    await copyFile(box.knownHosts, join(home.dir, "there/known"));
    const words = ["ssh", "execute", "--ssh-config", join(home.dir, "there/config"), "--target", "box", "echo x"];
    const there = { cwd: join(home.dir, "there"), env: { WHO: "me" } };
    expect(await ami(home, words, there)).toMatchObject({ code: 0, stdout: "x\n", stderr: "" });
    expect(await logins()).toHaveLength(1);
    const { through, plain } = await bothWays(words);
    expect(through).toEqual(plain);
    expect(through.code).not.toBe(0);
  });

  it("a folder that others may enter is not trusted", async () => {
    await ami(home, on("true"));
    await chmod(place.folder, 0o755);
    const ran = await ami(home, on("echo x"));
    expect(ran).toMatchObject({ code: 0, stdout: "x\n", stderr: expect.stringContaining("is not private") });
    await chmod(place.folder, 0o700);
    expect((await ami(home, on("echo x"))).stderr).toBe("");
  });

  it("what must run here runs here: this machine itself, files of the visitor", async () => {
    await ami(home, on("true"));
    expect(await ami(home, ["ssh", "execute", "--target", "local", "pwd"])).toMatchObject({
      code: 0,
      stdout: `${home.dir}\n`,
    });
    await writeFile(join(home.dir, "hello.sh"), "echo from a file\n");
    const words = ["ssh", "execute", "--ssh-config", box.configFile, "--target", "box", "--script", "hello.sh"];
    expect(await ami(home, words)).toMatchObject({ code: 0, stdout: "from a file\n", stderr: "" });
    expect((await ami(home, on("--no-such-flag", "true"))).code).toBe(64);
  });

  it("a connection that was lost is made again, and nothing runs twice", async () => {
    await ami(home, on("true"));
    const file = join(home.dir, "count");
    const child = start(home, on(`echo ran >> ${file}; echo begun; sleep 300`));
    let said = "";
    child.stdout?.on("data", (bytes: Buffer) => (said += bytes.toString()));
    await until(() => said.includes("begun"));
    for (const pid of await box.connections()) process.kill(pid, "SIGKILL");
    expect(await exitOf(child)).toBe(4);
    expect(await ami(home, on("echo again"))).toMatchObject({ code: 0, stdout: "again\n" });
    expect(await readFile(file, "utf8")).toBe("ran\n");
  });
});

needs("sshd", "unshare")("the broker where nothing can be written", () => {
  it("is done without, which is said", async () => {
    const box = await startSshd();
    const home = await inventHome();
    try {
      const dir = join(home.dir, "full");
      await mkdir(dir);
      const words = ["ssh", "execute", "--ssh-config", box.configFile, "--target", "box", "echo x"];
      // Settings fit in, and then the disk is full.
      const fill = `mount -t tmpfs -o size=16k,mode=700 none "$1" && printf '{"ssh":{"persist":"5m"}}' > "$1/config.json" && cat /dev/zero > "$1/fill"; shift; exec "$@"`;
      const ran = await promisify(execFile)("unshare", ["-m", "sh", "-c", fill, "sh", dir, ...program, ...words], {
        env: { ...home.env, AMI_NODE_CONFIG_DIR: dir },
      });
      expect(ran.stdout).toBe("x\n");
      expect(ran.stderr).toMatch(/warning: the connection will not stay open: .*(ENOSPC|no space|ended at once)/i);
    } finally {
      await home.remove();
      await box.stop();
    }
  });
});

async function firstLine(child: ReturnType<typeof start>): Promise<number> {
  let said = "";
  child.stdout?.on("data", (bytes: Buffer) => (said = (said + bytes.toString()).slice(0, 100)));
  await until(() => said.includes("\n"));
  return Number(said.split("\n")[0]);
}

function sum(bytes: Buffer): string {
  return createHash("sha256").update(bytes).digest("hex");
}

/** Not one that only waits to be counted. */
async function isAlive(pid: number): Promise<boolean> {
  return (await processMark(pid)) !== undefined;
}

async function until(holds: () => boolean | Promise<boolean>): Promise<void> {
  for (const late = Date.now() + 20_000; !(await holds()); await sleep(20))
    if (Date.now() > late) throw new Error("it did not come about within 20 s");
}
