/**
 * Guest: a whole Debian with systemd, an sshd of its own and working apt, for one test. Boots in one to three seconds,
 * writes only to memory, and is gone when it is stopped or when this process ends, however it ends.
 */
import { type ChildProcess, execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { connect } from "node:net";
import { homedir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { promisify } from "node:util";

export interface Guest {
  /** Alias in `configFile`. */
  readonly name: "guest";
  readonly host: string;
  readonly port: 22;
  /** Who `configFile` logs in as: root. `admin` (sudo and doas ask nothing) and `ops` (they ask) take the key too. */
  readonly user: "root";
  /** Password of `ops`, for login, sudo and doas. */
  readonly password: string;
  /** Private key file for root, admin and ops. */
  readonly identity: string;
  readonly knownHosts: string;
  /** For `ssh -F`: one Host, `guest`. */
  readonly configFile: string;
  /** Runs a program inside as root, past sshd: for looking at what a test did. Never rejects for a non-zero exit. */
  exec(argv: readonly string[]): Promise<{ readonly code: number; readonly stdout: string; readonly stderr: string }>;
  /** What the console said so far. */
  log(): string;
  /** Ends the guest and removes all it made. Idempotent. */
  stop(): Promise<void>;
}

/** Boots a guest; resolves when its sshd answers, throws with its console when it does not within a minute. */
export async function startGuest(): Promise<Guest> {
  const image = await guestImage();
  const supervisor = spawn(script("guest-run.sh"), [image], { stdio: ["pipe", "pipe", "pipe"] });
  let console = "";
  supervisor.stderr.setEncoding("utf8").on("data", (piece: string) => (console += piece));
  const [slot, init, dir] = (await firstLine(supervisor)).split(" ");
  if (slot === undefined || init === undefined || dir === undefined) {
    await ended(supervisor);
    throw new Error(`the guest did not start:\n${console}`);
  }
  const host = `10.213.${slot}.2`;
  const proxy = spawn(process.execPath, [script("apt-proxy.ts"), `10.213.${slot}.1`, "3142", host], {
    stdio: ["pipe", "pipe", "inherit"],
  });
  const stop = async (): Promise<void> => {
    await Promise.all([ended(proxy), ended(supervisor)]);
  };
  try {
    if ((await firstLine(proxy)) !== "ready") throw new Error("the guest's apt proxy did not start");
    await answers(host, supervisor);
  } catch (error) {
    await stop();
    throw new Error(`the guest did not boot:\n${console}`, { cause: error });
  }
  return {
    name: "guest",
    host,
    port: 22,
    user: "root",
    password: "guest-password",
    identity: join(dir, "identity"),
    knownHosts: join(dir, "known_hosts"),
    configFile: join(dir, "config"),
    exec: (argv) => execInside(init, argv),
    log: () => console,
    stop,
  };
}

/** The folder of the guest's image, built first when there is none (see guest-image.sh). */
export async function guestImage(): Promise<string> {
  const builder = spawn(script("guest-image.sh"), [cacheDir()], { stdio: ["ignore", "pipe", "inherit"] });
  const [path, [code]] = await Promise.all([text(builder.stdout), once(builder, "close")]);
  if (code !== 0) throw new Error(`guest-image.sh ended with ${String(code)}`);
  return path.trim();
}

/** Where images are kept between runs: AMI_TEST_CACHE, or a folder in the user's own cache. */
function cacheDir(): string {
  const own = process.env.AMI_TEST_CACHE;
  if (own !== undefined && own !== "") return own;
  return join(process.env.XDG_CACHE_HOME || join(homedir(), ".cache"), "ami-node-test");
}

function script(name: string): string {
  return join(import.meta.dirname, name);
}

/** Closing stdin is the order to end, so a child also ends when this process dies. */
async function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  child.stdin?.end();
  await once(child, "exit");
}

/** Up to the first newline; empty when the program ended before. */
async function firstLine(child: ChildProcess): Promise<string> {
  let seen = "";
  for await (const piece of child.stdout?.iterator({ destroyOnReturn: false }) ?? []) {
    seen += String(piece);
    const newline = seen.indexOf("\n");
    if (newline >= 0) return seen.slice(0, newline);
  }
  return "";
}

/** Waits for the greeting of the guest's sshd. */
async function answers(host: string, supervisor: ChildProcess): Promise<void> {
  const deadline = Date.now() + 60_000;
  while (Date.now() < deadline) {
    if (supervisor.exitCode !== null) throw new Error("the guest ended while booting");
    if (await greets(host)) return;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error("no sshd answered within a minute");
}

function greets(host: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host, port: 22, noDelay: true });
    const done = (yes: boolean): void => {
      socket.destroy();
      resolve(yes);
    };
    socket.setTimeout(2_000, () => done(false));
    socket.once("data", (greeting) => done(greeting.toString().startsWith("SSH-")));
    socket.once("error", () => done(false));
    socket.once("end", () => done(false));
  });
}

async function execInside(
  init: string,
  argv: readonly string[],
): Promise<{ code: number; stdout: string; stderr: string }> {
  const namespaces = ["--target", init, "--mount", "--uts", "--ipc", "--net", "--pid", "--root", "--wd=/"];
  const env = {
    PATH: "/usr/sbin:/usr/bin:/sbin:/bin",
    HOME: "/root",
    LC_ALL: "C.UTF-8",
    DEBIAN_FRONTEND: "noninteractive",
  };
  const run = promisify(execFile)("nsenter", [...namespaces, "--", ...argv], { env, maxBuffer: 64 * 2 ** 20 });
  try {
    return { code: 0, ...(await run) };
  } catch (error) {
    if (isExit(error)) return error;
    throw error;
  }
}

function isExit(error: unknown): error is { code: number; stdout: string; stderr: string } {
  return error instanceof Error && "code" in error && typeof error.code === "number";
}
