/** Certificates of users and hosts against a real sshd: with them our own client logs in where ssh would, and nowhere else. */
import { execFile, spawn } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { openHosts } from "../../src/core/hosts/open.ts";
import { Secret } from "../../src/core/secret.ts";
import type { SshOptions } from "../../src/core/ssh/options.ts";
import { parseTarget } from "../../src/core/targets.ts";
import { needs } from "../servers/engines.ts";
import { type Sshd, startSshd } from "../servers/sshd.ts";

needs(
  "sshd",
  "ssh",
  "root",
)("certificates", () => {
  let dir: string;
  let userCa: string;
  let hostCa: string;
  /** Takes users by certificates only. */
  let users: Sshd;
  const servers: Sshd[] = [];

  beforeAll(async () => {
    dir = await mkdtemp(join(tmpdir(), "ami-certs-"));
    [userCa, hostCa] = await Promise.all([keygen("user-ca"), keygen("host-ca")]);
    await writeFile(join(dir, "revoked-keys"), "");
    users = await startSshd({ config: takesUsers(userCa) });
  });
  afterEach(async () => {
    await Promise.all(servers.splice(0).map((server) => server.stop()));
  });
  afterAll(async () => {
    await users?.stop();
    await rm(dir, { recursive: true, force: true });
  });

  function takesUsers(ca: string): string[] {
    return [`TrustedUserCAKeys ${ca}.pub`, "AuthorizedKeysFile none", `RevokedKeys ${dir}/revoked-keys`];
  }
  async function keygen(name: string, type = "ed25519", passphrase = ""): Promise<string> {
    const file = join(dir, name);
    const bits = type === "rsa" ? ["-b", "2048"] : [];
    await run("ssh-keygen", ["-q", "-t", type, ...bits, "-C", name, "-N", passphrase, "-f", file]);
    return file;
  }
  /** As ssh-keygen signs: beside the key. */
  async function certify(key: string, ca: string, ...words: string[]): Promise<string> {
    await run("ssh-keygen", ["-q", "-s", ca, "-I", "somebody", ...words, `${key}.pub`]);
    return `${key}-cert.pub`;
  }
  /** The config of a server, with other keys than its own. */
  async function config(server: Sshd, ...lines: string[]): Promise<string> {
    const file = join(dir, `config-${Math.random().toString(36).slice(2)}`);
    const text = await readFile(server.configFile, "utf8");
    await writeFile(file, `${text.replace(/^ *IdentityFile.*\n/m, "")}${lines.map((line) => `  ${line}\n`).join("")}`);
    return file;
  }
  async function whoami(server: Sshd, options: SshOptions): Promise<string> {
    const hosts = openHosts({ ssh: { env: {}, home: join(dir, "home"), transport: "ssh2", ...options } });
    try {
      const host = await hosts.open(parseTarget(server.name));
      return (await host.exec(["id", "-un"])).stdout.toString().trim();
    } finally {
      await hosts.close();
    }
  }

  describe("of a user", () => {
    it.each(["ed25519", "rsa", "ecdsa"])("lets in with %s, from beside the key", async (type) => {
      const ca = await keygen(`ca-${type}`, type);
      const server = await startSshd({ config: takesUsers(ca) });
      servers.push(server);
      const key = await keygen(`id-${type}`, type);
      await certify(key, ca, "-n", "root");
      expect(await whoami(server, { configFile: await config(server, `IdentityFile ${key}`) })).toBe("root");
      expect(await whoami(server, { configFile: await config(server), identities: [key] })).toBe("root");
    });

    it("is taken from where CertificateFile says", async () => {
      const key = await keygen("elsewhere");
      const certificate = await certify(key, userCa, "-n", "root");
      const moved = join(dir, "some certificate.pub");
      await run("mv", [certificate, moved]);
      const configFile = await config(users, `IdentityFile ${key}`, `CertificateFile "${moved}"`);
      expect(await whoami(users, { configFile })).toBe("root");
      await expect(whoami(users, { configFile: await config(users, `IdentityFile ${key}`) })).rejects.toMatchObject({
        code: "ssh.auth",
      });
    });

    it("of a key with a passphrase asks for it once", async () => {
      const key = await keygen("locked", "ed25519", "open sesame");
      await certify(key, userCa, "-n", "root");
      const asked: string[] = [];
      const ask: SshOptions["ask"] = async ({ kind }) => {
        asked.push(kind);
        return new Secret("open sesame");
      };
      expect(await whoami(users, { configFile: await config(users, `IdentityFile ${key}`), ask })).toBe("root");
      expect(asked).toEqual(["passphrase"]);
    });

    it.each(["ed25519", "rsa", "ecdsa"])("is taken from the agent: %s", async (type) => {
      const key = await keygen(`agent-${type}`, type);
      await certify(key, userCa, "-n", "root");
      const socket = join(dir, `agent-${type}.sock`);
      const agent = spawn("ssh-agent", ["-D", "-a", socket], { stdio: "ignore" });
      try {
        const env = { SSH_AUTH_SOCK: socket };
        await until(() => run("ssh-add", ["-q", key], env));
        await Promise.all([key, `${key}-cert.pub`].map((file) => rm(file)));
        const all = { configFile: await config(users, "IdentitiesOnly no", "IdentityFile none"), env };
        const text = (await readFile(all.configFile, "utf8")).replace("IdentitiesOnly yes", "IdentitiesOnly no");
        await writeFile(all.configFile, text);
        expect(await whoami(users, all)).toBe("root");
      } finally {
        agent.kill();
      }
    });

    it("that the server does not believe lets nobody in, and the error says what may be wrong with it", async () => {
      const stranger = await keygen("stranger-ca");
      const [expired, early, other, foreign, revoked, host] = await Promise.all(
        ["expired", "early", "other", "foreign", "revoked", "host-kind"].map((name) => keygen(name)),
      );
      await certify(expired ?? "", userCa, "-n", "root", "-V", "20200101:20200102");
      await certify(early ?? "", userCa, "-n", "root", "-V", "20990101:20990102");
      await certify(other ?? "", userCa, "-n", "alice,bob");
      await certify(foreign ?? "", stranger, "-n", "root");
      await certify(revoked ?? "", userCa, "-n", "root");
      await certify(host ?? "", userCa, "-h", "-n", "root");
      await writeFile(join(dir, "revoked-keys"), await readFile(`${revoked}.pub`));
      for (const [key, words] of [
        [expired, `${expired}-cert.pub: it expired on 2020-01-02 00:00:00 UTC`],
        [early, `${early}-cert.pub: it is not valid before 2099-01-01 00:00:00 UTC`],
        [other, `(${other}-cert.pub; for alice, bob)`],
        [foreign, `(${foreign}-cert.pub; for root)`],
        [revoked, `(${revoked}-cert.pub; for root)`],
        [host, `${host}-cert.pub: it is for a host, not for a user`],
      ] as const) {
        const failure = whoami(users, { configFile: await config(users, `IdentityFile ${key}`) });
        await expect(failure).rejects.toMatchObject({
          code: "ssh.auth",
          message: expect.stringContaining(words),
          hint: expect.stringMatching(key === expired ? /certificate made anew/ : /authorized_keys/),
        });
      }
    });
  });

  describe("of a host", () => {
    /** A server with a certificate for `names`; in known hosts stand `lines`, where CA is the authority and KEY its key. */
    async function serve(
      type: string,
      ca: string,
      words: readonly string[],
      lines: string,
      ...more: string[]
    ): Promise<Sshd> {
      const key = await keygen(`host-${servers.length}-${Math.random().toString(36).slice(2)}`, type);
      const certificate = await certify(key, ca, "-h", ...words);
      const server = await startSshd({
        hostKeys: [],
        config: [`HostKey ${key}`, `HostCertificate ${certificate}`, ...more],
      });
      servers.push(server);
      const [plain, authority] = await Promise.all([publicKey(key), publicKey(ca)]);
      const text = lines.replaceAll("KEY", plain).replaceAll("CA", authority).replaceAll("PORT", String(server.port));
      await writeFile(server.knownHosts, `${text}\n`);
      return server;
    }
    const enter = (server: Sshd, options: SshOptions = {}): Promise<string> =>
      whoami(server, { configFile: server.configFile, ...options });

    it.each(["ed25519", "rsa", "ecdsa"])("is believed where its authority is: %s", async (type) => {
      const ca = await keygen(`authority-${type}`, type);
      const server = await serve(type, ca, ["-n", "127.0.0.1"], "@cert-authority [127.0.0.1]:PORT CA");
      expect(await enter(server)).toBe("root");
    });

    it("alone is believed when the config allows nothing else, in every kind of key exchange", async () => {
      const server = await serve("ed25519", hostCa, [], "@cert-authority * CA\n[127.0.0.1]:PORT KEY");
      const configFile = join(dir, "only");
      const only = `${await readFile(server.configFile, "utf8")}  HostKeyAlgorithms ssh-ed25519-cert-v01@openssh.com\n`;
      for (const kex of ["curve25519-sha256", "ecdh-sha2-nistp256", "diffie-hellman-group-exchange-sha256"]) {
        await writeFile(configFile, `${only}  KexAlgorithms ${kex}\n`);
        expect([kex, await enter(server, { configFile })]).toEqual([kex, "root"]);
      }
    });

    it("is shown again at each new key exchange", async () => {
      const server = await serve(
        "ed25519",
        hostCa,
        [],
        "@cert-authority * CA",
        "RekeyLimit 256K none",
        "LogLevel DEBUG1",
      );
      const hosts = openHosts({ ssh: { env: {}, configFile: server.configFile } });
      const host = await hosts.open(parseTarget(server.name));
      const { stdout } = await host.exec(["head", "-c", "3000000", "/dev/zero"]);
      await hosts.close();
      expect(stdout.length).toBe(3_000_000);
      expect(server.log().split("SSH2_MSG_NEWKEYS received").length).toBeGreaterThan(5);
    });

    it("counts by the name without the port too, and by the alias", async () => {
      const plain = await serve("ed25519", hostCa, ["-n", "127.0.0.1"], "@cert-authority 127.0.0.1 CA");
      expect(await enter(plain)).toBe("root");
      const alias = await serve("ed25519", hostCa, ["-n", "box.example"], "@cert-authority *.example CA");
      const configFile = join(dir, "alias");
      await writeFile(configFile, `${await readFile(alias.configFile, "utf8")}  HostKeyAlias box.example\n`);
      expect(await enter(alias, { configFile })).toBe("root");
    });

    it("that says nothing leaves the plain key, which may be known or not", async () => {
      const notes: string[] = [];
      const note: SshOptions["note"] = ({ text }) => void notes.push(text);
      const known = "@cert-authority * CA\n[127.0.0.1]:PORT KEY";
      const server = await serve("ed25519", hostCa, ["-n", "other"], known);
      expect(await enter(server, { note })).toBe("root");
      expect(notes).toEqual(["the host certificate is not believed: it is for other, not for 127.0.0.1"]);
      const stranger = await keygen("stranger-host-ca");
      const authority = await publicKey(stranger);
      for (const [words, lines, why] of [
        [["-n", "other"], "@cert-authority * CA", "it is for other, not for 127.0.0.1"],
        [["-n", "127.*"], "@cert-authority * CA", "it is for 127.*, not for 127.0.0.1"],
        [["-V", "20200101:20200102"], "@cert-authority * CA", "it expired on 2020-01-02 00:00:00 UTC"],
        [[], `@cert-authority * ${authority}`, "its authority is not one we know"],
      ] as const) {
        const bad = await serve("ed25519", hostCa, words, lines);
        await expect(enter(bad)).rejects.toMatchObject({
          code: "hostkey.unknown",
          message: expect.stringContaining(`the host certificate is not believed: ${why}`),
        });
      }
    });

    it("is refused when its authority or its key is revoked", async () => {
      for (const revoked of ["CA", "KEY"]) {
        const server = await serve("ed25519", hostCa, [], `@cert-authority * CA\n@revoked * ${revoked}`);
        await expect(enter(server)).rejects.toMatchObject({ code: "hostkey.revoked" });
      }
    });
  });
});

async function publicKey(file: string): Promise<string> {
  return (await readFile(`${file}.pub`, "utf8")).split(" ").slice(0, 2).join(" ");
}

async function run(program: string, words: readonly string[], env?: Record<string, string>): Promise<void> {
  await promisify(execFile)(program, words, env === undefined ? {} : { env: { ...process.env, ...env } });
}

/** The agent makes its socket when it gets round to it. */
async function until(work: () => Promise<void>): Promise<void> {
  for (const end = Date.now() + 20_000; ; await new Promise((resolve) => setTimeout(resolve, 20))) {
    try {
      return await work();
    } catch (error) {
      if (Date.now() > end) throw error;
    }
  }
}
