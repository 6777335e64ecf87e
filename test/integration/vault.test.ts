/** The vault on real files and on a real Secret Service, by way of the command line. */
import { execFile, spawn } from "node:child_process";
import { chmod, lstat, mkdir, mkdtemp, readdir, readFile, rm, stat, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { Secret } from "../../src/core/secret.ts";
import { fileVault } from "../../src/core/security/vault/file.ts";
import type { Vault } from "../../src/core/vault.ts";
import { startSshd } from "../servers/sshd.ts";
import { needs } from "../servers/engines.ts";

const cli = join(import.meta.dirname, "../../src/cli.ts");
/** The Node these tests are written for, also where they run on another runtime. */
const node =
  process.versions["bun"] === undefined ? process.execPath : join(import.meta.dirname, "../../node_modules/.bin/node");

let home: string;
beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), "ami-vault-"));
});
afterEach(() => rm(home, { recursive: true, force: true }));

const env = (more: Record<string, string> = {}) => ({
  HOME: home,
  PATH: process.env["PATH"] ?? "",
  AMI_NODE_CONFIG_DIR: join(home, "config"),
  AMI_NODE_VAULT_PASSPHRASE: "open sesame",
  ...more,
});

async function vault(
  args: readonly string[],
  options: { stdin?: string; env?: Record<string, string> } = {},
): Promise<{ code: number; stdout: string; stderr: string }> {
  const child = spawn(node, [cli, "vault", ...args], { env: env(options.env), stdio: ["pipe", "pipe", "pipe"] });
  child.stdin.on("error", () => undefined).end(options.stdin ?? "");
  let [stdout, stderr] = ["", ""];
  child.stdout.on("data", (bytes: Buffer) => (stdout += bytes.toString()));
  child.stderr.on("data", (bytes: Buffer) => (stderr += bytes.toString()));
  const code = await new Promise<number>((resolve) => child.once("close", (exit) => resolve(exit ?? 128)));
  return { code, stdout, stderr };
}

const file = () => join(home, "config/vault.json");

/** The vault in this process, with a passphrase, and the one that rotate is to give it. */
function at(passphrase: string, next = ""): Vault {
  return fileVault(
    file(),
    {
      current: (attempt) => Promise.resolve(attempt === 1 ? new Secret(passphrase) : undefined),
      first: () => Promise.resolve(new Secret(passphrase)),
      next: () => Promise.resolve(new Secret(next)),
    },
    new AbortController().signal,
  );
}

