/**
 * Sshd: real OpenSSH servers for one test, on loopback, with their own keys and a bare home; and throw-away accounts.
 */
import { type ChildProcess, execFile, spawn } from "node:child_process";
import { createServer } from "node:net";
import { chmod, chown, mkdir, mkdtemp, readFile, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { where } from "./engines.ts";

export interface SshdOptions {
  /** sshd_config lines put before the defaults; the first value of a keyword wins. Not SetEnv: use `env`. */
  config?: readonly string[] | undefined;
  /** Host keys to make, in this order. Default: one ed25519. */
  hostKeys?: readonly ("ed25519" | "rsa" | "ecdsa")[] | undefined;
  /** Further authorized_keys lines (options allowed), besides the server's own `identity`. */
  authorizedKeys?: readonly string[] | undefined;
  /** Environment of every session. */
  env?: Readonly<Record<string, string>> | undefined;
  /** Default 127.0.0.1. */
  address?: string | undefined;
  /** Default: a free one. */
  port?: number | undefined;
  /** Alias in `configFile`. Default `box`. */
  name?: string | undefined;
  /** Who `configFile` logs in as. Default: the current user. */
  user?: string | undefined;
  /** Folders only this server's sessions see at a path: `{ "/srv/app": dir }`. Needs root. */
  mounts?: Readonly<Record<string, string>> | undefined;
  /** Name of the network namespace it listens in (`ip netns`). Needs root. */
  netns?: string | undefined;
}

export interface Sshd {
  readonly name: string;
  readonly host: string;
  readonly port: number;
  /** Who the identity logs in as (any account of the machine is accepted too). */
  readonly user: string;
  /** known_hosts file that knows every host key of the server. */
  readonly knownHosts: string;
  /** Private key file (ed25519, no passphrase) that the server accepts for every account. */
  readonly identity: string;
  /** For `ssh -F`: one Host, `name`. */
  readonly configFile: string;
  /** Private key files of the server, in the order asked for; `.pub` beside them. */
  readonly hostKeys: readonly string[];
  readonly dir: string;
  /** Where the bare home really lies. Sessions of root see it at root's usual home. */
  readonly home: string;
  readonly pid: number;
  /** What the server said so far (LogLevel VERBOSE unless configured). */
  log(): string;
  /** For each connection now open the pid that holds its socket: kill one to cut it. */
  connections(): Promise<readonly number[]>;
  /** Ends the server, its connections and what they run, and removes `dir`. */
  stop(): Promise<void>;
}

/** Starts a real sshd. Resolves when it listens; throws with its log when it does not. */
export async function startSshd(options: SshdOptions = {}): Promise<Sshd> {
  const program = where("sshd");
  if (program === undefined) throw new Error("there is no sshd here");
  const isRoot = process.getuid?.() === 0;
  const dir = await mkdtemp(join(tmpdir(), "ami-sshd-"));
  await chmod(dir, 0o755); // sshd reads authorized_keys as the user who logs in
  const home = join(dir, "home");
  await mkdir(home, { mode: 0o700 });
  if (isRoot) await mkdir("/run/sshd", { recursive: true, mode: 0o755 });

  const identity = join(dir, "id");
  await keygen("ed25519", identity);
  const hostKeys: string[] = [];
  for (const type of options.hostKeys ?? ["ed25519"]) {
    const file = join(dir, `host_${type}`);
    await keygen(type, file);
    hostKeys.push(file);
  }
  const own = await readFile(`${identity}.pub`, "utf8");
  await writeFile(join(dir, "authorized_keys"), [own.trim(), ...(options.authorizedKeys ?? [])].join("\n") + "\n");

  const name = options.name ?? "box";
  const host = options.address ?? "127.0.0.1";
  const user = options.user ?? (await currentUser());
  const token = `ami-${process.pid}-${Math.random().toString(36).slice(2)}`;
  const env = { AMI_TEST_SSHD: token, ...(isRoot ? {} : { HOME: home }), ...options.env };
  const mounts = isRoot ? { [await homeOfRoot()]: home, ...options.mounts } : {};

  let server: Listening | undefined;
  for (let attempt = 1; server === undefined; attempt++) {
    const port = options.port ?? (await freePort(host));
    await writeFile(
      join(dir, "sshd_config"),
      sshdConfig({ dir, host, port, hostKeys, env, extra: options.config ?? [] }),
    );
    server = await listen(
      program,
      join(dir, "sshd_config"),
      mounts,
      port,
      attempt < 5 && options.port === undefined,
      options.netns,
    );
  }
  const { child, pid, port, log } = server;

  const knownHosts = join(dir, "known_hosts");
  const publics = await Promise.all(hostKeys.map((file) => readFile(`${file}.pub`, "utf8")));
  const at = port === 22 ? host : `[${host}]:${port}`;
  await writeFile(knownHosts, publics.map((key) => `${at} ${key.split(" ").slice(0, 2).join(" ").trim()}\n`).join(""));
  const configFile = join(dir, "ssh_config");
  await writeFile(configFile, clientConfig({ name, host, port, user, identity, knownHosts }));

  const connections = async (): Promise<readonly number[]> => {
    const all = await processes();
    // With privilege separation the socket is held by a child that has become the user; root logins have none.
    const holder = (p: Process): Process => all.find((c) => c.parent === p.pid && c.uid !== p.uid) ?? p;
    return all.filter((p) => p.parent === pid).map((p) => holder(p).pid);
  };
  let stopped: Promise<void> | undefined;
  const stop = async (): Promise<void> => {
    const victims = await family(pid, token);
    child.kill("SIGTERM");
    for (const victim of victims) signal(victim, "SIGKILL");
    // Whatever was being started meanwhile.
    for (const victim of await family(pid, token)) signal(victim, "SIGKILL");
    await ended(child);
    await rm(dir, { recursive: true, force: true });
  };
  return {
    name,
    host,
    port,
    user,
    knownHosts,
    identity,
    configFile,
    hostKeys,
    dir,
    home,
    pid,
    log,
    connections,
    stop: () => (stopped ??= stop()),
  };
}

export interface AccountOptions {
  /** `free`: any command without a password. `password`: any command with the account's password. */
  sudo?: "free" | "password" | undefined;
  doas?: "free" | "password" | undefined;
  /** Login shell. Default /bin/bash. */
  shell?: string | undefined;
}

export interface Account {
  readonly name: string;
  readonly password: string;
  readonly uid: number;
  readonly gid: number;
  /** An empty folder of its own. */
  readonly home: string;
  /** Ends its processes and takes every trace of it away. */
  remove(): Promise<void>;
}

let accounts = 0;
const accountPrefix = "amit";

/** A unix account for one test (needs root). Its name is unique on the machine; leftovers of dead runs are swept. */
export async function createAccount(options: AccountOptions = {}): Promise<Account> {
  await sweepAccounts();
  const name = `${accountPrefix}${process.pid}x${await birthOf(process.pid)}x${++accounts}`;
  // Characters that shells, sudoers and chpasswd could stumble over, on purpose.
  const password = `p'w "$HOME" \\${Math.random().toString(36).slice(2)}`;
  const home = await mkdtemp(join(tmpdir(), "ami-home-"));
  await run("useradd", [
    "--no-create-home",
    "--home-dir",
    home,
    "--shell",
    options.shell ?? "/bin/bash",
    "--user-group",
    name,
  ]);
  const [uid, gid] = await idsOf(name);
  await chown(home, uid, gid);
  await run("chpasswd", [], `${name}:${password}\n`);
  if (options.sudo !== undefined) {
    const rule = `${name} ALL=(ALL:ALL) ${options.sudo === "free" ? "NOPASSWD: " : ""}ALL\n`;
    await writeFile(`/etc/sudoers.d/${name}`, rule, { mode: 0o440 });
  }
  if (options.doas !== undefined) await editDoas(`permit ${options.doas === "free" ? "nopass " : ""}${name} # ${name}`);
  return { name, password, uid, gid, home, remove: () => removeAccount(name, uid, home) };
}

async function removeAccount(name: string, uid: number, home: string | undefined): Promise<void> {
  // A guest on this machine may have a user with the same number; its processes are not this account's.
  const owned = (await processes()).filter((p) => p.uid === uid && !p.contained);
  for (const p of owned) signal(p.pid, "SIGKILL");
  // userdel refuses a user that has processes; those just killed need a moment.
  await run("userdel", ["--force", name]).catch(async (error: unknown) => {
    if ((await readFile("/etc/passwd", "utf8")).includes(`\n${name}:`)) throw error;
  });
  await rm(`/etc/sudoers.d/${name}`, { force: true });
  await rm(`/run/sudo/ts/${name}`, { force: true });
  await rm(`/var/lib/sudo/lectured/${name}`, { force: true });
  if ((await readFile("/etc/doas.conf", "utf8").catch(() => "")).includes(`# ${name}\n`))
    await editDoas(undefined, name);
  if (home !== undefined) await rm(home, { recursive: true, force: true });
}

/** Accounts whose test process is gone. */
async function sweepAccounts(): Promise<void> {
  for (const line of (await readFile("/etc/passwd", "utf8")).split("\n")) {
    const [name = "", , uid = "", , , home = ""] = line.split(":");
    const [, owner, birth] = new RegExp(`^${accountPrefix}([0-9]+)x([0-9]+)x[0-9]+$`).exec(name) ?? [];
    // The number of a process that is gone is given to another one after a while.
    if (owner === undefined || birth === (await birthOf(Number(owner)))) continue;
    await removeAccount(name, Number(uid), home.includes("ami-home-") ? home : undefined).catch(() => undefined);
  }
}

/** doas has one rule file for all: edited under a lock, and removed when the last rule of ours was all it held. */
async function editDoas(add: string | undefined, drop?: string): Promise<void> {
  const program = `
    f=/etc/doas.conf; t=$f.ami-test.$$
    m=600; [ ! -f $f ] || m=$(stat -c %a $f)
    { [ ! -f $f ] || { [ -z "$2" ] && cat $f; } || grep -v "# $2\\$" $f; [ -z "$1" ] || printf '%s\\n' "$1"; } > $t
    chmod $m $t
    if [ -s $t ]; then mv $t $f; else rm -f $t $f; fi`;
  await run("flock", [join(tmpdir(), "ami-test-doas.lock"), "sh", "-c", program, "sh", add ?? "", drop ?? ""]);
}

function sshdConfig(at: {
  dir: string;
  host: string;
  port: number;
  hostKeys: readonly string[];
  env: Record<string, string>;
  extra: readonly string[];
}): string {
  return [
    ...at.extra,
    `ListenAddress ${at.host}`,
    `Port ${at.port}`,
    ...at.hostKeys.map((file) => `HostKey ${file}`),
    `PidFile ${at.dir}/sshd.pid`,
    `AuthorizedKeysFile ${at.dir}/authorized_keys`,
    "PermitRootLogin yes",
    "PasswordAuthentication no",
    "KbdInteractiveAuthentication no",
    "UsePAM no",
    "UseDNS no",
    "StrictModes no",
    "PrintMotd no",
    "PrintLastLog no",
    "LogLevel VERBOSE",
    // The last value of this one wins.
    ...(at.extra.some((line) => /^maxstartups\s/i.test(line)) ? [] : ["MaxStartups 1000:30:2000"]),
    "PerSourceMaxStartups none",
    `SetEnv ${Object.entries(at.env)
      .map(([key, value]) => `"${key}=${value.replaceAll(/["\\]/g, "\\$&")}"`)
      .join(" ")}`,
    "AcceptEnv LANG LC_*",
    // A second one of a name is an error, unlike other keywords.
    ...(at.extra.some((line) => /^subsystem\s+sftp\s/i.test(line)) ? [] : ["Subsystem sftp internal-sftp"]),
    "",
  ].join("\n");
}

function clientConfig(at: {
  name: string;
  host: string;
  port: number;
  user: string;
  identity: string;
  knownHosts: string;
}): string {
  return `Host ${at.name}
  HostName ${at.host}
  Port ${at.port}
  User ${at.user}
  IdentityFile ${at.identity}
  IdentitiesOnly yes
  UserKnownHostsFile ${at.knownHosts}
  GlobalKnownHostsFile /dev/null
  StrictHostKeyChecking yes
