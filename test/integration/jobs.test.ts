/** Jobs on real machines, by every kind of sh: they outlive whoever started them, and nothing they say is lost. */
import { spawnSync } from "node:child_process";
import { chmod, mkdir, mkdtemp, readFile, readdir, rm, stat, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from "vitest";
import { AmiError } from "../../src/core/errors.ts";
import type { Host } from "../../src/core/host.ts";
import { localHost } from "../../src/core/hosts/local.ts";
import { openHosts } from "../../src/core/hosts/open.ts";
import { attachJob } from "../../src/core/jobs/attach.ts";
import { removeJobs, signalJob, stopJob } from "../../src/core/jobs/end.ts";
import { type Job, type JobState, newJobId } from "../../src/core/jobs/job.ts";
import { listJobs } from "../../src/core/jobs/list.ts";
import { typeProgram } from "../../src/core/jobs/own-session.ts";
import { startJob } from "../../src/core/jobs/start.ts";
import { parseTarget } from "../../src/core/targets.ts";
import { needs, where } from "../servers/engines.ts";
import { type Account, type Sshd, createAccount, startSshd } from "../servers/sshd.ts";

const never = new AbortController().signal;

interface Seen {
  readonly state: JobState;
  readonly stdout: string;
  readonly stderr: string;
  readonly losses: number;
}

async function start(open: () => Promise<Host>, line: string, env?: Record<string, string>): Promise<string> {
  const id = newJobId();
  await startJob(open, { id, argv: ["sh", "-c", line], about: { command: line }, env }, never);
  return id;
}

async function attach(
  open: () => Promise<Host>,
  id: string,
  onOutput?: (text: string) => void | Promise<void>,
): Promise<Seen> {
  const said = { stdout: "", stderr: "" };
  let losses = 0;
  const state = await attachJob({
    id,
    open,
    follow: true,
    signal: never,
    async onOutput(stream, bytes) {
      said[stream] += bytes.toString();
      await onOutput?.(bytes.toString());
    },
    onLost: () => void losses++,
  });
  return { state, ...said, losses };
}

function localWith(own: Record<string, string>): Host {
  const local = localHost();
  return {
    ...local,
    exec: (argv, options = {}) => local.exec(argv, { ...options, env: { ...own, ...options.env } }),
    spawn: (argv, options = {}) => local.spawn(argv, { ...options, env: { ...own, ...options.env } }),
  };
}

async function find(host: Host, id: string): Promise<Job | undefined> {
  return (await listJobs(host, never)).find((job) => job.id === id);
}

async function stopAll(host: Host): Promise<void> {
  const left = (await listJobs(host, never)).filter(({ state }) => state.is !== "ended");
  await Promise.all(left.map(({ id }) => stopJob(host, id, 0, never)));
}

async function until(what: string, condition: () => Promise<boolean>): Promise<void> {
  for (const end = Date.now() + 60_000; Date.now() < end; await sleep(50)) if (await condition()) return;
  throw new Error(`within a minute it did not happen: ${what}`);
}

/** One that is gone by now is none to be cut. */
function kill(pid: number): void {
  try {
    process.kill(pid, "SIGKILL");
  } catch (error) {
    if (!(error instanceof Error && "code" in error && error.code === "ESRCH")) throw error;
  }
}

/** One that only waits to be counted by its parent has ended. */
async function isAlive(pid: number): Promise<boolean> {
  const stat = await readFile(`/proc/${pid}/stat`, "utf8").catch(() => "");
  return /^.*\) [^ZX]/s.test(stat);
}

/** The shells that `sh` may be, and machines without setsid. */
const machines = [
  ["dash", "dash"],
  ["bash", "bash"],
  ["busybox", "busybox"],
  ["zsh", "zsh"],
  ["no setsid", "dash"],
] as const;

