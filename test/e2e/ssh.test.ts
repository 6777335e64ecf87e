/** ssh execute, put and get against real servers: output byte for byte, exit codes, keys, passwords, jumps, many at once. */
import { spawn } from "node:child_process";
import { createHash, randomBytes } from "node:crypto";
import { readFile, stat, writeFile } from "node:fs/promises";
import { release } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from "vitest";
import { needs, where } from "../servers/engines.ts";
import { type Account, type Sshd, createAccount, startSshd } from "../servers/sshd.ts";
import { type Home, ami, exitOf, inventHome, program, start } from "./run.ts";
import { openTerminal } from "./terminal.ts";

let home: Home;
beforeEach(async () => {
  home = await inventHome();
});
afterEach(() => home.remove());

needs("sshd", "ssh")("ssh against one server", () => {
  let box: Sshd;
  beforeAll(async () => {
    box = await startSshd({ config: ["MaxSessions 10"] });
  });
  afterAll(() => box?.stop());
  const on = (...words: readonly string[]): readonly string[] => [
    "ssh",
    ...words.slice(0, 1),
    "--ssh-config",
    box.configFile,
    "--target",
    "box",
    ...words.slice(1),
  ];

  it("passes output and exit code of one host on as they are", async () => {
    const ran = await ami(home, on("execute", "printf 'out\\n'; printf 'err\\n' >&2; exit 42"));
    expect(ran).toMatchObject({ code: 42, stdout: "out\n", stderr: "err\n" });
    expect((await ami(home, on("execute", "kill -9 $$"))).code).toBe(137);
    expect((await ami(home, on("execute", "no-such-program"))).code).toBe(127);
  });

  it("passes words of a program on uninterpreted", async () => {
    const words = ["$HOME `id`", "a'b\"c", "", "*", "--flag", "\\n", "ä€😀"];
    const ran = await ami(home, on("execute", "--", "printf", "[%s]", ...words));
    expect(ran).toMatchObject({ code: 0, stdout: words.map((word) => `[${word}]`).join("") });
  });

  it("carries 32 MiB of binary data in and out unchanged", async () => {
    const data = randomBytes(32 * 2 ** 20);
    const ran = await ami(home, on("execute", "--stdin", "cat"), { stdin: data });
    expect(ran.code).toBe(0);
    expect(createHash("sha256").update(ran.bytes).digest("hex")).toBe(createHash("sha256").update(data).digest("hex"));
  }, 120_000);

  it("sets variables that no process list shows", async () => {
    const line = 'ps ax -o args | grep -c "[s]ecret-in-env"; printf "%s\\n" "$TOKEN"';
    const ran = await ami(home, on("execute", "--env", "TOKEN=secret-in-env", line));
    // One hit at most: our own argv on this very machine.
    const [hits = "", value] = ran.stdout.split("\n");
    expect(value).toBe("secret-in-env");
    expect(Number(hits)).toBeLessThanOrEqual(1);
  });

  it("puts a file with its mode and gets it back", async () => {
    const data = randomBytes(3_000_000);
    const local = join(home.dir, "local.bin");
    await writeFile(local, data);
    const there = join(box.dir, "there.bin");
    expect(await ami(home, on("put", local, there, "--mode", "0640"))).toMatchObject({ code: 0 });
    expect((await readFile(there)).equals(data)).toBe(true);
    expect((await stat(there)).mode & 0o777).toBe(0o640);
    const back = join(home.dir, "back.bin");
    expect(await ami(home, on("get", there, back))).toMatchObject({ code: 0 });
    expect((await readFile(back)).equals(data)).toBe(true);
  });

  it("ends the remote processes when it is interrupted", async () => {
    const mark = join(box.dir, "running");
    const child = start(home, on("execute", `echo $$ > ${mark}; sleep 1000; echo late >> ${mark}`));
    await until(async () => (await readFile(mark, "utf8").catch(() => "")).endsWith("\n"));
    const pid = Number(await readFile(mark, "utf8"));
    child.kill("SIGINT");
    expect(await exitOf(child)).toBe(130);
    await until(async () => !(await isAlive(pid)));
    expect(await readFile(mark, "utf8")).toBe(`${pid}\n`);
  });

  it("ends them too when the Ctrl-C of the terminal reaches the program behind a ProxyCommand", async () => {
    const config = join(home.dir, "config");
    const way = `ProxyCommand ${where("ssh")} -F ${box.configFile} -W %h:%p box`;
    await writeFile(config, (await readFile(box.configFile, "utf8")).replace(/^Host .*$/m, `Host box\n  ${way}`));
    const mark = join(box.dir, "behind");
    const line = `echo $$ > ${mark}; sleep 1000; echo late >> ${mark}`;
    const [file, ...first] = program;
    const args = [...first, "ssh", "execute", "--ssh-config", config, "--target", "box", line];
    // In a process group of its own, as a shell starts it.
    const child = spawn(file, args, { env: { ...home.env }, cwd: home.dir, stdio: "ignore", detached: true });
    await until(async () => (await readFile(mark, "utf8").catch(() => "")).endsWith("\n"));
    const pid = Number(await readFile(mark, "utf8"));
    process.kill(-(child.pid ?? 0), "SIGINT");
    expect(await exitOf(child)).toBe(130);
    // The tunnel held until then.
    expect(await isAlive(pid)).toBe(false);
    expect(await readFile(mark, "utf8")).toBe(`${pid}\n`);
  });

  it("refuses an unknown host key with 5, a key nobody accepts with 4, nobody there with 4", async () => {
    const address = `${box.user}@${box.host}:${box.port}`;
    const unknown = await ami(home, ["ssh", "execute", "--target", address, "--identity", box.identity, "true"]);
    expect(unknown.code).toBe(5);
    expect(unknown.stderr).toMatch(/SHA256:/);
    const accepted = await ami(home, [
      "ssh",
      "execute",
      "--accept-new",
      "--target",
      address,
      "--identity",
      box.identity,
      "echo in",
    ]);
    expect(accepted).toMatchObject({ code: 0, stdout: "in\n" });
    const known = await ami(home, ["ssh", "execute", "--target", address, "--identity", box.identity, "echo in"]);
    expect(known).toMatchObject({ code: 0, stdout: "in\n" });
    expect((await ami(home, ["ssh", "execute", "--target", address, "true"])).code).toBe(4);
    expect((await ami(home, ["ssh", "execute", "--accept-new", "--target", "127.0.0.1:1", "true"])).code).toBe(4);
  });

  it("runs a script of this machine with any interpreter", async () => {
    const script = join(home.dir, "job.awk");
    await writeFile(script, 'BEGIN { print "from awk", ARGV[1] }\n');
    const ran = await ami(home, on("execute", "--script", script, "--interpreter", "awk -f", "word"));
    expect(ran).toMatchObject({ code: 0, stdout: "from awk word\n" });
  });

  it("says what the machine is", async () => {
    const there = ["--ssh-config", box.configFile, "--target", "box"];
    const card = await ami(home, ["system", "info", ...there]);
    expect(card).toMatchObject({ code: 0, stdout: expect.stringMatching(/^box[\s\S]*kernel +\S+/) });
    const { stdout } = await ami(home, ["system", "info", "--json", ...there]);
    expect(JSON.stringify(JSON.parse(stdout))).toContain(release());
  });

  it("says every event in --json, the last one the result", async () => {
    const ran = await ami(home, on("execute", "--json", "echo hi; exit 3"));
    const events = ran.stdout
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line) as Record<string, unknown>);
    expect(ran.code).toBe(3);
    expect(events.map((event) => event.seq)).toEqual(events.map((_, index) => index + 1));
    expect(events.find((event) => event.kind === "output")).toMatchObject({ stream: "stdout", data: "hi\n" });
    expect(events.at(-1)).toMatchObject({ kind: "result", exit: 3 });
  });
});

