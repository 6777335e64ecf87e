/** Logging in to a real sshd with everything ssh logs in with. */
import { execFile, spawn } from "node:child_process";
import { chmod, copyFile, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { AmiError } from "../../src/core/errors.ts";
import { openHosts } from "../../src/core/hosts/open.ts";
import { Secret } from "../../src/core/secret.ts";
import type { Question, SshOptions } from "../../src/core/ssh/options.ts";
import { type SshPool, createSshPool } from "../../src/core/ssh/pool.ts";
import { parseTarget } from "../../src/core/targets.ts";
import { needs, where } from "../servers/engines.ts";
import { type Account, type Sshd, createAccount, startSshd } from "../servers/sshd.ts";

needs(
  "sshd",
  "ssh",
  "root",
  "useradd",
)("logging in", () => {
  let dir: string;
  let account: Account;
  const pools: SshPool[] = [];
  const servers: Sshd[] = [];

  beforeAll(async () => {
    dir = await mkdtemp(join(tmpdir(), "ami-login-"));
    account = await createAccount();
  });
  afterEach(async () => {
    await Promise.all(pools.splice(0).map((pool) => pool.close()));
    await Promise.all(servers.splice(0).map((server) => server.stop()));
  });
  afterAll(async () => {
    await account.remove();
    await rm(dir, { recursive: true, force: true });
  });

  async function serve(...config: string[]): Promise<Sshd> {
    const server = await startSshd({ config });
    servers.push(server);
    return server;
  }
  /** A server that takes exactly this key. */
  async function serveFor(key: string, ...config: string[]): Promise<Sshd> {
    const server = await serve(`AuthorizedKeysFile ${key}.pub`, ...config);
    await chmod(dir, 0o755);
    return server;
  }
  async function keygen(name: string, ...args: string[]): Promise<string> {
    const file = join(dir, name);
    await run("ssh-keygen", ["-q", "-C", name, "-N", "", ...args, "-f", file]);
    return file;
  }
  /** Who one is there, after logging in as the config of the server and `options` say. */
  async function whoami(
    server: Sshd,
    options: Partial<SshOptions>,
    config: string[] = [],
    user?: string,
  ): Promise<string> {
    const configFile = join(server.dir, `client-${Math.random()}`);
    const place = [`HostName ${server.host}`, `Port ${server.port}`, `UserKnownHostsFile ${server.knownHosts}`];
    await writeFile(configFile, ["Host box", ...place, "StrictHostKeyChecking yes", ...config].join("\n  ") + "\n");
    const pool = createSshPool({ configFile, env: {}, home: dir, ...options });
    pools.push(pool);
    const { link } = await pool.link({ name: "box", host: "box", user: user ?? server.user });
    const { stdin, stdout, stderr, exit } = await link.session({ command: "id -un" });
    stdin.end();
    stderr.resume();
    const said = Buffer.concat(await stdout.toArray()).toString();
    expect(await exit).toEqual({ code: 0 });
    return said.trim();
  }
  /** Answers in turn; what was asked is in `questions`. */
  function answers(...words: (string | undefined)[]): { ask: NonNullable<SshOptions["ask"]>; questions: Question[] } {
    const questions: Question[] = [];
    return {
      questions,
      async ask(question) {
        questions.push(question);
        const word = words.shift();
        return word === undefined ? undefined : new Secret(word);
      },
    };
  }

  describe("with a key file", () => {
    for (const [name, args] of [
      ["ed25519", ["-t", "ed25519"]],
      ["rsa", ["-t", "rsa", "-b", "2048"]],
      ["ecdsa 256", ["-t", "ecdsa", "-b", "256"]],
      ["ecdsa 521", ["-t", "ecdsa", "-b", "521"]],
      ["rsa in PEM", ["-t", "rsa", "-b", "2048", "-m", "PEM"]],
      ["ecdsa in PEM", ["-t", "ecdsa", "-m", "PEM"]],
      ["rsa in PKCS#8", ["-t", "rsa", "-b", "2048", "-m", "PKCS8"]],
      ["ecdsa in PKCS#8", ["-t", "ecdsa", "-b", "384", "-m", "PKCS8"]],
    ] as const) {
      it(`${name} works`, async () => {
        const key = await keygen(name.replaceAll(/\W/g, "-"), ...args);
        const server = await serveFor(key);
        expect(await whoami(server, { identities: [key] })).toBe(server.user);
      });
    }

    for (const [name, args] of [
      ["ed25519", ["-t", "ed25519"]],
      ["rsa in PEM", ["-t", "rsa", "-b", "2048", "-m", "PEM"]],
      ["ecdsa in PKCS#8", ["-t", "ecdsa", "-m", "PKCS8"]],
    ] as const) {
      it(`encrypted ${name} asks for the passphrase, once for all`, async () => {
        const key = await keygen(`locked-${name.replaceAll(/\W/g, "-")}`, ...args, "-N", "pass phrase");
        const server = await serveFor(key);
        const { ask, questions } = answers("wrong", "pass phrase");
        expect(await whoami(server, { identities: [key], ask })).toBe(server.user);
        expect(questions.map(({ kind, echo, attempt }) => [kind, echo, attempt])).toEqual([
          ["passphrase", false, 1],
          ["passphrase", false, 2],
        ]);
        expect(questions[0]?.text).toContain(key);
      });
    }

    it("an encrypted key nobody unlocks is named in the error", async () => {
      const key = await keygen("locked-silent", "-t", "ed25519", "-N", "secret");
      const server = await serveFor(key);
      await expect(whoami(server, { identities: [key] })).rejects.toMatchObject({
        code: "ssh.auth",
        message: expect.stringContaining(`${key} is encrypted and its passphrase was not given`),
      });
    });

    it("an encrypted key the server does not want is not asked for", async () => {
      const wanted = await keygen("wanted", "-t", "ed25519");
      const locked = await keygen("unwanted", "-t", "ed25519", "-N", "secret");
      const server = await serveFor(wanted);
      const { ask, questions } = answers();
      expect(await whoami(server, { identities: [locked, wanted], ask })).toBe(server.user);
      expect(questions).toEqual([]);
    });

    it("a key that others may read is refused, and the error says what to do", async () => {
      const key = await keygen("open", "-t", "ed25519");
      const server = await serveFor(key);
      for (const mode of ["0644", "0640", "0620", "0604"]) {
        await chmod(key, Number.parseInt(mode, 8));
        await expect(whoami(server, { identities: [key] })).rejects.toMatchObject({
          code: "ssh.auth",
          message: expect.stringContaining(`${key} has mode ${mode}, so others may read it: chmod 600 ${key}`),
        });
      }
    });

    it("keys the server does not know are listed by fingerprint, with what it accepts", async () => {
      const wanted = await keygen("known", "-t", "ed25519");
      const other = await keygen("other", "-t", "ed25519");
      const server = await serveFor(wanted);
      const [, print = ""] = (await run("ssh-keygen", ["-lf", other])).split(" ");
      await expect(whoami(server, { identities: [other] })).rejects.toMatchObject({
        code: "ssh.auth",
        host: "box",
        message: expect.stringMatching(
          new RegExp(
            `the server accepts publickey[^]*offered ssh-ed25519 ${print.replaceAll(/[+/]/g, "\\$&")} \\(${other}\\)`,
          ),
        ),
        hint: expect.stringContaining("authorized_keys"),
      });
    });

    it("a kind of key the config does not allow is not offered, and the error says so", async () => {
      const [ed, rsa] = [await keygen("kind-ed", "-t", "ed25519"), await keygen("kind-rsa", "-t", "rsa", "-b", "2048")];
      const both = join(dir, "kinds.pub");
      await writeFile(both, (await readFile(`${ed}.pub`, "utf8")) + (await readFile(`${rsa}.pub`, "utf8")));
      const server = await serve(`AuthorizedKeysFile ${both}`);
      await chmod(dir, 0o755);
      const wish = ["PubkeyAcceptedAlgorithms rsa-sha2-256"];
      expect(await whoami(server, { identities: [ed, rsa] }, wish)).toBe(server.user);
      expect(server.log()).toMatch(/Accepted publickey .* RSA /);
      expect(server.log()).not.toMatch(/Accepted publickey .* ED25519 /);
      await expect(whoami(server, { identities: [ed] }, wish)).rejects.toMatchObject({
        code: "ssh.auth",
        message: expect.stringContaining(`${ed}: PubkeyAcceptedAlgorithms of the ssh config allows no ssh-ed25519`),
      });
    });

    it("AddKeysToAgent is said to be of no use once a passphrase was typed in, and not before", async () => {
      const plain = await keygen("add-plain", "-t", "ed25519");
      const locked = await keygen("add-locked", "-t", "ed25519", "-N", "secret");
      for (const [key, said] of [
        [plain, []],
        [locked, [expect.stringContaining("AddKeysToAgent yes is not supported yet")]],
      ] as const) {
        const server = await serveFor(key);
        const notes: string[] = [];
        const note = ({ text }: { text: string }): void => void notes.push(text);
        expect(await whoami(server, { ...answers("secret"), identities: [key], note }, ["AddKeysToAgent yes"])).toBe(
          server.user,
        );
        expect(notes).toEqual(said);
      }
    });

    it("the config's IdentityFile and the usual names are used without being asked for", async () => {
      const key = await keygen("from-config", "-t", "ed25519");
      const server = await serveFor(key);
      expect(await whoami(server, {}, [`IdentityFile ${key}`])).toBe(server.user);
      await run("mkdir", ["-p", join(dir, ".ssh")]);
      await copyFile(key, join(dir, ".ssh/id_ed25519"));
      await chmod(join(dir, ".ssh/id_ed25519"), 0o600);
      expect(await whoami(server, {})).toBe(server.user);
      await rm(join(dir, ".ssh/id_ed25519"));
    });

    it("no key at all: the error says how to get one", async () => {
      const server = await serve();
      await expect(whoami(server, {})).rejects.toMatchObject({
        code: "ssh.auth",
        hint: expect.stringContaining("ami-node ssh key generate"),
      });
    });
  });

  describe("with an agent", () => {
    let agent: Agent;
    beforeAll(async () => {
      agent = await startAgent(join(dir, "agent.sock"));
    });
    afterAll(() => agent?.stop());
    afterEach(() => agent.run("ssh-add", ["-q", "-D"]));

    for (const args of [
      ["-t", "ed25519"],
      ["-t", "rsa", "-b", "2048"],
      ["-t", "ecdsa"],
    ]) {
      it(`${args[1]} works, with no file in sight`, async () => {
        const key = await keygen(`agent-${args[1]}`, ...args);
        const server = await serveFor(key);
        await agent.run("ssh-add", ["-q", key]);
        await rm(key);
        expect(await whoami(server, { env: { SSH_AUTH_SOCK: agent.socket } })).toBe(server.user);
        expect(await whoami(server, {}, [`IdentityAgent ${agent.socket}`])).toBe(server.user);
        await expect(
          whoami(server, { env: { SSH_AUTH_SOCK: agent.socket } }, ["IdentityAgent none"]),
        ).rejects.toMatchObject({
          code: "ssh.auth",
        });
      });
    }

    it("an encrypted file the agent holds is not asked for", async () => {
      const key = await keygen("agent-locked", "-t", "ed25519");
      await agent.run("ssh-add", ["-q", key]);
      await run("ssh-keygen", ["-q", "-p", "-N", "secret", "-f", key]);
      const server = await serveFor(key);
      const env = { SSH_AUTH_SOCK: agent.socket };
      const { ask, questions } = answers();
      expect(await whoami(server, { identities: [key], env, ask })).toBe(server.user);
      expect(questions).toEqual([]);
    });

    it("IdentitiesOnly keeps the agent's other keys out; a public key file picks one", async () => {
      const key = await keygen("agent-picked", "-t", "ed25519");
      const noise = await Promise.all([1, 2, 3, 4, 5, 6, 7].map((i) => keygen(`noise-${i}`, "-t", "ed25519")));
      await agent.run("ssh-add", ["-q", ...noise, key]);
      const server = await serveFor(key);
      const env = { SSH_AUTH_SOCK: agent.socket };
      await expect(whoami(server, { env })).rejects.toMatchObject({
        code: "ssh.auth",
        message: expect.stringContaining("Too many authentication failures"),
        hint: expect.stringContaining("IdentitiesOnly"),
      });
      const picked = ["IdentitiesOnly yes", `IdentityFile ${key}.pub`];
      expect(await whoami(server, { env }, picked)).toBe(server.user);
      // What the command line names goes first in any case.
      expect(await whoami(server, { env, identities: [key] })).toBe(server.user);
    });

    it("is there on the far side when ForwardAgent says so, and only then", async () => {
      const key = await keygen("agent-forwarded", "-t", "ed25519");
      await agent.run("ssh-add", ["-q", key]);
      const server = await serveFor(key);
      const configFile = join(server.dir, "forwarding");
      const include = `Include ${server.configFile}\n`;
      for (const [line, sees] of [
        ["ForwardAgent yes", true],
        [`ForwardAgent ${agent.socket}`, true],
        ["ForwardAgent no", false],
      ] as const) {
        await writeFile(configFile, `Host *\n${line}\nIdentityFile ${key}\n${include}`);
        const hosts = openHosts({ ssh: { configFile, env: { SSH_AUTH_SOCK: agent.socket } } });
        const host = await hosts.open(parseTarget("box"));
        for (let i = 0; i < 2; i++) {
          const { stdout } = await host.exec(["sh", "-c", "ssh-add -l 2>&1"]);
          expect(stdout.toString().includes("agent-forwarded"), line).toBe(sees);
        }
        await hosts.close();
      }
    });

    it("an agent that refuses to sign is named, and the next key is tried", async () => {
      const confirmed = await keygen("agent-confirmed", "-t", "ed25519");
      const plain = await keygen("agent-plain", "-t", "ed25519");
      // Nobody is there to confirm.
      await agent.run("ssh-add", ["-q", "-c", confirmed]);
      const both = join(dir, "both.pub");
      await writeFile(both, (await readFile(`${confirmed}.pub`, "utf8")) + (await readFile(`${plain}.pub`, "utf8")));
      const server = await serve(`AuthorizedKeysFile ${both}`);
      const env = { SSH_AUTH_SOCK: agent.socket };
      await chmod(dir, 0o755);
      await rm(confirmed);
      await expect(whoami(server, { env })).rejects.toMatchObject({
        code: "ssh.auth",
        message: expect.stringContaining("agent (agent-confirmed) did not sign"),
      });
      expect(await whoami(server, { env }, [`IdentityFile ${plain}`])).toBe(server.user);
    });

    it("an agent that does not answer is a remark, not an obstacle", async () => {
      const key = await keygen("agent-dead", "-t", "ed25519");
      const server = await serveFor(key);
      const env = { SSH_AUTH_SOCK: join(dir, "nobody-here") };
      expect(await whoami(server, { env, identities: [key] })).toBe(server.user);
      await expect(whoami(server, { env })).rejects.toMatchObject({
        message: expect.stringContaining(`the agent at ${env.SSH_AUTH_SOCK} does not answer`),
      });
    });
  });

  it("an agent that takes the call and says nothing does not hold the login longer than it may take", async () => {
    const socket = join(dir, "silent");
    const silent = createServer((call) => void call.on("error", () => undefined));
    await new Promise<void>((resolve) => silent.listen(socket, resolve));
    try {
      const server = await serve();
      const waiting = whoami(server, { env: { SSH_AUTH_SOCK: socket }, connectTimeout: 1000 });
      await expect(waiting).rejects.toMatchObject({
        code: "ssh.connect",
        message: expect.stringContaining("gave up waiting for the keys"),
      });
    } finally {
      silent.close();
    }
  });

  describe("with a password", () => {
    const passwords = ["PasswordAuthentication yes", "PubkeyAuthentication no"];
    const questionsOfPam = ["UsePAM yes", "KbdInteractiveAuthentication yes", "PubkeyAuthentication no"];

    it("works, and a wrong one is asked for again", async () => {
      const server = await serve(...passwords);
      const { ask, questions } = answers("wrong", account.password);
      expect(await whoami(server, { ask }, [], account.name)).toBe(account.name);
      expect(questions.map(({ kind, host, echo, attempt }) => ({ kind, host, echo, attempt }))).toEqual([
        { kind: "password", host: "box", echo: false, attempt: 1 },
        { kind: "password", host: "box", echo: false, attempt: 2 },
      ]);
      expect(questions[0]?.text).toBe(`(${account.name}@${server.host}) Password: `);
    });

    it("works by keyboard-interactive, through PAM", async () => {
      const server = await serve(...questionsOfPam);
      const { ask, questions } = answers(account.password);
      expect(await whoami(server, { ask }, [], account.name)).toBe(account.name);
      expect(questions.map(({ kind }) => kind)).toEqual(["password"]);
    });

    it("is asked for as often as the config says", async () => {
      const server = await serve(...passwords);
      const { ask, questions } = answers("1", "2", "3", "4");
      await expect(whoami(server, { ask }, ["NumberOfPasswordPrompts 2"], account.name)).rejects.toMatchObject({
        code: "ssh.auth",
        message: expect.stringContaining("tried password; the server accepts password"),
      });
      expect(questions).toHaveLength(2);
    });

    it("without anybody to ask: the error says how to give one", async () => {
      for (const how of [passwords, questionsOfPam]) {
        const server = await serve(...how);
        await expect(whoami(server, {}, [], account.name)).rejects.toMatchObject({
          code: "ssh.auth",
          hint: expect.stringContaining("--ask-pass"),
        });
      }
    });

    it("BatchMode asks nobody", async () => {
      const server = await serve(...passwords);
      const { ask, questions } = answers(account.password);
      await expect(whoami(server, { ask }, ["BatchMode yes"], account.name)).rejects.toMatchObject({
        code: "ssh.auth",
      });
      expect(questions).toEqual([]);
    });

    it("and a key, where the server wants both", async () => {
      const key = await keygen("both", "-t", "ed25519");
      const server = await serveFor(key, "PasswordAuthentication yes", "AuthenticationMethods publickey,password");
      const { ask } = answers(account.password);
      expect(await whoami(server, { ask, identities: [key] }, [], account.name)).toBe(account.name);
      await expect(whoami(server, { identities: [key] }, [], account.name)).rejects.toMatchObject({
        code: "ssh.auth",
        message: expect.stringContaining("publickey was accepted, but the server wants more than that"),
      });
    });

    it("whoever is asked may stop everything", async () => {
      const locked = await keygen("stop", "-t", "ed25519", "-N", "secret");
      const stop = (): Promise<never> => Promise.reject(new AmiError("run.cancelled", "enough"));
      for (const [config, identities] of [
        [passwords, []],
        [questionsOfPam, []],
        [[`AuthorizedKeysFile ${locked}.pub`], [locked]],
      ] as const) {
        const server = await serve(...config);
        await chmod(dir, 0o755);
        await expect(whoami(server, { ask: stop, identities }, [], account.name)).rejects.toMatchObject({
          code: "run.cancelled",
          message: "enough",
        });
      }
    });

    it("is remembered for further connections of the same login", async () => {
      const server = await serve(...passwords, "MaxSessions 1");
      const { ask, questions } = answers(account.password);
      const pool = createSshPool({ configFile: server.configFile, env: {}, home: dir, ask });
      pools.push(pool);
      const { link } = await pool.link({ name: "box", host: "box", user: account.name });
      const codes = await Promise.all(
        [1, 2, 3].map(async (code) => {
          const session = await link.session({ command: `sleep 0.5; exit ${code}` });
          session.stdin.end();
          return session.exit;
        }),
      );
      expect(codes).toEqual([{ code: 1 }, { code: 2 }, { code: 3 }]);
      expect((await server.connections()).length).toBeGreaterThan(1);
      expect(questions).toHaveLength(1);
    });
  });
});

interface Agent {
  readonly socket: string;
  run(program: string, args: readonly string[]): Promise<string>;
  stop(): void;
}

async function startAgent(socket: string): Promise<Agent> {
  const child = spawn(where("ssh-agent") ?? "ssh-agent", ["-D", "-a", socket], { stdio: ["ignore", "pipe", "ignore"] });
  await new Promise((resolve, reject) => child.once("error", reject).stdout.once("data", resolve));
  return {
    socket,
    run: (program, args) => run(program, args, { ...process.env, SSH_AUTH_SOCK: socket }),
    stop: () => void child.kill(),
  };
}

async function run(program: string, args: readonly string[], env: NodeJS.ProcessEnv = process.env): Promise<string> {
  return (await promisify(execFile)(where(program) ?? program, args, { encoding: "utf8", env })).stdout;
}