for (const [machine, engine] of machines) {
  needs("linux", engine)(`jobs where sh is ${machine}`, () => {
    let dir: string;
    let host: Host;
    const open = (): Promise<Host> => Promise.resolve(host);
    beforeAll(async () => {
      dir = await mkdtemp(join(tmpdir(), "ami-jobs-"));
      const bin = join(dir, "bin");
      await mkdir(bin);
      let path = `${bin}:/usr/bin:/bin`;
      if (machine === "no setsid") {
        const tools =
          "basename sh cat chmod cut date env find grep head kill ls mkdir ps readlink rm sleep tail timeout tr uname wc true";
        for (const tool of tools.split(" ")) await symlink(where(tool) ?? "", join(bin, tool));
        path = bin;
      } else if (machine === "busybox") {
        const busybox = where("busybox") ?? "";
        const applets = spawnSync(busybox, ["--list"], { encoding: "utf8" }).stdout.trim().split("\n");
        for (const applet of applets) await symlink(busybox, join(bin, applet));
        path = bin;
      } else await symlink(where(machine) ?? "", join(bin, "sh"));
      // The words of Host.exec name programs: PATH decides which sh is meant.
      host = localWith({ PATH: path, HOME: dir });
    });
    afterAll(async () => {
      await stopAll(host);
      await host.close();
      await rm(dir, { recursive: true, force: true });
    });

    it.concurrent("says all it has to say, and how it ended", async () => {
      const id = await start(open, 'echo out; echo "err $X" >&2; sleep 0.2; umask; exit 3', { X: "a'b\nc" });
      expect(await attach(open, id)).toMatchObject({
        state: { is: "ended", exit: { code: 3 }, diskFull: false },
        stdout: expect.stringMatching(/^out\n0?022\n$/),
        stderr: "err a'b\nc\n",
        losses: 0,
      });
      expect((await stat(join(dir, ".ami-node/jobs", id))).mode & 0o777).toBe(0o700);
      expect(await find(host, id)).toMatchObject({ stdout: expect.any(Number), state: { is: "ended" } });
      expect(await removeJobs(host, [id, "aaaaaaaa"], never)).toEqual(["removed", "absent"]);
      expect(await find(host, id)).toBeUndefined();
      await expect(attach(open, id)).rejects.toMatchObject({ code: "job.absent" });
    });

    it.concurrent("hears Ctrl-C as a program in a terminal does", async () => {
      const id = await start(open, "trap 'echo caught; exit 5' INT; echo up; while :; do sleep 0.1; done");
      const seen = await attach(open, id, async (text) => {
        if (text.includes("up")) await signalJob(host, id, "INT", never);
      });
      expect(seen).toMatchObject({ state: { exit: { code: 5 } }, stdout: "up\ncaught\n" });
    });

    it.concurrent("is stopped with all that it started", async () => {
      const id = await start(open, "trap '' TERM; timeout 900 sleep 800 & echo $!; sleep 700 & echo $!; wait; wait");
      const job = join(dir, ".ami-node/jobs", id);
      await until("two pids", async () => (await readFile(join(job, "out"), "utf8")).split("\n").length === 3);
      const pids = (await readFile(join(job, "out"), "utf8")).trim().split("\n").map(Number);
      expect(await removeJobs(host, [id], never)).toEqual(["running"]);
      const stopped = await stopJob(host, id, 0, never);
      expect(stopped.how).toMatch(/stopped|killed/);
      for (const pid of pids) await until("its end", async () => !(await isAlive(pid)));
      expect((await find(host, id))?.state.is).toBe("ended");
      expect((await stopJob(host, id, 500, never)).how).toBe("ended before");
    });

    it.concurrent("is lost when its runner was killed, and what is left of it can still be stopped", async () => {
      const id = await start(open, "echo $$; exec sleep 600");
      const job = join(dir, ".ami-node/jobs", id);
      await until("its pid", async () => (await readFile(join(job, "out"), "utf8")) !== "");
      const pid = Number(await readFile(join(job, "out"), "utf8"));
      const runner = Number((await readFile(join(job, "pid"), "utf8")).split(" ")[0]);
      process.kill(runner, "SIGKILL");
      await until("lost", async () => (await find(host, id))?.state.is === "lost");
      expect((await attach(open, id)).state).toEqual({ is: "lost" });
      expect(await isAlive(pid)).toBe(true);
      await stopJob(host, id, 5000, never);
      await until("the end of what was left", async () => !(await isAlive(pid)));
      // A process that has got the pid of the runner is another one.
      const record = await readFile(join(job, "pid"), "utf8");
      await writeFile(join(job, "pid"), record.replace(/^\d+/, String(process.pid)));
      expect((await find(host, id))?.state.is).toBe("lost");
    });

    it.concurrent("is started once, however often that is asked for", async () => {
      const id = newJobId();
      const argv = ["sh", "-c", "echo once"] as const;
      const wish = { id, argv, about: { command: "x" } };
      await Promise.all([1, 2, 3].map(() => startJob(open, wish, never)));
      expect((await attach(open, id)).stdout).toBe("once\n");
      expect((await listJobs(host, never)).filter((each) => each.id === id)).toHaveLength(1);
    });
  });
}