needs("sshd")("ssh on many servers", () => {
  it("runs on 100 targets at once, and says which failed", async () => {
    const box = await startSshd({ config: ["MaxSessions 10"] });
    try {
      const config = join(home.dir, "config");
      const names = Array.from({ length: 100 }, (_, index) => `node${index}`);
      const one = (await readFile(box.configFile, "utf8")).replace(/^Host .*$/m, "Host node*");
      await writeFile(config, one);
      await writeFile(join(home.dir, "targets"), `# a hundred\n${names.join("\n")}\n`);
      const many = [
        "ssh",
        "execute",
        "--ssh-config",
        config,
        "--targets-file",
        join(home.dir, "targets"),
        "--parallel",
        "100",
      ];
      const ran = await ami(home, [...many, "echo here"]);
      expect(ran.code).toBe(0);
      expect(ran.stdout.trim().split("\n").sort()).toEqual(names.map((name) => `[${name}] here`).sort());
      const folded = await ami(home, [...many, "--fold", "echo same"]);
      expect(folded.code).toBe(0);
      expect(folded.stdout.match(/same/g)).toHaveLength(1);
      expect((await ami(home, [...many, "exit 9"])).code).toBe(3);
    } finally {
      await box.stop();
    }
  }, 120_000);

  it("reaches a host through another one", async () => {
    const [gate, inner] = await Promise.all([startSshd({ name: "gate" }), startSshd({ name: "inner" })]);
    try {
      const config = join(home.dir, "config");
      const through = (await readFile(inner.configFile, "utf8")).replace(/^(Host .*)$/m, "$1\n  ProxyJump gate");
      await writeFile(config, `${await readFile(gate.configFile, "utf8")}\n${through}`);
      const ran = await ami(home, [
        "ssh",
        "execute",
        "--ssh-config",
        config,
        "--target",
        "inner",
        "echo $SSH_CONNECTION",
      ]);
      expect(ran).toMatchObject({ code: 0, stdout: expect.stringContaining(` ${inner.port}\n`) });
      expect(gate.log()).toMatch(/direct-tcpip|Accepted publickey/);
    } finally {
      await Promise.all([gate.stop(), inner.stop()]);
    }
  });
});

