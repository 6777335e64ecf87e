/** The ssh of this machine logs in for us: what it asks, what it is not allowed, and what becomes of it. */
import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, mkdtemp, readFile, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Host } from "../../src/core/host.ts";
import { type OpenHosts, openHosts } from "../../src/core/hosts/open.ts";
import { ownProgram } from "../../src/core/runtime-compat.ts";
import { Secret } from "../../src/core/secret.ts";
import type { Question, SshOptions } from "../../src/core/ssh/options.ts";
import { keeper } from "../../src/core/ssh/system/master.ts";
import { parseTarget } from "../../src/core/targets.ts";
import { needs } from "../servers/engines.ts";
import { type Account, type Sshd, createAccount, startSshd } from "../servers/sshd.ts";

/** An exchange of keys that our own transport has not. */
const beyondUs = "KexAlgorithms sntrup761x25519-sha512@openssh.com";

needs(
  "sshd",
  "ssh",
  "root",
  "useradd",
)("the ssh of this machine", () => {
  let dir: string;
  let sshd: Sshd;
  let account: Account;
  const open = new Set<OpenHosts>();

  beforeAll(async () => {
    dir = await mkdtemp(join(tmpdir(), "ami-system-"));
    account = await createAccount();
    sshd = await startSshd({ config: ["UsePAM yes", "KbdInteractiveAuthentication yes", "PermitRootLogin yes"] });
  });
  afterAll(async () => {
    await Promise.all([...open].map((hosts) => hosts.close()));
    await sshd?.stop();
    await account?.remove();
    await rm(dir, { recursive: true, force: true });
  });

  /** The config of the server with these lines first. */
  async function config(...lines: string[]): Promise<string> {
    const file = join(dir, `config-${Math.random().toString(36).slice(2)}`);
    await writeFile(file, `${lines.map((line) => `${line}\n`).join("")}${await readFile(sshd.configFile, "utf8")}`);
    return file;
  }
  async function enter(options: SshOptions, target = sshd.name): Promise<Host> {
    const hosts = openHosts({ ssh: { env: {}, configFile: sshd.configFile, transport: "system", ...options } });
    open.add(hosts);
    return hosts.open(parseTarget(target));
  }
  /** Logs in, and out again. */
  async function whoami(options: SshOptions, target?: string): Promise<string> {
    const before = new Set(open);
    try {
      return await text(await enter(options, target), ["id", "-un"]);
    } finally {
      await Promise.all([...open].filter((hosts) => !before.has(hosts)).map((hosts) => hosts.close()));
    }
  }

  describe("is chosen", () => {
    it("when the config asks for what we lack, and says why", async () => {
      const notes: string[] = [];
      const note: SshOptions["note"] = ({ text: words }) => void notes.push(words);
      expect(await whoami({ transport: undefined, configFile: await config(beyondUs), note })).toBe("root");
      expect(notes).toEqual([
        `the ssh of this machine logs in: the ssh config says ${beyondUs}, and none of that exists here`,
      ]);
    });

    it("and has to be there", async () => {
      await expect(enter({ env: { PATH: "/nowhere" } })).rejects.toMatchObject({
        code: "tool.missing",
        hint: expect.stringContaining("openssh-client"),
      });
    });

    it("for a jump host alone, while we log in behind it", async () => {
      const configFile = join(dir, "jump");
      const box = await readFile(sshd.configFile, "utf8");
      const bastion = box.replace("Host box", "Host bastion");
      await writeFile(configFile, `Host bastion\n  ${beyondUs}\nHost box\n  ProxyJump bastion\n${bastion}${box}`);
      const notes: string[] = [];
      const note: SshOptions["note"] = ({ host }) => void notes.push(host);
      expect(await whoami({ transport: undefined, configFile, note })).toBe("root");
      expect(notes).toEqual(["bastion"]);
      // And the other way round: it goes over the jump host by itself.
      expect(await whoami({ configFile })).toBe("root");
    });
  });

  describe("asks", () => {
    it("for the passphrase of a key, again when it was wrong", async () => {
      const key = join(dir, "locked");
      await run("ssh-keygen", ["-q", "-t", "ed25519", "-N", "open 'sesame' \\", "-f", key]);
      const server = await startSshd({ config: [`AuthorizedKeysFile ${key}.pub`] });
      const asked: Question[] = [];
      const answers = ["wrong", "open 'sesame' \\"];
      const ask: SshOptions["ask"] = async (question) => {
        asked.push(question);
        return new Secret(answers.shift() ?? "");
      };
      try {
        expect(await whoami({ configFile: server.configFile, identities: [key], ask })).toBe("root");
        expect(asked.map(({ kind, attempt, echo }) => [kind, attempt, echo])).toEqual([
          ["passphrase", 1, false],
          ["passphrase", 2, false],
        ]);
        expect(asked[0]?.text).toContain(key);
      } finally {
        await server.stop();
      }
    });

    it("for the password of the account", async () => {
      const configFile = await config("PubkeyAuthentication no");
      const asked: string[] = [];
      const ask: SshOptions["ask"] = async ({ kind, attempt }) => {
        asked.push(kind);
        return attempt === 1 ? new Secret(account.password) : undefined;
      };
      const target = `${account.name}@${sshd.name}`;
      expect(await whoami({ configFile, ask }, target)).toBe(account.name);
      expect(asked).toEqual(["password"]);
      const wrong: SshOptions["ask"] = async ({ attempt }) => (attempt === 1 ? new Secret("wrong") : undefined);
      await expect(whoami({ configFile, ask: wrong }, target)).rejects.toMatchObject({
        code: "ssh.auth",
        message: "the server took no password or code that was given",
      });
      await expect(whoami({ configFile }, target)).rejects.toMatchObject({ code: "ssh.auth" });
    });

    it("nothing about the key of this machine that other rules would take unseen", async () => {
      const known = join(dir, "known-here");
      const configFile = await config(`UserKnownHostsFile ${known}`, "NoHostAuthenticationForLocalhost yes");
      await expect(whoami({ configFile })).rejects.toMatchObject({ code: "hostkey.unknown" });
    });

    it("whether a host key is right, and takes none that changed", async () => {
      const known = join(dir, "known");
      const configFile = await config(`UserKnownHostsFile ${known}`, "StrictHostKeyChecking ask");
      const answer =
        (word: string): SshOptions["ask"] =>
        async ({ kind }) =>
          kind === "host-key" ? new Secret(word) : undefined;
      await expect(whoami({ configFile })).rejects.toMatchObject({ code: "hostkey.unknown" });
      await expect(whoami({ configFile, ask: answer("no") })).rejects.toMatchObject({ code: "hostkey.unknown" });
      await expect(whoami({ configFile, ask: async () => undefined })).rejects.toMatchObject({
        code: "hostkey.unknown",
        message: expect.stringContaining("SHA256:"),
      });
      expect(await whoami({ configFile, ask: answer("yes") })).toBe("root");
      expect(await whoami({ configFile })).toBe("root");
      const [line = ""] = (await readFile(sshd.knownHosts, "utf8")).split("\n");
      await run("ssh-keygen", ["-q", "-t", "ed25519", "-N", "", "-f", join(dir, "other")]);
      const other = (await readFile(join(dir, "other.pub"), "utf8")).split(" ")[1];
      await writeFile(known, `${line.split(" ").slice(0, 2).join(" ")} ${other}\n`);
      for (const acceptNew of [false, true])
        await expect(whoami({ configFile, acceptNew, ask: answer("yes") })).rejects.toMatchObject({
          code: "hostkey.changed",
        });
      await writeFile(known, `@revoked ${line}\n`);
      await expect(whoami({ configFile, acceptNew: true })).rejects.toMatchObject({ code: "hostkey.revoked" });
      await writeFile(known, "");
      expect(await whoami({ configFile, acceptNew: true })).toBe("root");
      expect(await readFile(known, "utf8")).toContain(line.split(" ")[2]);
    });
  });

  it("reads the config of another home than that of the password file", async () => {
    const home = join(dir, "home");
    await mkdir(join(home, ".ssh"), { recursive: true });
    const text = await readFile(sshd.configFile, "utf8");
    await writeFile(join(home, ".ssh", "config"), text.replaceAll(/^ *(UserKnownHostsFile|IdentityFile).*\n/gm, ""));
    await writeFile(join(home, ".ssh", "known_hosts"), await readFile(sshd.knownHosts));
    await writeFile(join(home, ".ssh", "id_ed25519"), await readFile(sshd.identity), { mode: 0o600 });
    expect(await whoami({ home, configFile: undefined })).toBe("root");
  });

  it("forwards the agent where the config says so", async () => {
    const socket = join(dir, "agent.sock");
    const agent = spawn("ssh-agent", ["-D", "-a", socket], { stdio: "ignore" });
    try {
      await until(async () => run("ssh-add", ["-q", sshd.identity], { SSH_AUTH_SOCK: socket }).then(...yesOrNo));
      const env = { SSH_AUTH_SOCK: socket };
      const host = await enter({ env, configFile: await config("ForwardAgent yes") });
      expect(await text(host, ["ssh-add", "-l"])).toContain("ami-test");
      const without = await enter({ env });
      expect(await text(without, ["ssh-add", "-l"])).toBe("");
    } finally {
      agent.kill();
    }
  });

  it("is started anew when the connection was lost", async () => {
    const host = await enter({});
    const running = await host.spawn(["sleep", "1000"]);
    running.stdout.resume();
    running.stderr.resume();
    const lost = expect(running.exit).rejects.toMatchObject({ code: "ssh.lost", retry: "unknown" });
    for (const pid of await sshd.connections()) process.kill(pid, "SIGKILL");
    await lost;
    expect(await text(host, ["echo", "again"])).toBe("again");
  });

  it("leaves nothing behind, whether we close it or are killed", async () => {
    const temp = await mkdtemp(join(dir, "tmp-"));
    const start = (line: string, configFile = sshd.configFile) =>
      spawn(
        ownProgram()[0],
        [resolve("src/cli.ts"), "ssh", "execute", line, "--transport", "system", "--target", sshd.name].concat(
          "--ssh-config",
          configFile,
        ),
        {
          env: { ...process.env, TMPDIR: temp, AMI_NODE_CONFIG_DIR: join(dir, "own") },
          stdio: ["ignore", "pipe", "inherit"],
        },
      );
    const isEmpty = async (): Promise<boolean> => (await readdir(temp)).length === 0;
    // Whose config would have ssh go its own way once it is logged in.
    const closed = start("echo up", await config("ForkAfterAuthentication yes"));
    await once(closed.stdout, "data");
    await once(closed, "close");
    await until(isEmpty);
    const killed = start("echo up; exec sleep 1000");
    await once(killed.stdout, "data");
    const [folder = ""] = await readdir(temp);
    const control = join(temp, folder, "c");
    await run("ssh", ["-F", "none", "-o", `ControlPath=${control}`, "-O", "check", "x"]);
    killed.kill("SIGKILL");
    await until(isEmpty);
    await expect(run("ssh", ["-F", "none", "-o", `ControlPath=${control}`, "-O", "check", "x"])).rejects.toThrow();
  });
});