needs("linux")("jobs on a machine where things happen", () => {
  let dir: string;
  let host: Host;
  const open = (): Promise<Host> => Promise.resolve(host);
  beforeEach(async () => {
    dir = await mkdtemp(join(tmpdir(), "ami jobs-"));
    host = localWith({ HOME: dir });
  });
  afterEach(async () => {
    await stopAll(host);
    await host.close();
    await rm(dir, { recursive: true, force: true });
  });
  const folder = (id: string): string => join(dir, ".ami-node/jobs", id);
  const age = (id: string, ...names: readonly string[]): void => {
    for (const name of names) spawnSync("touch", ["-d", "32 days ago", join(folder(id), name)]);
  };
  const everything = ["about", "run", "pid", "end", "out", "err", "."];
  const killRunner = async (id: string): Promise<void> => {
    process.kill(Number((await readFile(join(folder(id), "pid"), "utf8")).split(" ")[0]), "SIGKILL");
    await until("lost", async () => (await find(host, id))?.state.is === "lost");
  };

  it("get the environment that was wished for, and keep what they inherit, while their keeper has its own", async () => {
    // Names that a shell program is tempted to use, from the login of the machine.
    const there = localWith({ HOME: dir, D: "d", U: "u", J: "j", M: "m", S: "s", H: "h", i: "i", d: "dd", u: "uu" });
    const openThere = (): Promise<Host> => Promise.resolve(there);
    const env = { HOME: "/nowhere", PATH: "/nowhere", AMI_NODE_JOB: "another", X: "a'b\nc" };
    const id = newJobId();
    const line = 'echo "$D $U $J $M $S $H $i $d $u $HOME $PATH $AMI_NODE_JOB $X $ami_wished"';
    const wish = { id, argv: ["/bin/sh", "-c", line] as const, about: { command: "x" }, env };
    await startJob(openThere, wish, never);
    expect((await attach(openThere, id)).stdout).toBe(`d u j m s h i dd uu /nowhere /nowhere ${id} a'b\nc \n`);
    await there.close();
    await expect(startJob(open, { ...wish, env: { "A.B": "1" } }, never)).rejects.toMatchObject({
      code: "usage.input",
    });
    await expect(startJob(open, { ...wish, argv: ["echo", "a\0b"] }, never)).rejects.toMatchObject({
      code: "usage.input",
    });
  });

  it("are refused where the user has no home", async () => {
    const homeless = localWith({ HOME: "" });
    await expect(start(() => Promise.resolve(homeless), "true")).rejects.toMatchObject({
      code: "job.failed",
      message: expect.stringContaining("has no home"),
    });
    await homeless.close();
  });

  it("are no secret when whoever starts them does not hear whether they began", async () => {
    const control = new AbortController();
    const deaf: Host = {
      ...host,
      async exec(argv, options) {
        await host.exec(argv, { ...options, signal: undefined });
        control.abort();
        throw new AmiError("run.cancelled", "interrupted");
      },
    };
    const id = newJobId();
    const told: string[] = [];
    const wish = { id, argv: ["true"] as const, about: { command: "x" }, onUnknown: () => told.push(id) };
    await expect(startJob(() => Promise.resolve(deaf), wish, control.signal)).rejects.toMatchObject({
      code: "run.cancelled",
    });
    expect(told).toEqual([id]);
    expect(await find(host, id)).toBeDefined();
    const broken: Host = { ...host, exec: () => Promise.reject(new AmiError("job.failed", "no")) };
    await expect(startJob(() => Promise.resolve(broken), wish, never)).rejects.toMatchObject({ code: "job.failed" });
    expect(told).toHaveLength(1);
  });

  it("are typed to by a program that does not wait for a terminal that is gone", async () => {
    const id = await start(open, 'mkfifo "$HOME/.ami-node/jobs/$AMI_NODE_JOB/in"');
    await attach(open, id);
    const typed = await host.exec(typeProgram(id), { stdin: "keys\n", timeout: 30_000 });
    expect(typed.exit).not.toEqual({ code: 0 });
  });

  it("are stopped with what left their session", async () => {
    const id = await start(open, "setsid sleep 600 & echo $!; wait");
    await until("its pid", async () => (await readFile(join(folder(id), "out"), "utf8")) !== "");
    const pid = Number(await readFile(join(folder(id), "out"), "utf8"));
    await stopJob(host, id, 5000, never);
    expect(await isAlive(pid)).toBe(false);
  });

  it("are not removed while a process of theirs is left, though nobody knows their end", async () => {
    const id = await start(open, "echo up; sleep 600; :");
    // A runner that is killed at once has started nothing.
    await until("its beginning", async () => (await readFile(join(folder(id), "out"), "utf8")) !== "");
    await killRunner(id);
    expect(await removeJobs(host, [id], never)).toEqual(["running"]);
    await stopJob(host, id, 0, never);
    expect(await removeJobs(host, [id], never)).toEqual(["removed"]);
  });

  it("go 30 days after their end, when another one is started", async () => {
    const begin = async (line: string): Promise<string> => start(open, line);
    const [old = "", fresh = "", touched = "", runs = "", lost = ""] = await Promise.all(
      ["true", "true", "true", "exec sleep 600", "exec sleep 600"].map(begin),
    );
    await Promise.all([killRunner(lost), ...[old, fresh, touched].map((id) => attach(open, id))]);
    age(old, ...everything);
    age(runs, ...everything);
    age(lost, ...everything);
    // The end of one that was lost is as old as its beginning.
    age(touched, "end");
    const left = async (): Promise<Set<string>> => {
      const last = await start(open, "true");
      const ids = await readdir(join(dir, ".ami-node/jobs"));
      return new Set(ids.filter((id) => id !== last));
    };
    expect(await left()).toEqual(new Set([fresh, touched, runs, lost]));
    await stopJob(host, lost, 0, never);
    age(lost, ...everything);
    expect(await left()).toContain(lost);
    // Seen to be lost, and that is long ago by now.
    age(lost, "lost", ...everything);
    expect(await left()).not.toContain(lost);
  });

  it("are found when the machine was given another name, and not on another machine with the same home", async () => {
    const id = await start(open, "exec sleep 600");
    const pid = join(folder(id), "pid");
    const record = await readFile(pid, "utf8");
    const words = record.trim().split(" ");
    const renamed = words.with(5, "renamed");
    await writeFile(pid, `${renamed.join(" ")}\n`);
    expect((await find(host, id))?.state.is).toBe("running");
    for (const other of [renamed.with(6, "pid:[1]"), renamed.with(1, "another-boot.1")]) {
      await writeFile(pid, `${other.join(" ")}\n`);
      expect(await find(host, id)).toBeUndefined();
    }
    await writeFile(pid, record);
  });
});