describe("vault file", () => {
  it("keeps a secret from stdin or a file, gives it back, lists its name, forgets it", async () => {
    await writeFile(join(home, "pem"), "line 1\nzwei ü\n\n");
    expect(await vault(["set", "web1.sudo"], { stdin: "hunter2\n" })).toMatchObject({ code: 0 });
    expect(await vault(["set", "tls key", "--value-file", join(home, "pem")])).toMatchObject({ code: 0 });
    expect(await vault(["get", "web1.sudo"])).toMatchObject({ code: 0, stdout: "hunter2\n" });
    expect(JSON.parse((await vault(["get", "tls key", "--json"])).stdout)).toEqual({
      name: "tls key",
      value: "line 1\nzwei ü\n",
    });
    // No passphrase is needed for names.
    const list = await vault(["list", "--json"], { env: { AMI_NODE_VAULT_PASSPHRASE: "" } });
    expect(JSON.parse(list.stdout)).toMatchObject({
      store: "file",
      entries: [{ name: "tls key" }, { name: "web1.sudo" }],
    });
    expect((await stat(file())).mode & 0o777).toBe(0o600);
    expect(await readFile(file(), "utf8")).not.toContain("hunter2");
    expect(await readdir(join(home, "config"))).not.toContain("vault.json.lock");
    expect(await vault(["rm", "web1.sudo"])).toMatchObject({ code: 1 });
    expect(await vault(["rm", "web1.sudo", "nosuch", "--yes"])).toMatchObject({
      code: 0,
      stdout: "web1.sudo is forgotten\nnosuch was not there\n",
    });
  }, 90_000);

  it("a wrong passphrase opens nothing and changes nothing", async () => {
    await at("right").set("a", new Secret("x"));
    const before = await readFile(file(), "utf8");
    const wrong = at("wrong");
    const tries = [
      () => wrong.get("a"),
      () => wrong.set("b", new Secret("y")),
      () => wrong.remove("a"),
      () => wrong.rotate?.(),
    ];
    for (const attempt of tries) await expect(attempt()).rejects.toMatchObject({ code: "vault.locked" });
    expect(await readFile(file(), "utf8")).toBe(before);
    const { code, stdout, stderr } = await vault(["get", "a"], { env: { AMI_NODE_VAULT_PASSPHRASE: "wrong" } });
    expect({ code, stdout }).toEqual({ code: 1, stdout: "" });
    expect(stderr).toContain("that is not its passphrase");
  });

  it("rotate gives it another passphrase and new keys", async () => {
    await at("old").set("a", new Secret("x"));
    const before = JSON.parse(await readFile(file(), "utf8")) as { entries: { a: { data: string; changed: string } } };
    expect(await at("old", "new").rotate?.()).toBe(1);
    const after = JSON.parse(await readFile(file(), "utf8")) as typeof before;
    expect(after.entries.a.data).not.toBe(before.entries.a.data);
    expect(after.entries.a.changed).toBe(before.entries.a.changed);
    await expect(at("old").get("a")).rejects.toMatchObject({ code: "vault.locked" });
    expect((await at("new").get("a"))?.reveal()).toBe("x");
  });

  it("of many writers at once none loses what another stored", async () => {
    await at("p").set("first", new Secret("x"));
    const names = Array.from({ length: 6 }, (_, i) => `n${i}`);
    expect(await Promise.all(names.map((name) => at("p").set(name, new Secret(name))))).toEqual(names.map(() => "new"));
    expect((await at("p").list()).map(({ name }) => name)).toEqual(["first", ...names]);
  });

  it("the lock of a dead writer is taken over, that of a living one is named", async () => {
    await mkdir(join(home, "config"), { recursive: true });
    const dead = spawn("true");
    await new Promise((resolve) => dead.once("close", resolve));
    const { stdout: name } = await promisify(execFile)("uname", ["-n"]);
    await writeFile(`${file()}.lock`, `${dead.pid} ${name.trim()} x\n`);
    expect(await vault(["set", "a"], { stdin: "x" })).toMatchObject({ code: 0 });
    expect(await readdir(join(home, "config"))).toEqual(expect.not.arrayContaining(["vault.json.lock"]));
  });

  it.each([
    [["set", "a"], "", "the secret is empty"],
    [["set", "a", "--value-file", "/nosuch"], "", "/nosuch cannot be read"],
    [["set", "a\nb"], "x", "is no name"],
    [["set", "__proto__"], "x", "is no name"],
    [["get", "a", "--target", "web1"], "", "takes no targets"],
    [["set", "a", "--passphrase-file", "/dev/null"], "x", "the passphrase of the vault is empty"],
  ])("%j is refused with 64", async (args, stdin, words) => {
    const { code, stderr } = await vault(args, { stdin });
    expect(stderr).toContain(words);
    expect(code).toBe(64);
  });

  it("never takes the place of one with something that could not be read again", async () => {
    await at("p").set("a", new Secret("x"));
    await expect(at("p").set("__proto__", new Secret("y"))).rejects.toThrow();
    expect((await at("p").get("a"))?.reveal()).toBe("x");
  });

  it("a link to it stays one", async () => {
    await mkdir(join(home, "config"));
    await mkdir(join(home, "synced"));
    await symlink(join(home, "synced/vault.json"), file());
    await at("p").set("a", new Secret("x"));
    await at("p").set("b", new Secret("y"));
    expect((await lstat(file())).isSymbolicLink()).toBe(true);
    expect(await readdir(join(home, "synced"))).toEqual(["vault.json"]);
  });

  it("what is no vault is left alone", async () => {
    await mkdir(join(home, "config"), { recursive: true });
    await writeFile(file(), "not json");
    await chmod(file(), 0o600);
    expect(await vault(["set", "a"], { stdin: "x" })).toMatchObject({ code: 1 });
    expect(await readFile(file(), "utf8")).toBe("not json");
  });

  it("a password flag takes it from there, and it shows nowhere", async () => {
    await vault(["set", "root.pw"], { stdin: "hunter2" });
    const run = await promisify(execFile)(
      node,
      [
        cli,
        "ssh",
        "execute",
        "--target",
        "local",
        "--ask-become-pass=vault:root.pw",
        "--json",
        "--",
        "echo",
        "hunter2",
      ],
      { env: env() },
    );
    // What a program prints is its own; our words about it are masked.
    expect(run.stdout).toContain('"title":"echo ••••••"');
    const absent = await vault(["get", "root.pww"]);
    expect(absent.stderr).toContain("did you mean root.pw?");
  }, 60_000);
});