`;
}

interface Listening {
  child: ChildProcess;
  pid: number;
  port: number;
  log(): string;
}

/** Starts it and waits until it says that it listens; undefined when the port was taken and `mayRetry`. */
async function listen(
  program: string,
  config: string,
  mounts: Readonly<Record<string, string>>,
  port: number,
  mayRetry: boolean,
  netns: string | undefined,
): Promise<Listening | undefined> {
  const inside = netns === undefined ? [] : ["ip", "netns", "exec", netns];
  const server = [...inside, program, "-D", "-e", "-f", config];
  const env = { PATH: "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin" };
  // A bind mount over the home folder, in a mount namespace of its own: no other process sees it, and unlike a
  // replaced /etc/passwd it survives a useradd elsewhere (a rename over a mount point takes the mount away).
  const pairs = Object.entries(mounts).flat();
  const program2 = `while [ "$1" != -- ]; do { [ -e "$1" ] || mkdir -p "$1"; } && mount --bind "$2" "$1" || exit 1; shift 2; done; shift; exec "$@"`;
  const inPlace =
    pairs.length === 0 ? server : ["unshare", "-m", "sh", "-c", program2, "sh", ...pairs, "--", ...server];
  // Whoever kills a run of tests kills its servers too.
  const tie = where("setpriv");
  const argv = tie === undefined ? inPlace : [tie, "--pdeathsig", "TERM", ...inPlace];
  const [first = "", ...rest] = argv;
  const child = spawn(first, rest, { env, stdio: ["ignore", "ignore", "pipe"] });
  let said = "";
  const up = await new Promise<boolean>((resolve) => {
    child.stderr.setEncoding("utf8");
    child.stderr.on("data", (text: string) => {
      said += text;
      if (said.includes("Server listening on")) resolve(true);
    });
    child.on("error", (error) => ((said += String(error)), resolve(false)));
    child.on("close", () => resolve(false));
  });
  const { pid } = child;
  if (up && pid !== undefined) return { child, pid, port, log: () => said };
  if (mayRetry && /Address already in use/.test(said)) return undefined;
  throw new Error(`sshd did not start:\n${said}`);
}

async function freePort(host: string): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve, reject) => server.once("error", reject).listen(0, host, resolve));
  const address = server.address();
  await new Promise<void>((resolve) => server.close(() => resolve()));
  if (address === null || typeof address === "string") throw new Error("no free port");
  return address.port;
}

async function keygen(type: string, file: string): Promise<void> {
  await run("ssh-keygen", ["-q", "-t", type, "-N", "", "-C", "ami-test", "-f", file]);
}

interface Process {
  pid: number;
  parent: number;
  uid: number;
  /** It lives in a pid namespace below ours. */
  contained: boolean;
}

async function processes(): Promise<Process[]> {
  const pids = (await readdir("/proc").catch(() => [])).filter((name) => /^[0-9]+$/.test(name)).map(Number);
  const found = await Promise.all(
    pids.map(async (pid) => {
      const status = await readFile(`/proc/${pid}/status`, "utf8").catch(() => "");
      const field = (name: string): number => Number(new RegExp(`^${name}:\\s+([0-9]+)`, "m").exec(status)?.[1] ?? -1);
      const contained = /^NSpid:\s+[0-9]+\s+[0-9]+/m.test(status);
      return { pid, parent: field("PPid"), uid: field("Uid"), contained };
    }),
  );
  return found.filter((p) => p.parent >= 0);
}

/** Everything below `root` in the process tree, and everything that carries the token in its environment. */
async function family(root: number, token: string): Promise<number[]> {
  const all = await processes();
  const members = new Set<number>();
  const visit = (parent: number): void => {
    for (const p of all) {
      if (p.parent !== parent || members.has(p.pid)) continue;
      members.add(p.pid);
      visit(p.pid);
    }
  };
  visit(root);
  for (const p of all) {
    const environ = await readFile(`/proc/${p.pid}/environ`, "latin1").catch(() => "");
    if (environ.split("\0").includes(`AMI_TEST_SSHD=${token}`)) members.add(p.pid);
  }
  members.delete(root);
  return [...members];
}

function signal(pid: number, name: "SIGKILL" | 0): boolean {
  try {
    return process.kill(pid, name);
  } catch {
    return false; // already gone
  }
}

/** When a process began, in the ticks of the kernel's clock; undefined when there is none. */
async function birthOf(pid: number): Promise<string | undefined> {
  const stat = await readFile(`/proc/${pid}/stat`, "utf8").catch(() => "");
  // The name, in brackets, may hold anything; after it comes the third field.
  return stat
    .slice(stat.lastIndexOf(")") + 2)
    .split(" ")
    .at(22 - 3);
}

async function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  await new Promise<void>((resolve) => child.once("close", () => resolve()));
}

async function currentUser(): Promise<string> {
  return (await run("id", ["-un"])).trim();
}

async function homeOfRoot(): Promise<string> {
  const line = (await readFile("/etc/passwd", "utf8")).split("\n").find((l) => l.startsWith("root:"));
  return line?.split(":")[5] ?? "/root";
}

async function idsOf(name: string): Promise<[uid: number, gid: number]> {
  return [Number(await run("id", ["-u", name])), Number(await run("id", ["-g", name]))];
}

async function run(program: string, args: readonly string[], stdin?: string): Promise<string> {
  const promise = promisify(execFile)(where(program) ?? program, args, { encoding: "utf8" });
  promise.child.stdin?.on("error", () => undefined); // a program that reads no stdin may be gone already
  promise.child.stdin?.end(stdin ?? "");
  return (await promise).stdout;
}