needs("sshd", "unshare")("jobs behind sshd", () => {
  let box: Sshd;
  let hosts: ReturnType<typeof openHosts>;
  const open = (): Promise<Host> => hosts.open(parseTarget("box"));
  beforeAll(async () => {
    box = await startSshd();
  });
  afterAll(() => box?.stop());
  beforeEach(() => {
    hosts = openHosts({ ssh: { configFile: box.configFile, env: {} } });
  });
  afterEach(() => hosts.close());
  const cut = async (): Promise<void> => {
    for (const pid of await box.connections()) kill(pid);
  };

  it("are read to the last line through one cut after another", async () => {
    const go = await mkdtemp(join(tmpdir(), "ami-go-"));
    const line = `i=0; while [ $i -lt 20000 ]; do i=$((i+1)); echo "line $i"; [ $((i%5000)) -ne 0 ] || until [ -e ${go}/$i ]; do sleep 0.05; done; done; echo end >&2; exit 9`;
    const id = await start(open, line);
    let lines = 0;
    let cuts = 0;
    const seen = await attach(open, id, async (text) => {
      lines += text.split("\n").length - 1;
      if (lines < (cuts + 1) * 5000) return;
      // It waits here, and what comes next can only come by another connection.
      cuts++;
      await cut();
      await writeFile(`${go}/${cuts * 5000}`, "");
    });
    await rm(go, { recursive: true });
    expect(seen.losses).toBeGreaterThanOrEqual(3);
    expect(seen.state).toMatchObject({ is: "ended", exit: { code: 9 } });
    expect(seen.stderr).toBe("end\n");
    expect(seen.stdout).toBe(Array.from({ length: 20_000 }, (_, i) => `line ${i + 1}\n`).join(""));
  });

  it("leave nobody behind who follows them when a connection is cut", async () => {
    const id = await start(open, "exec sleep 300");
    const followers = async (): Promise<string[]> => {
      const pids = (await readdir("/proc")).filter((name) => /^\d+$/.test(name));
      const lines = await Promise.all(pids.map((pid) => readFile(`/proc/${pid}/cmdline`, "utf8").catch(() => "")));
      return lines.filter((line) => line.includes("ami_send") && line.includes(id));
    };
    const control = new AbortController();
    const attached = attachJob({ id, open, follow: true, signal: control.signal, onOutput: () => undefined });
    await until("a follower", async () => (await followers()).length > 0);
    control.abort();
    await expect(attached).rejects.toMatchObject({ code: "run.cancelled" });
    const other = openHosts({ ssh: { configFile: box.configFile, env: {} } });
    const again = attachJob({
      id,
      open: () => other.open(parseTarget("box")),
      follow: true,
      signal: never,
      onOutput: () => undefined,
    }).catch(() => undefined);
    await until("a follower", async () => (await followers()).length > 0);
    await other.close();
    await cut();
    await again;
    await until("no follower", async () => (await followers()).length === 0);
    await stopJob(await open(), id, 0, never);
  });

  it("say that the disk is full: when they start, and when they could not keep all they said", async () => {
    // A small file system that only the sessions of this server see.
    const full = await startSshd();
    const there = openHosts({ ssh: { configFile: full.configFile, env: {} } });
    const openThere = (): Promise<Host> => there.open(parseTarget("box"));
    try {
      const home = (await (await openThere()).exec(["sh", "-c", 'mkdir -p "$HOME/.ami-node"; printf %s "$HOME"']))
        .stdout;
      const mount = ["mount", "-t", "tmpfs", "-o", "size=128k", "tmpfs", `${home.toString()}/.ami-node`];
      expect(spawnSync(where("nsenter") ?? "", ["-t", String(full.pid), "-m", ...mount]).status).toBe(0);
      const id = await start(openThere, "head -c 1000000 /dev/zero; exit 4");
      const seen = await attach(openThere, id);
      expect(seen.state).toMatchObject({ is: "ended", exit: { code: 4 }, diskFull: true });
      await expect(start(openThere, "true")).rejects.toMatchObject({
        code: "job.failed",
        message: expect.stringContaining("No space left"),
        hint: expect.stringContaining("make room"),
      });
      expect((await listJobs(await openThere(), never)).map((job) => job.id)).toEqual([id]);
    } finally {
      await there.close();
      await full.stop();
    }
  });
});