needs(
  "sshd",
  "root",
  "useradd",
  "tmux",
  "sudo",
)("ssh with passwords", () => {
  let box: Sshd;
  let account: Account;
  beforeAll(async () => {
    account = await createAccount({ sudo: "password" });
    box = await startSshd({
      user: account.name,
      config: ["PasswordAuthentication yes", "PubkeyAuthentication no", "UsePAM yes"],
    });
  });
  afterAll(async () => {
    await box?.stop();
    await account?.remove();
  });

  it("asks for the login's password and for sudo's at the terminal, unseen", async () => {
    const words = [
      "ssh",
      "execute",
      "--ssh-config",
      box.configFile,
      "--target",
      "box",
      "--ask-pass",
      "--ask-become-pass",
      "--become",
      "id -un",
    ];
    const terminal = await openTerminal(home, [...program, ...words]);
    try {
      for (const question of [/\? .*sudo/, /\? .*ssh/]) {
        await terminal.sees(question);
        await terminal.type(account.password);
        await terminal.press("Enter");
      }
      const end = await terminal.sees(/exit: \d+/);
      expect(end).toMatch(/^root$/m);
      expect(end).toMatch(/exit: 0/);
      expect(end).not.toContain(account.password);
    } finally {
      await terminal.close();
    }
  });

  it("a tunnel in the background is let in by what was typed before it went there, again and again", async () => {
    const words = ["ssh", "tunnel", "--ssh-config", box.configFile, "box", "-D", "0", "--background"];
    const terminal = await openTerminal(home, [...program, ...words]);
    try {
      await terminal.sees(/\? .*Password/i);
      await terminal.type(account.password);
      await terminal.press("Enter");
      expect(await terminal.sees(/exit: \d+/)).toMatch(/exit: 0/);
      const list = async () => JSON.parse((await ami(home, ["ssh", "tunnel", "list", "--json"])).stdout).tunnels[0];
      const { since } = await list();
      for (const pid of await box.connections()) process.kill(pid, "SIGKILL");
      await until(async () => {
        const now = await list();
        return now.state === "up" && now.since !== since;
      });
    } finally {
      await ami(home, ["ssh", "tunnel", "close", "--all"]);
      await terminal.close();
    }
  });
});

async function until(met: () => Promise<boolean>): Promise<void> {
  const deadline = Date.now() + 20_000;
  while (!(await met())) {
    if (Date.now() > deadline) throw new Error("it did not happen in 20 s");
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

async function isAlive(pid: number): Promise<boolean> {
  const status = await readFile(`/proc/${pid}/stat`, "utf8").catch(() => undefined);
  return status !== undefined && !/\) Z /.test(status);
}
