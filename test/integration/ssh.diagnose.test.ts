/** ssh diagnose: every fault is put in on purpose, by a real sshd, a real firewall or a real stranger, and has to be named first. */
import { type ChildProcess, execFile, spawn } from "node:child_process";
import { createSocket } from "node:dgram";
import { appendFile, chmod, chown, copyFile, mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { createServer as createHttpServer } from "node:http";
import { type Server, type Socket, connect, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { diagnose } from "../../src/core/diagnose/diagnose.ts";
import { type Finding, firstOf } from "../../src/core/diagnose/finding.ts";
import type { Waits } from "../../src/core/diagnose/waits.ts";
import { openHosts } from "../../src/core/hosts/open.ts";
import { Secret } from "../../src/core/secret.ts";
import type { SshOptions } from "../../src/core/ssh/options.ts";
import { parseTarget } from "../../src/core/targets.ts";
import { needs, where } from "../servers/engines.ts";
import { type Account, type Sshd, type SshdOptions, createAccount, startSshd } from "../servers/sshd.ts";

const run = promisify(execFile);
const root = resolve(import.meta.dirname, "../..");

interface Looked {
  /** Lines of the ssh config before those of the server's own; the first value of a keyword wins. */
  readonly config?: readonly string[];
  readonly target?: string;
  readonly ssh?: Partial<SshOptions>;
  /** Log in as root on the same server, or as another, to look from there. */
  readonly inside?: boolean | string;
  readonly waits?: Partial<Waits>;
}

async function examine(box: Pick<Sshd, "dir" | "configFile">, how: Looked = {}): Promise<Finding[]> {
  const file = join(box.dir, `ssh_config_${Math.random().toString(36).slice(2)}`);
  const lines = (how.config ?? []).map((line) => `  ${line}\n`).join("");
  await writeFile(file, `Host *\n${lines}\n${await readFile(box.configFile, "utf8")}`);
  const target = parseTarget(how.target ?? "box");
  if (target.kind !== "ssh") throw new Error("no ssh target");
  const ssh = { configFile: file, env: {}, ...how.ssh };
  const hosts = openHosts({ ssh: { ...ssh, configFile: box.configFile } });
  try {
    return await diagnose({
      target,
      ssh,
      waits: { sample: 100, ...how.waits },
      signal: new AbortController().signal,
      ...(how.inside === undefined
        ? {}
        : {
            inside: (signal) =>
              hosts.open(parseTarget(typeof how.inside === "string" ? how.inside : "root@box"), { signal }),
          }),
    });
  } finally {
    await hosts.close();
  }
}

async function withSshd(options: SshdOptions, work: (box: Sshd) => Promise<Finding[]>): Promise<Finding[]> {
  const box = await startSshd(options);
  try {
    return await work(box);
  } finally {
    await box.stop();
  }
}

async function withAccount(
  options: Parameters<typeof createAccount>[0],
  work: (account: Account) => Promise<Finding[]>,
): Promise<Finding[]> {
  const account = await createAccount(options);
  try {
    return await work(account);
  } finally {
    await account.remove();
  }
}

/** No sshd: a folder and a config that points at a port. */
async function withPort(port: number, work: (place: { dir: string; configFile: string }) => Promise<Finding[]>) {
  const dir = await mkdtemp(join(tmpdir(), "ami-diagnose-"));
  const configFile = join(dir, "ssh_config");
  await writeFile(configFile, `Host box\n  HostName 127.0.0.1\n  Port ${port}\n  UserKnownHostsFile /dev/null\n`);
  try {
    return await work({ dir, configFile });
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
}

async function listening(server: Server): Promise<number> {
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("no port");
  return address.port;
}

async function keygen(file: string, ...more: readonly string[]): Promise<string> {
  await run("ssh-keygen", ["-q", "-t", "ed25519", "-N", "", "-C", "other", "-f", file, ...more]);
  return file;
}

/** Their authorized_keys are their own, in their homes, as on a machine that nobody prepared. */
const ownKeys = ["AuthorizedKeysFile .ssh/authorized_keys", "StrictModes yes"];

async function authorize(box: Sshd, home: string, owner: { uid: number; gid: number }): Promise<void> {
  const folder = join(home, ".ssh");
  await mkdir(folder, { mode: 0o700 });
  await copyFile(`${box.identity}.pub`, join(folder, "authorized_keys"));
  await chmod(join(folder, "authorized_keys"), 0o600);
  for (const path of [folder, join(folder, "authorized_keys")]) await chown(path, owner.uid, owner.gid);
}

const asRoot = { uid: 0, gid: 0 };

interface Case {
  readonly fault: string;
  readonly first: string | RegExp;
  run(): Promise<Finding[]>;
}

const faults: readonly Case[] = [
  {
    fault: "a name that DNS does not know",
    first: /^resolve\.(not-found|no-answer)$/,
    run: () => withPort(22, (place) => examine(place, { target: "no-such-machine.invalid" })),
  },
  {
    fault: "a closed port",
    first: "tcp.refused",
    async run() {
      const server = createServer();
      const port = await listening(server);
      await new Promise((done) => server.close(done));
      return withPort(port, (place) => examine(place));
    },
  },
  {
    fault: "a web server on the port",
    first: "banner.not-ssh",
    async run() {
      const server = createHttpServer((_, response) => response.end("hello"));
      const port = await listening(server);
      return withPort(port, (place) => examine(place)).finally(() => server.close());
    },
  },
  {
    fault: "something that accepts and says nothing",
    first: "banner.silent",
    async run() {
      const sockets: Socket[] = [];
      const server = createServer((socket) => void sockets.push(socket.on("error", () => undefined)));
      const port = await listening(server);
      return withPort(port, (place) => examine(place, { waits: { banner: 1000 } })).finally(() => {
        for (const socket of sockets) socket.destroy();
        server.close();
      });
    },
  },
  {
    fault: "no key exchange in common",
    first: "algorithms.kex",
    run: () => withSshd({ config: ["KexAlgorithms sntrup761x25519-sha512@openssh.com"] }, (box) => examine(box)),
  },
  {
    fault: "no cipher in common",
    first: "algorithms.cipher",
    run: () => withSshd({ config: ["Ciphers aes128-cbc"] }, (box) => examine(box)),
  },
  {
    fault: "no MAC in common",
    first: "algorithms.mac",
    run: () => withSshd({ config: ["Ciphers aes128-ctr", "MACs hmac-sha1"] }, (box) => examine(box)),
  },
  {
    fault: "no host key type in common",
    first: "algorithms.host-key",
    run: () => withSshd({}, (box) => examine(box, { config: ["HostKeyAlgorithms ecdsa-sha2-nistp256"] })),
  },
  {
    fault: "MaxStartups used up",
    first: "banner.crowded",
    run: () =>
      withSshd({ config: ["MaxStartups 1"] }, async (box) => {
        const holder = connect(box.port, box.host);
        await new Promise((heard) => holder.once("data", heard));
        return examine(box).finally(() => holder.destroy());
      }),
  },
  {
    fault: "another host key than the known one",
    first: "host-key.changed",
    run: () =>
      withSshd({}, async (box) => {
        const [type, key] = (await readFile(`${await keygen(join(box.dir, "stranger"))}.pub`, "utf8")).split(" ");
        await writeFile(box.knownHosts, `[127.0.0.1]:${box.port} ${type} ${key}\n`);
        return examine(box);
      }),
  },
  {
    fault: "an unknown host key",
    first: "host-key.unknown",
    run: () =>
      withSshd({}, async (box) => {
        await writeFile(box.knownHosts, "");
        return examine(box);
      }),
  },
  {
    fault: "a key file that others may read",
    first: "auth.key-mode",
    run: () =>
      withSshd({}, async (box) => {
        await chmod(box.identity, 0o644);
        return examine(box);
      }),
  },
  {
    fault: "the wrong key",
    first: "auth.key-refused",
    run: () =>
      withSshd({}, async (box) => {
        const wrong = await keygen(join(box.dir, "wrong"));
        await rm(box.identity);
        await copyFile(wrong, box.identity);
        return examine(box);
      }),
  },
  {
    fault: "an encrypted key and no agent",
    first: "auth.key-encrypted",
    run: () =>
      withSshd({}, async (box) => {
        await run("ssh-keygen", ["-q", "-p", "-P", "", "-N", "secret words", "-f", box.identity]);
        return examine(box);
      }),
  },
  {
    fault: "a home that others may write (StrictModes)",
    first: "auth.strict-modes",
    run: () =>
      withSshd({ config: ownKeys }, (box) =>
        withAccount({}, async (account) => {
          await authorize(box, box.home, asRoot);
          await authorize(box, account.home, account);
          await chmod(account.home, 0o777);
          return examine(box, { target: `${account.name}@box`, inside: true });
        }),
      ),
  },
  {
    fault: "a user that AllowUsers leaves out",
    first: "auth.user-refused",
    run: () =>
      withSshd({ config: ["AllowUsers root"] }, (box) =>
        withAccount({}, (account) => examine(box, { target: `${account.name}@box`, inside: true })),
      ),
  },
  {
    fault: "an expired account",
    first: "auth.account-expired",
    run: () =>
      withSshd({ config: ["UsePAM yes"] }, (box) =>
        withAccount({}, async (account) => {
          await run("chage", ["-E", "1", account.name]);
          return examine(box, { target: `${account.name}@box` });
        }),
      ),
  },
  {
    fault: "nologin for a shell",
    first: "session.nologin",
    run: () =>
      withSshd({}, (box) =>
        withAccount({ shell: "/usr/sbin/nologin" }, (account) => examine(box, { target: `${account.name}@box` })),
      ),
  },
  {
    fault: "more keys than MaxAuthTries",
    first: "auth.too-many-keys",
    run: () =>
      withSshd({}, async (box) => {
        const wrong = await Promise.all([1, 2, 3, 4, 5, 6, 7].map((n) => keygen(join(box.dir, `wrong${n}`))));
        return examine(box, { config: wrong.map((file) => `IdentityFile ${file}`) });
      }),
  },
  {
    fault: "login scripts that talk",
    first: "session.noise",
    run: () =>
      withSshd({}, async (box) => {
        await writeFile(join(box.home, ".bashrc"), "echo Welcome to box\n");
        return examine(box);
      }),
  },
  {
    fault: "no sftp program",
    first: "session.no-sftp",
    run: () => withSshd({ config: ["Subsystem sftp /no/such/sftp-server"] }, (box) => examine(box)),
  },
  {
    fault: "forwarding switched off",
    first: "session.no-forwarding",
    run: () => withSshd({ config: ["AllowTcpForwarding no"] }, (box) => examine(box)),
  },
  {
    fault: "no terminal",
    first: "session.no-pty",
    run: () => withSshd({ config: ["PermitTTY no"] }, (box) => examine(box)),
  },
  {
    fault: "a full disk",
    first: "health.disk-full",
    async run() {
      const home = await mkdtemp(join(tmpdir(), "ami-full-"));
      await run("mount", ["-t", "tmpfs", "-o", "size=128k,mode=0700", "ami-test", home]);
      try {
        await writeFile(join(home, "big"), Buffer.alloc(2 ** 20)).catch(() => undefined);
        return await withSshd({ mounts: { "/root": home } }, (box) => examine(box));
      } finally {
        await run("umount", ["-l", home]);
        await rm(home, { recursive: true, force: true });
      }
    },
  },
  {
    fault: "MaxSessions 1",
    first: "session.max-sessions",
    run: () => withSshd({ config: ["MaxSessions 1"] }, (box) => examine(box)),
  },
];

const furtherFaults: readonly Case[] = [
  {
    fault: "a clock that is an hour ahead",
    first: "health.clock",
    async run() {
      const bin = await mkdtemp(join(tmpdir(), "ami-clock-"));
      await writeFile(join(bin, "date"), `#!/bin/sh\nexec /bin/date -d '+1 hour' "$@"\n`, { mode: 0o755 });
      await chmod(bin, 0o755);
      try {
        return await withSshd({ env: { PATH: `${bin}:/usr/sbin:/usr/bin:/sbin:/bin` } }, (box) => examine(box));
      } finally {
        await rm(bin, { recursive: true, force: true });
      }
    },
  },
  {
    fault: "an agent that is gone",
    first: "auth.agent-absent",
    run: () => withSshd({}, (box) => examine(box, { ssh: { env: { SSH_AUTH_SOCK: join(box.dir, "gone") } } })),
  },
  {
    fault: "a key that only an agent could sign with, and no agent",
    first: "auth.agent-absent",
    run: () =>
      withSshd({}, async (box) => {
        await rm(box.identity);
        return examine(box, { config: [`IdentityFile ${box.identity}.pub`] });
      }),
  },
  {
    fault: "two different keys for the host in known_hosts",
    first: "host-key.duplicate",
    run: () =>
      withSshd({}, async (box) => {
        const [type, key] = (await readFile(`${await keygen(join(box.dir, "old"))}.pub`, "utf8")).split(" ");
        await appendFile(box.knownHosts, `[127.0.0.1]:${box.port} ${type} ${key}\n`);
        return examine(box);
      }),
  },
  {
    fault: "a server that waits for a slow DNS",
    first: "auth.slow-server",
    async run() {
      const dns = createSocket("udp4");
      // Says that there is no such name, long after it was asked.
      dns.on("message", (query, { port, address }) => {
        const answer = Buffer.from(query);
        answer[2] = 0x81;
        answer[3] = 0x83;
        setTimeout(() => dns.send(answer, port, address), 2500);
      });
      await new Promise<void>((done) => dns.bind(53, "127.53.0.1", done));
      const dir = await mkdtemp(join(tmpdir(), "ami-dns-"));
      await writeFile(join(dir, "resolv.conf"), "nameserver 127.53.0.1\noptions attempts:1 timeout:8\n");
      try {
        return await withSshd(
          { config: ["UseDNS yes"], mounts: { "/etc/resolv.conf": join(dir, "resolv.conf") } },
          // An address that no hosts file names.
          (box) => examine(box, { config: ["BindAddress 127.77.0.9"] }),
        );
      } finally {
        dns.close();
        await rm(dir, { recursive: true, force: true });
      }
    },
  },
  {
    fault: "a ProxyCommand that is not there",
    first: "banner.proxy",
    run: () => withSshd({}, (box) => examine(box, { config: ["ProxyCommand no-such-program %h %p"] })),
  },
  {
    fault: "a jump host that may not forward",
    first: "tcp.jump",
    run: () =>
      withSshd({ name: "hop", config: ["AllowTcpForwarding no"] }, (hop) =>
        examine(hop, { config: ["ProxyJump hop"], target: "127.0.0.1" }),
      ),
  },
  {
    fault: "a second factor asked for",
    first: "auth.more-needed",
    run: () =>
      withSshd({ config: ["AuthenticationMethods publickey,password", "PasswordAuthentication yes"] }, (box) =>
        examine(box),
      ),
  },
  {
    fault: "the wrong password",
    first: "auth.password-refused",
    run: () =>
      withSshd({ config: ["PubkeyAuthentication no", "PasswordAuthentication yes"] }, (box) =>
        examine(box, {
          ssh: {
            ask: async ({ kind, attempt }) => (kind === "password" && attempt === 1 ? new Secret("?") : undefined),
          },
        }),
      ),
  },
  {
    fault: "the wrong key, and nobody who says the password",
    first: "auth.key-refused",
    run: () =>
      withSshd({ config: ["PasswordAuthentication yes"] }, async (box) => {
        const wrong = await keygen(join(box.dir, "wrong"));
        await copyFile(wrong, box.identity);
        return examine(box, { ssh: { ask: async () => undefined } });
      }),
  },
  {
    fault: "keys switched off",
    first: "auth.no-publickey",
    run: () => withSshd({ config: ["PubkeyAuthentication no", "PasswordAuthentication yes"] }, (box) => examine(box)),
  },
  {
    fault: "the wrong user, and nobody who could look inside either",
    first: "auth.key-refused",
    run: () =>
      withSshd({ config: ["AllowUsers nobody"] }, (box) =>
        examine(box, { target: "nosuchuser@box", inside: "root@box" }),
      ),
  },
  {
    fault: "no user of that name",
    first: "auth.no-user",
    run: () => withSshd({}, (box) => examine(box, { target: "nosuchuser@box", inside: true })),
  },
  {
    fault: "a key that was never installed, seen by the user let in by a password",
    first: "auth.wrong-key",
    run: () =>
      withSshd({ config: [...ownKeys, "PasswordAuthentication yes", "UsePAM yes"] }, (box) =>
        withAccount({}, (account) =>
          examine(box, {
            target: `${account.name}@box`,
            ssh: { ask: async ({ kind }) => (kind === "password" ? new Secret(account.password) : undefined) },
          }),
        ),
      ),
  },
  {
    fault: "a key that was never installed, seen from inside",
    first: "auth.wrong-key",
    run: () =>
      withSshd({ config: ownKeys }, (box) =>
        withAccount({}, async (account) => {
          await authorize(box, box.home, asRoot);
          return examine(box, { target: `${account.name}@box`, inside: true });
        }),
      ),
  },
];

/** Firewalls: rules in a network namespace of the test, and the program itself run there. */
const walls: readonly { readonly fault: string; readonly first: string; readonly rule: string }[] = [
  { fault: "a firewall that drops", first: "tcp.dropped", rule: "--dport PORT -j DROP" },
  {
    fault: "a firewall that rejects",
    first: "tcp.rejected",
    rule: "--dport PORT -j REJECT --reject-with icmp-host-prohibited",
  },
  {
    fault: "a way that loses packets above 1000 bytes",
    first: "offer.large-packets-lost",
    rule: "--dport PORT -m length --length 1001: -j DROP",
  },
  {
    fault: "a way back that loses packets above 1400 bytes",
    first: "speed.bulk-lost",
    rule: "--sport PORT -m length --length 1401: -j DROP",
  },
];

/** Machines with nothing wrong, each in its own way. */
const healthy: readonly { readonly variation: string; run(): Promise<Finding[]> }[] = [
  {
    variation: "host keys of three kinds, one of them known",
    run: () =>
      withSshd({ hostKeys: ["ed25519", "rsa", "ecdsa"] }, async (box) => {
        const lines = (await readFile(box.knownHosts, "utf8")).split("\n");
        await writeFile(box.knownHosts, `${lines.find((line) => line.includes("ecdsa")) ?? ""}\n`);
        return examine(box);
      }),
  },
  { variation: "IPv6", run: () => withSshd({ address: "::1" }, (box) => examine(box)) },
  {
    variation: "a name with an address that does not listen",
    run: () =>
      withSshd({}, async (box) => {
        const known = (await readFile(box.knownHosts, "utf8")).replaceAll("127.0.0.1", "localhost");
        await writeFile(box.knownHosts, known);
        return examine(box, { config: ["HostName localhost"] });
      }),
  },
  {
    variation: "hashed known_hosts",
    run: () =>
      withSshd({}, async (box) => {
        await run("ssh-keygen", ["-q", "-H", "-f", box.knownHosts]);
        return examine(box);
      }),
  },
  {
    variation: "HostKeyAlias",
    run: () =>
      withSshd({}, async (box) => {
        await writeFile(box.knownHosts, (await readFile(box.knownHosts, "utf8")).replace(/^\S+/, "the-box"));
        return examine(box, { config: ["HostKeyAlias the-box"] });
      }),
  },
  {
    variation: "an account with its own authorized_keys and StrictModes",
    run: () =>
      withSshd({ config: ownKeys }, (box) =>
        withAccount({}, async (account) => {
          await authorize(box, account.home, account);
          return examine(box, { target: `${account.name}@box` });
        }),
      ),
  },
  {
    variation: "PAM, passwords and questions switched on",
    run: () =>
      withSshd({ config: ["UsePAM yes", "PasswordAuthentication yes", "KbdInteractiveAuthentication yes"] }, (box) =>
        examine(box),
      ),
  },
  {
    variation: "sftp by a program",
    run: () => withSshd({ config: ["Subsystem sftp /usr/lib/openssh/sftp-server"] }, (box) => examine(box)),
  },
  { variation: "MaxSessions 5", run: () => withSshd({ config: ["MaxSessions 5"] }, (box) => examine(box)) },
  { variation: "MaxStartups 1", run: () => withSshd({ config: ["MaxStartups 1"] }, (box) => examine(box)) },
  {
    variation: "a banner for lawyers",
    run: () =>
      withSshd({ config: ["Banner /etc/debian_version"] }, (box) => examine(box, { config: ["LogLevel QUIET"] })),
  },
  { variation: "compression", run: () => withSshd({}, (box) => examine(box, { config: ["Compression yes"] })) },
  {
    variation: "one old-fashioned key exchange and a CTR cipher",
    run: () =>
      withSshd(
        { config: ["KexAlgorithms diffie-hellman-group16-sha512", "Ciphers aes256-ctr", "MACs hmac-sha2-512"] },
        (box) => examine(box),
      ),
  },
  {
    variation: "the right key after two wrong ones",
    run: () =>
      withSshd({}, async (box) => {
        const wrong = await Promise.all([1, 2].map((n) => keygen(join(box.dir, `wrong${n}`))));
        return examine(box, { config: wrong.map((file) => `IdentityFile ${file}`) });
      }),
  },
  {
    variation: "an encrypted key that the agent holds open, among many others",
    run: () =>
      withSshd({}, async (box) => {
        const agent = await startAgent(box.dir);
        try {
          const others = await Promise.all([1, 2, 3, 4, 5, 6, 7].map((n) => keygen(join(box.dir, `other${n}`))));
          await run("ssh-add", ["-q", ...others, box.identity], { env: { ...process.env, SSH_AUTH_SOCK: agent.path } });
          await run("ssh-keygen", ["-q", "-p", "-P", "", "-N", "secret words", "-f", box.identity]);
          return await examine(box, { ssh: { env: { SSH_AUTH_SOCK: agent.path } } });
        } finally {
          agent.stop();
        }
      }),
  },
  {
    variation: "forty milliseconds away",
    run: () =>
      withSshd({}, async (box) => {
        const far = await delayingProxy(box.port, 20);
        const known = await readFile(box.knownHosts, "utf8");
        await writeFile(box.knownHosts, known.replaceAll(String(box.port), String(far.port)));
        return examine(box, { config: [`Port ${far.port}`] }).finally(far.close);
      }),
  },
  {
    variation: "behind a jump host",
    run: () =>
      withSshd({ name: "hop" }, (hop) =>
        withSshd({}, async (box) => {
          const jumped = `Host jumped\n  ProxyJump hop\n  HostName 127.0.0.1\n  Port ${box.port}\n  UserKnownHostsFile ${box.knownHosts}\n  IdentityFile ${box.identity}\n`;
          await appendFile(box.configFile, `${await readFile(hop.configFile, "utf8")}\n${jumped}`);
          return examine(box, { target: "jumped" });
        }),
      ),
  },
  {
    variation: "through a ProxyCommand",
    run: () => withSshd({}, (box) => examine(box, { config: [`ProxyCommand ssh -F ${box.configFile} -W %h:%p box`] })),
  },
  {
    variation: "fish for a login shell",
    run: () =>
      withSshd({}, (box) =>
        withAccount({ shell: "/usr/bin/fish" }, (account) => examine(box, { target: `${account.name}@box` })),
      ),
  },
  {
    variation: "a quiet login script",
    run: () =>
      withSshd({}, async (box) => {
        await writeFile(join(box.home, ".bashrc"), "case $- in *i*) echo Welcome ;; esac\n");
        return examine(box);
      }),
  },
];

async function startAgent(dir: string): Promise<{ path: string; stop(): void }> {
  const path = join(dir, "agent");
  const child: ChildProcess = spawn(where("ssh-agent") ?? "ssh-agent", ["-D", "-a", path], {
    stdio: ["ignore", "pipe", "ignore"],
  });
  await new Promise((up) => child.stdout?.once("data", up));
  return { path, stop: () => void child.kill() };
}

/** Every byte comes `ms` late, in both directions. */
async function delayingProxy(port: number, ms: number): Promise<{ port: number; close(): void }> {
  const server = createServer((near) => {
    const far = connect(port, "127.0.0.1");
    for (const [from, to] of [
      [near, far],
      [far, near],
    ] as const) {
      from.on("data", (bytes) => void setTimeout(() => to.write(bytes), ms));
      from.on("close", () => void setTimeout(() => to.destroy(), ms));
      from.on("error", () => undefined);
    }
  });
  return { port: await listening(server), close: () => void server.close() };
}

needs(
  "sshd",
  "ssh",
  "root",
  "unshare",
  "netfilter",
)("ssh diagnose behind a firewall", () => {
  const netns = `ami-test-${process.pid}`;
  const there = (...argv: readonly string[]) => run("ip", ["netns", "exec", netns, ...argv]);
  const boxes: Sshd[] = [];
  beforeAll(async () => {
    await run("ip", ["netns", "add", netns]);
    await there("ip", "link", "set", "lo", "up");
  });
  afterAll(async () => {
    await Promise.all(boxes.map((box) => box.stop()));
    await run("ip", ["netns", "del", netns]);
  });

  describe.concurrent("the faults of the network", () => {
    it.each(walls)(
      "$fault: $first",
      async ({ first, rule }) => {
        const box = await startSshd({ netns });
        boxes.push(box);
        await there("iptables", "-A", "INPUT", "-p", "tcp", ...rule.replace("PORT", String(box.port)).split(" "));
        const file = join(box.dir, "impatient");
        await writeFile(file, `ConnectTimeout 3\n${await readFile(box.configFile, "utf8")}`);
        const words = ["ssh", "diagnose", "box", "--ssh-config", file, "--json"];
        const ran = await there("env", `HOME=${box.dir}`, process.execPath, join(root, "src/cli.ts"), ...words).then(
          ({ stdout }) => ({ code: 0, stdout }),
          (error: { code: number; stdout: string }) => error,
        );
        expect(ran.code).toBe(3);
        // Bun 1.4 calls every connection that fails at once ECONNREFUSED, so there the two cannot be told apart.
        const told = process.versions["bun"] !== undefined && first === "tcp.rejected" ? "tcp.refused" : first;
        expect(JSON.parse(ran.stdout)).toMatchObject([{ host: "box", healthy: false, first: told }]);
      },
      60_000,
    );
  });
});

function title(findings: readonly Finding[]): string {
  return findings
    .filter(({ status }) => status === "fail" || status === "warn")
    .map(({ status, check, says, evidence }) => `${status} ${check}: ${says}\n    ${evidence.join("\n    ")}`)
    .join("\n");
}

needs(
  "sshd",
  "ssh",
  "root",
  "useradd",
  "unshare",
)("ssh diagnose names what was put in", () => {
  describe.concurrent("the faults of ssh that give no reason", () => {
    it.each([...faults, ...furtherFaults])(
      "$fault: $first",
      async ({ first, run: examineIt }) => {
        const findings = await examineIt();
        expect(firstOf(findings)?.check, title(findings)).toMatch(
          typeof first === "string" ? new RegExp(`^${first.replaceAll(".", "\\.")}$`) : first,
        );
        // Every line that complains says what was seen or what to do, and nothing is left unsaid of the later stages.
        const wrong = findings.filter(({ status }) => status === "fail" || status === "warn");
        expect(wrong.every(({ evidence, fix }) => evidence.length > 0 || fix !== undefined)).toBe(true);
      },
      60_000,
    );
  });

  describe.concurrent("and raises no alarm", () => {
    it.each(healthy)(
      "$variation",
      async ({ run: examineIt }) => {
        const findings = await examineIt();
        expect(title(findings)).toBe("");
        expect(findings.at(-1)).toMatchObject({ stage: "speed", status: "ok" });
      },
      60_000,
    );
  });
});
