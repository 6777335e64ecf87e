/** Key fleet: several real servers, each with an authorized_keys file of its own, and one key that they all take. */
import { execFile } from "node:child_process";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Sshd, startSshd } from "./sshd.ts";

export interface KeyFleet {
  readonly dir: string;
  /** Private key that every server takes at first. */
  readonly key: string;
  /** For `ssh -F`: aliases box1, box2, ...; they log in with `key` only. */
  readonly configFile: string;
  readonly names: readonly string[];
  readonly servers: readonly Sshd[];
  /** The authorized_keys file of a server. */
  authorized(name: string): string;
  /** Puts things back as they were at first. */
  reset(options?: { readonly lines?: Readonly<Record<string, string>> }): Promise<void>;
  /** Does OpenSSH get in with this key and nothing else? */
  opens(name: string, key: string): Promise<boolean>;
  stop(): Promise<void>;
}

export async function startKeyFleet(count: number): Promise<KeyFleet> {
  const dir = await mkdtemp(join(tmpdir(), "ami-fleet-"));
  const key = join(dir, "keys", "id");
  const names = Array.from({ length: count }, (_, i) => `box${i + 1}`);
  const servers = await Promise.all(
    names.map((name) => startSshd({ name, config: ["AuthorizedKeysFile .ssh/authorized_keys"] })),
  );
  const home = (name: string): string => servers[names.indexOf(name)]?.home ?? "";
  const authorized = (name: string): string => join(home(name), ".ssh", "authorized_keys");
  const configs = await Promise.all(servers.map(({ configFile }) => readFile(configFile, "utf8")));
  const configFile = join(dir, "ssh_config");
  await writeFile(configFile, configs.map((text) => text.replace(/IdentityFile .*/, `IdentityFile ${key}`)).join("\n"));
  await mkdir(join(dir, "made"));
  await run("ssh-keygen", ["-q", "-t", "ed25519", "-N", "", "-C", "first", "-f", join(dir, "made", "id")]);
  const [secret, open] = await Promise.all(["id", "id.pub"].map((name) => readFile(join(dir, "made", name), "utf8")));

  const reset: KeyFleet["reset"] = async ({ lines = {} } = {}) => {
    await rm(join(dir, "keys"), { recursive: true, force: true });
    await mkdir(join(dir, "keys"), { mode: 0o700 });
    await writeFile(key, secret ?? "", { mode: 0o600 });
    await writeFile(`${key}.pub`, open ?? "");
    for (const name of names) {
      await mkdir(join(home(name), ".ssh"), { recursive: true, mode: 0o700 });
      const text = lines[name] ?? `# keys of ${name}\n${open ?? ""}`;
      await writeFile(authorized(name), text.replaceAll("{key}", open?.trim() ?? ""), { mode: 0o600 });
    }
  };
  await reset();
  const stop = async (): Promise<void> => {
    await Promise.all(servers.map((server) => server.stop()));
    await rm(dir, { recursive: true, force: true });
  };
  return {
    dir,
    key,
    configFile,
    names,
    servers,
    authorized,
    reset,
    opens(name, with_) {
      const server = servers[names.indexOf(name)];
      if (server === undefined) throw new Error(`no server ${name}`);
      const options = [
        `IdentityFile=${with_}`,
        "IdentitiesOnly=yes",
        "BatchMode=yes",
        `UserKnownHostsFile=${server.knownHosts}`,
        `Port=${server.port}`,
      ].flatMap((option) => ["-o", option]);
      return run("ssh", ["-F", "none", ...options, `${server.user}@${server.host}`, "true"], true).then(
        () => true,
        () => false,
      );
    },
    stop,
  };
}

function run(program: string, args: readonly string[], bare = false): Promise<string> {
  const { SSH_AUTH_SOCK: _agent, ...env } = process.env;
  return new Promise((resolve, reject) => {
    const child = execFile(program, [...args], bare ? { env } : {}, (error, stdout) =>
      error === null ? resolve(stdout) : reject(error),
    );
    child.stdin?.end();
  });
}