it("the keeper clears up, however its ssh ends and whoever still listens", async () => {
  const dir = await mkdtemp(join(tmpdir(), "ami-keeper-"));
  const groups = new Map<string, number | undefined>();
  try {
    // What they stand for: one that connects for ever, one that is gone at once, one that takes its end badly.
    const stubborn = "trap 'exec sleep 0.2' TERM; while :; do sleep 0.1; done";
    const programs = [["sleep", "1000"], ["true"], ["sh", "-c", stubborn]];
    await Promise.all(
      Array.from({ length: 18 }, async (_, i) => {
        const folder = await mkdtemp(join(dir, "k-"));
        const words = programs[i % programs.length] ?? [];
        const child = spawn("/bin/sh", ["-c", keeper, "sh", folder, ...words], { detached: true });
        groups.set(folder, child.pid);
        child.stdin.on("error", () => undefined); // it may be gone
        await until(async () => (await readdir(folder).catch(() => ["gone"])).length > 0);
        // As when we are killed.
        for (const stream of [child.stdout, child.stderr, child.stdin]) stream.destroy();
      }),
    );
    await until(async () => (await readdir(dir)).length === 0);
  } finally {
    for (const left of await readdir(dir)) process.kill(-(groups.get(join(dir, left)) ?? NaN), "SIGKILL");
    await rm(dir, { recursive: true, force: true });
  }
});

async function text(host: Host, argv: readonly [string, ...string[]]): Promise<string> {
  return (await host.exec(argv)).stdout.toString().trim();
}

async function run(program: string, words: readonly string[], env: Record<string, string> = {}): Promise<void> {
  await promisify(execFile)(program, words, { env: { ...process.env, ...env } });
}

const yesOrNo = [(): boolean => true, (): boolean => false] as const;

async function until(condition: () => Promise<boolean>): Promise<void> {
  for (const end = Date.now() + 20_000; Date.now() < end; await new Promise((done) => setTimeout(done, 20)))
    if (await condition()) return;
  throw new Error("it did not become so within 20 s");
}