needs("sshd", "ssh")("passphrases of keys", () => {
  it("come from the vault when a key is made, and when one is used", async () => {
    const box = await startSshd();
    try {
      const key = join(home, "id");
      const ami = async (args: readonly string[], more: Record<string, string> = {}) => {
        const child = spawn(node, [cli, ...args], { env: env(more), stdio: ["ignore", "pipe", "pipe"] });
        let said = "";
        for (const stream of [child.stdout, child.stderr])
          stream.on("data", (bytes: Buffer) => (said += bytes.toString()));
        const code = await new Promise<number>((resolve) => child.once("close", (exit) => resolve(exit ?? 128)));
        return { code, said };
      };
      await vault(["set", "laptop"], { stdin: "good night" });
      expect(await ami(["ssh", "key", "generate", key, "--passphrase", "vault:nothing"])).toMatchObject({ code: 1 });
      expect(await ami(["ssh", "key", "generate", key, "--passphrase", "vault:laptop"])).toMatchObject({ code: 0 });
      await promisify(execFile)("ssh-keygen", ["-y", "-P", "good night", "-f", key]);
      const line = await readFile(`${key}.pub`, "utf8");
      await writeFile(join(box.dir, "authorized_keys"), line);
      const config = (await readFile(box.configFile, "utf8")).replace(/IdentityFile .*/, `IdentityFile ${key}`);
      await writeFile(join(home, "ssh_config"), config);
      const execute = ["ssh", "execute", "echo in", "--target", "box", "--ssh-config", join(home, "ssh_config")];
      const before = await ami(execute);
      expect(before).toMatchObject({ code: 4, said: expect.stringContaining("encrypted") });
      await vault(["set", "key:~/id"], { stdin: "good night" });
      expect(await ami(execute)).toEqual({ code: 0, said: "in\n" });
      const locked = await ami(execute, { AMI_NODE_VAULT_PASSPHRASE: "wrong" });
      expect(locked).toMatchObject({
        code: 4,
        said: expect.stringContaining("the vault does not give the passphrase"),
      });
      expect(locked.said).not.toContain("good night");
    } finally {
      await box.stop();
    }
  }, 90_000);
});

needs("secret-service")("vault in a keyring", () => {
  it("keeps secrets in the Secret Service, and a file that was begun is gone on with", async () => {
    const script = `
      printf pw | gnome-keyring-daemon --unlock --components=secrets >/dev/null 2>&1
      v() { "$NODE" "$CLI" vault "$@"; }
      v list --json
      printf 'hunter2' | v set web1.sudo
      printf 'hunter3' | v set web1.sudo
      v get web1.sudo
      v list --json
      v rotate
      v rm web1.sudo --yes
      v list --json
    `;
    const { stdout } = await promisify(execFile)("dbus-run-session", ["--", "sh", "-c", script], {
      env: { ...env(), XDG_DATA_HOME: join(home, "data"), XDG_RUNTIME_DIR: home, NODE: node, CLI: cli },
      timeout: 60_000,
    });
    const lines = stdout.split("\n");
    expect(lines.slice(1, 4)).toEqual([
      "web1.sudo is new in the Secret Service of this session",
      "web1.sudo is replaced in the Secret Service of this session",
      "hunter3",
    ]);
    expect(JSON.parse(lines[4] ?? "")).toMatchObject({ store: "keyring", entries: [{ name: "web1.sudo" }] });
    expect(lines[5]).toBe("web1.sudo is forgotten");
    expect(JSON.parse(lines[6] ?? "")).toMatchObject({ store: "keyring", entries: [] });
    expect(await readdir(join(home, "config"))).not.toContain("vault.json");
  }, 90_000);

  it("where none answers, asking for it by name is an error", async () => {
    await promisify(execFile)(node, [cli, "config", "set", "vault.store", "keyring"], { env: env() });
    const { code, stderr } = await vault(["list"]);
    expect(code).toBe(6);
    expect(stderr).toContain("there is no keyring here");
  });
});