needs(
  "sshd",
  "root",
  "useradd",
  "sudo",
)("jobs of another user", () => {
  let account: Account;
  let box: Sshd;
  beforeAll(async () => {
    account = await createAccount({ sudo: "password" });
    await chmod(account.home, 0o700);
    box = await startSshd({ user: account.name });
  });
  afterAll(async () => {
    await box?.stop();
    await account?.remove();
  });

  it("are root's own behind sudo, and outlive the connection", async () => {
    const { Secret } = await import("../../src/core/secret.ts");
    const become = { user: "root", method: "sudo", password: new Secret(account.password) } as const;
    const first = openHosts({ ssh: { configFile: box.configFile, env: {} }, become });
    const id = await start(() => first.open(parseTarget("box")), "id -un; sleep 1; echo later; exit 6");
    await first.close();
    const second = openHosts({ ssh: { configFile: box.configFile, env: {} }, become });
    const open = (): Promise<Host> => second.open(parseTarget("box"));
    expect(await attach(open, id)).toMatchObject({ state: { exit: { code: 6 } }, stdout: "root\nlater\n" });
    const plain = await second.open(parseTarget("box"), { become: false });
    expect(await listJobs(plain, never)).toEqual([]);
    expect(await removeJobs(await open(), [id], never)).toEqual(["removed"]);
    await second.close();
  });
});
