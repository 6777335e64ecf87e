/**
 * Engines: which real systems this machine can test against, and suites that need some of them.
 * A missing one is a skip whose name says what is missing; where AMI_TEST_REQUIRE (comma list, or `all`) names it, a failure.
 */
import { spawnSync } from "node:child_process";
import { accessSync, constants, existsSync, globSync, statSync } from "node:fs";
import { delimiter, join } from "node:path";
import { describe, it } from "vitest";

/** How each engine is recognised. Add one here and `needs("it")` knows it. */
const probes = {
  root: () => process.getuid?.() === 0,
  /** Modes and links of files, and a colon between the folders of PATH. */
  posix: () => process.platform !== "win32",
  linux: () => process.platform === "linux",
  /** A real OpenSSH server and the tools to make keys for it. */
  sshd: () => has("sshd") && has("ssh-keygen"),
  ssh: () => has("ssh"),
  curl: () => has("curl"),
  sudo: () => has("sudo"),
  su: () => has("su"),
  doas: () => has("doas"),
  useradd: () => has("useradd") && has("userdel") && has("chpasswd"),
  /** A mount namespace of our own: a bare home for root. */
  unshare: () => has("unshare") && process.getuid?.() === 0,
  /** Packet filters in a network namespace of our own. */
  netfilter: () => has("ip") && has("iptables") && mayFilter(),
  /** A local pty without a native addon. */
  script: () => has("script"),
  /** A Secret Service of our own: gnome's, on a bus of its own. */
  "secret-service": () => has("dbus-run-session") && has("gnome-keyring-daemon"),
  /** A compiler for C and the binutils it comes with. */
  gcc: () => has("gcc") && has("objcopy"),
  "g++": () => has("g++"),
  x64: () => process.arch === "x64",
  /** The loader of the musl executable, which is musl's libc. */
  musl: () => existsSync("/lib/ld-musl-x86_64.so.1"),
  setpriv: () => process.getuid?.() !== 0 || has("setpriv"),
  top: () => has("top"),
  getent: () => has("getent"),
  apt: () => ["dpkg-query", "apt-get", "apt-cache"].every(has),
  bash: () => has("bash"),
  dash: () => has("dash"),
  busybox: () => has("busybox"),
  zsh: () => has("zsh"),
  fish: () => has("fish"),
  tcsh: () => has("tcsh"),
  /** One-time codes through PAM. */
  totp: () => has("unshare") && globSync("/lib/*/security/pam_google_authenticator.so").length > 0,
  tmux: () => has("tmux"),
  screen: () => has("screen"),
  less: () => has("less"),
  /** vi in any of its forms. */
  vim: () => has("vi"),
  /** A whole Debian in a container: see guest.ts. */
  "systemd-guest": () => has("systemd-nspawn") && has("mmdebstrap") && has("nsenter") && has("setpriv") && mayMount(),
} satisfies Record<string, () => boolean>;

export type Engine = keyof typeof probes;

/** The engines that exist here. */
export function engines(): ReadonlySet<Engine> {
  return new Set((Object.keys(probes) as Engine[]).filter((name) => probes[name]()));
}

/**
 * `describe` for a suite that needs engines: `needs("sshd", "root")("the pool", () => { ... })`.
 * Without them the suite is skipped under a name that says which are missing, or fails where they are required.
 */
export function needs(...names: readonly Engine[]): (title: string, suite: () => void) => void {
  // Only those asked for: some are found out by starting programs.
  const missing = names.filter((name) => !probes[name]());
  if (missing.length === 0) return (title, suite) => void describe(title, suite);
  const required = missing.filter((name) => requiredEngines().has(name));
  if (required.length > 0) {
    return (title) =>
      void describe(title, () => {
        it(`has ${required.join(", ")}`, () => {
          throw new Error(
            `AMI_TEST_REQUIRE names ${required.join(", ")}, but there is none here: run test/servers/install.sh`,
          );
        });
      });
  }
  return (title, suite) => void describe.skip(`${title} (skipped: no ${missing.join(", no ")} here)`, suite);
}

/** Is there a program of that name on PATH or among the system's own? */
export function has(program: string): boolean {
  return where(program) !== undefined;
}

/** Absolute path of a program, or undefined. Looks in sbin too, which is not on every user's PATH. */
export function where(program: string): string | undefined {
  const folders = [...(process.env.PATH ?? "").split(delimiter), "/usr/local/sbin", "/usr/sbin", "/sbin"];
  return folders
    .filter((folder) => folder !== "")
    .map((folder) => join(folder, program))
    .find(isProgram);
}

function isProgram(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return statSync(path).isFile();
  } catch {
    return false;
  }
}

/** Found out by doing: root in a container often may not. */
function mayMount(): boolean {
  if (process.getuid?.() !== 0 || !has("unshare")) return false;
  const tried = spawnSync("unshare", ["--mount", "mount", "-t", "tmpfs", "none", "/mnt"], { stdio: "ignore" });
  return tried.status === 0;
}

/** Found out by doing as well: the kernel may have no filters. */
function mayFilter(): boolean {
  if (process.getuid?.() !== 0) return false;
  const rule = ["iptables", "-A", "INPUT", "-p", "tcp", "-m", "length", "--length", "1000:", "-j", "DROP"];
  return spawnSync("unshare", ["--net", ...rule], { stdio: "ignore" }).status === 0;
}

/** `all` names every engine, `-name` takes one out again. */
function requiredEngines(): ReadonlySet<string> {
  const words = (process.env.AMI_TEST_REQUIRE ?? "").split(",").map((word) => word.trim());
  const named = words.includes("all") ? [...words, ...Object.keys(probes)] : words;
  return new Set(named.filter((word) => !words.includes(`-${word}`)));
}
