/** Keys and certificates against OpenSSH: its tools read what we write, its agent and its server take it. */
import { execFile, execFileSync, spawn } from "node:child_process";
import { chmod, mkdir, mkdtemp, readFile, readdir, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { command as init } from "../../src/commands/ssh/ca/init.ts";
import { command as sign } from "../../src/commands/ssh/ca/sign.ts";
import { command as generate } from "../../src/commands/ssh/key/generate.ts";
import { command as install } from "../../src/commands/ssh/key/install.ts";
import { command as revoke } from "../../src/commands/ssh/key/revoke.ts";
import { openHosts } from "../../src/core/hosts/open.ts";
import { talkToAgent } from "../../src/core/ssh/agent-talk.ts";
import { generateKey, keyTypes } from "../../src/core/ssh/key/generate.ts";
import { halvesOf } from "../../src/core/ssh/key/halves.ts";
import { listKeys } from "../../src/core/ssh/key/list.ts";
import { writePrivateKey } from "../../src/core/ssh/key/write.ts";
import { readKeyFile } from "../../src/core/ssh/keys.ts";
import { readCertificate } from "../../src/core/ssh/key/certificate.ts";
import { fingerprint } from "../../src/core/ssh/known-hosts.ts";
import { Secret } from "../../src/core/secret.ts";
import { needs } from "../servers/engines.ts";
import { type KeyFleet, startKeyFleet } from "../servers/key-fleet.ts";
import { type Sshd, startSshd } from "../servers/sshd.ts";
import { testContext } from "../unit/commands/context.ts";

/** The Node these tests are written for, also where they run on another runtime. */
const node =
  process.versions["bun"] === undefined ? process.execPath : join(import.meta.dirname, "../../node_modules/.bin/node");

let dir = "";
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), "ami-keys-"));
});
afterAll(() => rm(dir, { recursive: true, force: true }));

const keygen = (...args: readonly string[]): string =>
  execFileSync("ssh-keygen", [...args], { stdio: ["ignore", "pipe", "pipe"] })
    .toString()
    .trim();
const signal = new AbortController().signal;
const yes = (wish: Parameters<typeof testContext>[0] = {}) => ({
  ...testContext(wish),
  confirm: () => Promise.resolve(),
});

needs("sshd")("ssh key generate", () => {
  const kinds = [
    ["ed25519", undefined],
    ["rsa", 2048],
    ["ecdsa", 256],
    ["ecdsa", 384],
    ["ecdsa", 521],
  ] as const;
  it.each(kinds)(
    "writes %s keys (%s bits) that ssh-keygen reads, with and without a passphrase",
    async (type, bits) => {
      await writeFile(join(dir, "pass"), "with blank ä'\"\\\nsecond line\n");
      for (const passphrase of [undefined, "with blank ä'\"\\"]) {
        const file = join(dir, `${type}-${bits}${passphrase === undefined ? "" : "-locked"}`);
        const given = passphrase === undefined ? { withoutPassphrase: true } : { passphraseFile: join(dir, "pass") };
        const input = generate.input.parse({ file, type, bits, comment: "a key ö", ...given });
        const { output } = await generate.run(input, yes());
        expect(keygen("-y", "-P", passphrase ?? "", "-f", file)).toBe(output.public);
        expect((await readFile(`${file}.pub`, "utf8")).trim()).toBe(output.public);
        expect(keygen("-l", "-f", file)).toBe(`${output.bits} ${output.fingerprint} a key ö (${type.toUpperCase()})`);
        expect([(await stat(file)).mode & 0o777, (await stat(`${file}.pub`)).mode & 0o777]).toEqual([0o600, 0o644]);
        if (passphrase !== undefined) expect(() => keygen("-y", "-P", "wrong", "-f", file)).toThrow(/passphrase/);
      }
    },
  );

  it("replaces a key only when that is confirmed, and asks for a passphrase or the word that there is none", async () => {
    const file = join(dir, "twice");
    const input = generate.input.parse({ file, withoutPassphrase: true });
    const { output } = await generate.run(input, testContext());
    await expect(generate.run(input, testContext())).rejects.toThrow("nobody is asked");
    expect((await readFile(`${file}.pub`, "utf8")).trim()).toBe(output.public);
    expect((await generate.run(input, yes())).output.fingerprint).not.toBe(output.fingerprint);
    const silent = generate.input.parse({ file: join(dir, "silent") });
    await expect(generate.run(silent, yes())).rejects.toMatchObject({ code: "usage.input" });
  });

  it("writes those Ed25519 keys too that begin with a zero byte", async () => {
    const { generateKeyPairSync } = await import("node:crypto");
    let key = generateKeyPairSync("ed25519").privateKey;
    while (halvesOf(key).blob[19] !== 0) key = generateKeyPairSync("ed25519").privateKey;
    const file = join(dir, "zero");
    await writeFile(file, await writePrivateKey(key, { comment: "" }), { mode: 0o600 });
    expect(keygen("-y", "-f", file)).toBe(`ssh-ed25519 ${halvesOf(key).blob.toString("base64")}`);
  });
});

describe("where nothing can be made", () => {
  it.runIf(process.platform === "linux").each([
    ["/proc/x/y", /\/proc\/x/],
    ["/etc/hostname/y", /\/etc\/hostname/],
  ])("a key for %s is refused, and at once", async (file, words) => {
    const program = [join(import.meta.dirname, "../../src/cli.ts"), "ssh", "key", "generate", file];
    const child = spawn(node, [...program, "--without-passphrase"], { timeout: 20_000, killSignal: "SIGKILL" });
    let said = "";
    child.stderr.on("data", (bytes: Buffer) => (said += bytes.toString()));
    const code = await new Promise((resolve) => child.once("close", resolve));
    expect(said).toMatch(words);
    expect(said).not.toContain("mistake in ami-node");
    expect(code).toBe(1);
  });
});

needs("ssh")("the agent", () => {
  let socket = "";
  let agent: ReturnType<typeof spawn>;
  beforeAll(async () => {
    socket = join(dir, "agent.sock");
    agent = spawn("ssh-agent", ["-D", "-a", socket], { stdio: "ignore" });
    while (!(await stat(socket).catch(() => undefined))) await new Promise((resolve) => setTimeout(resolve, 20));
  });
  afterAll(() => void agent.kill());
  const held = (): string => {
    try {
      return execFileSync("ssh-add", ["-l"], { env: { ...process.env, SSH_AUTH_SOCK: socket } }).toString();
    } catch {
      return "";
    }
  };

  it.each(keyTypes)("takes, lists and gives up a key of type %s, which signs", async (type) => {
    const file = join(dir, `agent-${type}`);
    const made = await generateKey(file, { type, bits: type === "rsa" ? 2048 : undefined, comment: "mine" });
    const talk = talkToAgent(socket, signal);
    await talk.add(made.private.object(), { comment: "mine" });
    expect(held()).toContain(`${fingerprint(made.blob)} mine`);
    expect(await talk.list()).toEqual([{ type: made.type, blob: made.blob, comment: "mine" }]);
    const env = { ...process.env, SSH_AUTH_SOCK: socket };
    await writeFile(join(dir, "data"), "data");
    execFileSync("ssh-keygen", ["-Y", "sign", "-f", `${file}.pub`, "-n", "t", join(dir, "data")], {
      env,
      stdio: "pipe",
    });
    const check = ["-Y", "check-novalidate", "-n", "t", "-s", join(dir, "data.sig")];
    expect(execFileSync("ssh-keygen", check, { input: "data" }).toString()).toContain("Good");
    await rm(join(dir, "data.sig"));
    expect([await talk.remove(made.blob), await talk.remove(made.blob)]).toEqual([true, false]);
    expect(held()).toBe("");
  });

  it("keeps a key for its time, takes certificates, and gives everything up", async () => {
    const talk = talkToAgent(socket, signal);
    const made = await generateKey(join(dir, "brief"), { type: "ed25519", comment: "brief" });
    keygen("-s", join(dir, "brief"), "-I", "x", "-n", "root", join(dir, "brief.pub"));
    const base64 = (await readFile(join(dir, "brief-cert.pub"), "utf8")).split(" ")[1] ?? "";
    const certificate = Buffer.from(base64, "base64");
    await talk.add(made.private.object(), { comment: "cert", certificate });
    expect(held()).toContain("ED25519-CERT");
    await talk.removeAll();
    await talk.add(made.private.object(), { comment: "brief", lifetime: 1, confirm: true });
    expect(held()).not.toBe("");
    const deadline = Date.now() + 20_000;
    while (held() !== "" && Date.now() < deadline) await new Promise((resolve) => setTimeout(resolve, 200));
    expect(held()).toBe("");
  });

  it("and the ssh config are looked at when keys are listed", async () => {
    const home = join(dir, "listed");
    const folder = join(home, ".ssh");
    await mkdir(folder, { recursive: true, mode: 0o700 });
    const open = await generateKey(join(folder, "id_ed25519"), { type: "ed25519", comment: "open one" });
    const passphrase = new Secret("abc");
    const locked = await generateKey(join(folder, "locked"), {
      type: "rsa",
      bits: 2048,
      comment: "locked",
      passphrase,
    });
    const lonely = await generateKey(join(folder, "lonely"), { type: "ecdsa", comment: "lonely" });
    await rm(join(folder, "lonely"));
    await generateKey(join(folder, "loose"), { type: "ed25519", comment: "loose" });
    await chmod(join(folder, "loose"), 0o644);
    const apart = await generateKey(join(home, "apart"), { type: "ed25519", comment: "apart" });
    await writeFile(join(folder, "known_hosts"), "web1 ssh-ed25519 AAAA\n");
    await writeFile(
      join(folder, "config"),
      `Host web1 web2\n  IdentityFile ~/.ssh/locked\nHost db1\n  IdentityFile ${join(home, "apart")}\n  IdentityFile ~/none\n`,
    );
    const talk = talkToAgent(socket, signal);
    const stranger = await generateKey(join(dir, "stranger"), { type: "ed25519", comment: "" });
    await talk.add(locked.private.object(), { comment: "locked" });
    await talk.add(stranger.private.object(), { comment: "from elsewhere" });
    const keys = await listKeys({ home, configFile: undefined, agent: socket, signal });
    await talk.removeAll();
    const brief = keys.map(({ path, kind, bits, comment, fingerprint: print, agent: isHeld, usedBy }) => [
      path?.slice(home.length + 1),
      kind,
      bits,
      comment,
      print,
      isHeld,
      usedBy.join(","),
    ]);
    expect(brief).toEqual([
      [".ssh/id_ed25519", "open", 256, "open one", fingerprint(open.blob), false, ""],
      [".ssh/locked", "encrypted", 2048, "locked", fingerprint(locked.blob), true, "web1,web2"],
      [".ssh/lonely.pub", "public", 256, "lonely", fingerprint(lonely.blob), false, ""],
      [".ssh/loose", "unusable", undefined, "loose", undefined, false, ""],
      ["apart", "open", 256, "apart", fingerprint(apart.blob), false, "db1"],
      [undefined, "open", 256, "from elsewhere", fingerprint(stranger.blob), true, ""],
    ]);
    expect(keys[3]?.problem).toContain("chmod 600");
  });

  it("that is not there is told in words", async () => {
    await expect(talkToAgent(join(dir, "none"), signal).list()).rejects.toMatchObject({ code: "ssh.agent" });
  });
});

needs("sshd", "ssh")("ssh ca", () => {
  it.each(keyTypes)("a CA of type %s signs what ssh-keygen reads back, word for word", async (type) => {
    const ca = join(dir, `ca-${type}`);
    await init.run(
      init.input.parse({ file: ca, type, bits: type === "rsa" ? 2048 : undefined, withoutPassphrase: true }),
      yes(),
    );
    const again = init.input.parse({ file: ca, withoutPassphrase: true });
    await expect(init.run(again, yes())).rejects.toMatchObject({ code: "usage.input" });
    await generateKey(join(dir, "subject"), { type, bits: type === "rsa" ? 2048 : undefined, comment: "me" });
    const input = sign.input.parse({
      key: join(dir, "subject.pub"),
      ca,
      principal: ["root", "deploy"],
      valid: "20260102030405:20300101",
      id: "the id",
      serial: "18446744073709551615",
      option: ["source-address=10.0.0.0/8,127.0.0.1", "force-command=echo 'a b'"],
      extension: ["permit-pty", "my-own@example.com=value"],
    });
    const { output } = await sign.run(input, yes());
    expect(output.path).toBe(join(dir, "subject-cert.pub"));
    const theirs = join(dir, "theirs");
    await writeFile(`${theirs}.pub`, await readFile(join(dir, "subject.pub")));
    const options = ["force-command=echo 'a b'", "source-address=10.0.0.0/8,127.0.0.1", "clear", "permit-pty"];
    const words = ["-s", ca, "-I", "the id", "-n", "root,deploy", "-V", "20260102030405:20300101", "-z"];
    const more = [...options, "extension:my-own@example.com=value"].flatMap((option) => ["-O", option]);
    keygen(...words, "18446744073709551615", ...more, `${theirs}.pub`);
    const shown = (file: string): string => keygen("-L", "-f", file).replace(/^.*:\n/, "");
    // "clear" clears the options before it too.
    expect(shown(output.path).replaceAll(/\s+/g, " ")).toContain(
      "Critical Options: force-command echo 'a b' source-address 10.0.0.0/8,127.0.0.1 Extensions: my-own@example.com",
    );
    const head = (text: string): string => text.slice(0, text.indexOf("Critical"));
    expect(head(shown(output.path))).toBe(head(shown(`${theirs}-cert.pub`)));
    const blob = Buffer.from((await readFile(`${theirs}-cert.pub`, "utf8")).split(" ")[1] ?? "", "base64");
    expect(readCertificate(blob)).toMatchObject({ kind: "user", keyId: "the id", principals: ["root", "deploy"] });
  });

  it("OpenSSH logs in with a user certificate, on a host that it trusts by a host certificate", async () => {
    for (const type of keyTypes) {
      const bits = type === "rsa" ? 2048 : undefined;
      const [users, hosts] = [join(dir, `users-${type}`), join(dir, `hosts-${type}`)];
      const made = await generateKey(users, { type, bits, comment: "users" });
      const hostCa = await generateKey(hosts, { type, bits, comment: "hosts" });
      const id = join(dir, `id-${type}`);
      await generateKey(id, { type, bits, comment: "somebody" });
      const certificate = join(dir, `host-${type}-cert.pub`);
      const config = [`TrustedUserCAKeys ${users}.pub`, `HostCertificate ${certificate}`, "AuthorizedKeysFile none"];
      // The certificate is made of the server's own key, and read when it is told to begin anew.
      await writeFile(certificate, "");
      let server: Sshd | undefined;
      try {
        server = await startSshd({ config });
        const hostKey = `${server.hostKeys[0]}.pub`;
        const wish = { key: hostKey, ca: hosts, host: true, principal: ["box.example"], out: certificate };
        await sign.run(sign.input.parse(wish), yes());
        process.kill(server.pid, "SIGHUP");
        const user = { key: id, ca: users, principal: [server.user], valid: "+1h" };
        const { output } = await sign.run(sign.input.parse(user), yes());
        expect(output.ca).toBe(fingerprint(made.blob));
        const known = join(dir, `known-${type}`);
        await writeFile(known, `@cert-authority box.example ${hostCa.line}\n`);
        const said = await ssh(server, id, known);
        expect([type, said]).toEqual([type, "fine\n"]);
        // For another name, and after its time, it is nothing.
        await sign.run(sign.input.parse({ ...user, principal: ["somebody-else"] }), yes());
        expect(await ssh(server, id, known)).toMatch(/Permission denied/);
        await sign.run(sign.input.parse({ ...user, valid: "-2h:-1h" }), yes());
        expect(await ssh(server, id, known)).toMatch(/Permission denied/);
      } finally {
        await server?.stop();
      }
    }
  });

  it("wants to know for whom, and refuses a private key where there is a public one to sign", async () => {
    const key = join(dir, "ca-ed25519");
    await expect(sign.run(sign.input.parse({ key, ca: key }), yes())).rejects.toMatchObject({ code: "usage.input" });
    await writeFile(join(dir, "wrong.pub"), await readFile(key));
    const wrong = sign.input.parse({ key: join(dir, "wrong.pub"), ca: key, principal: ["x"] });
    await expect(sign.run(wrong, yes())).rejects.toMatchObject({ message: expect.stringContaining("private key") });
    expect(sign.input.safeParse({ key, valid: "20261341" }).success).toBe(false);
  });
});

/** Until sshd listens again after SIGHUP a connection may be refused. */
async function ssh(server: Sshd, id: string, known: string): Promise<string> {
  const options = [
    `IdentityFile=${id}`,
    "IdentitiesOnly=yes",
    "BatchMode=yes",
    "HostKeyAlias=box.example",
    `UserKnownHostsFile=${known}`,
    "GlobalKnownHostsFile=none",
    "StrictHostKeyChecking=yes",
    `Port=${server.port}`,
  ].flatMap((option) => ["-o", option]);
  for (;;) {
    const said = await new Promise<string>((resolve) => {
      const words = ["-F", "none", ...options, `${server.user}@${server.host}`, "echo fine"];
      execFile("ssh", words, (_error, stdout, stderr) => resolve(stdout === "" ? stderr : stdout));
    });
    if (!/Connection refused|Host key verification failed|reset by peer|Connection closed/.test(said)) return said;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

needs(
  "sshd",
  "ssh",
  "unshare",
)("keys on targets", () => {
  let fleet: KeyFleet;
  beforeAll(async () => {
    fleet = await startKeyFleet(2);
  });
  afterAll(() => fleet?.stop());

  async function on<T>(targets: readonly string[], work: (ctx: ReturnType<typeof yes>) => Promise<T>): Promise<T> {
    const hosts = openHosts({ ssh: { configFile: fleet.configFile, env: {} } });
    try {
      return await work({ ...yes({ targets, options: { sshConfig: fleet.configFile } }), hosts });
    } finally {
      await hosts.close();
    }
  }
  const text = (name = "box1"): Promise<string> => readFile(fleet.authorized(name), "utf8");

  describe("install", () => {
    it("adds the line once, to what is there, and sets the modes", async () => {
      await fleet.reset({ lines: { box1: "# no newline at the end\n{key}" } });
      await chmod(fleet.authorized("box1"), 0o664);
      const made = await generateKey(join(dir, "new"), { type: "ed25519", comment: "new one" });
      const input = install.input.parse({ key: [join(dir, "new")] });
      const before = await text();
      const first = await on(["box1", "box2"], (ctx) => install.run(input, ctx));
      expect(first).toMatchObject({ exit: 0, output: { hosts: [{ added: 1 }, { added: 1 }] } });
      expect(await text()).toBe(`${before}\n${made.line}\n`);
      expect((await stat(fleet.authorized("box1"))).mode & 0o777).toBe(0o600);
      const second = await on(["box1"], (ctx) => install.run(input, ctx));
      expect(second.output.hosts).toMatchObject([{ added: 0 }]);
      expect(await text()).toBe(`${before}\n${made.line}\n`);
      expect(await fleet.opens("box1", join(dir, "new"))).toBe(true);
    });

    it("makes folder and file where there are none, and labels them where there is SELinux", async () => {
      await fleet.reset();
      const server = fleet.servers[0];
      // A login that needs no authorized_keys of the home: the server's own key is given in a second file.
      const box = await startSshd({});
      try {
        const tools = join(box.dir, "tools");
        await mkdir(tools);
        await writeFile(join(tools, "restorecon"), `#!/bin/sh\necho "$@" > ${box.dir}/labelled\n`, { mode: 0o755 });
        const hosts = openHosts({ ssh: { configFile: box.configFile, env: {} } });
        const ctx = yes({
          targets: ["box"],
          open: async (target) => {
            const host = await hosts.open(target);
            return {
              ...host,
              exec: (argv, options) => host.exec(argv, { ...options, env: { PATH: `${tools}:/usr/bin:/bin` } }),
            };
          },
        });
        await install.run(install.input.parse({ key: [`${server?.identity}.pub`] }), ctx);
        await hosts.close();
        const [folder, file] = [join(box.home, ".ssh"), join(box.home, ".ssh/authorized_keys")];
        expect([(await stat(folder)).mode & 0o777, (await stat(file)).mode & 0o777]).toEqual([0o700, 0o600]);
        expect(await readFile(file, "utf8")).toBe(await readFile(`${server?.identity}.pub`, "utf8"));
        expect(await readFile(join(box.dir, "labelled"), "utf8")).toMatch(/^-F \S+\.ssh \S+authorized_keys\n$/);
      } finally {
        await box.stop();
      }
    });

    it("keeps options that are there, writes those asked for, and refuses what sshd could not read", async () => {
      await fleet.reset();
      const made = await generateKey(join(dir, "limited"), { type: "ed25519", comment: "limited" });
      const options = 'from="127.0.0.1,10.0.0.0/8",no-pty,command="echo \\"a b\\""';
      const limited = install.input.parse({ key: [join(dir, "limited.pub")], options });
      await on(["box1"], (ctx) => install.run(limited, ctx));
      expect(await text()).toContain(`\n${options} ${made.line}\n`);
      const again = install.input.parse({ key: [join(dir, "limited.pub")] });
      expect((await on(["box1"], (ctx) => install.run(again, ctx))).output.hosts).toMatchObject([{ added: 0 }]);
      const bad = install.input.parse({ key: [join(dir, "limited.pub")], options: "no-pty restrict" });
      await expect(on(["box1"], (ctx) => install.run(bad, ctx))).rejects.toMatchObject({ code: "usage.input" });
      await writeFile(join(dir, "secret.pub"), await readFile(join(dir, "limited")));
      const secret = install.input.parse({ key: [join(dir, "secret.pub")] });
      await expect(on(["box1"], (ctx) => install.run(secret, ctx))).rejects.toThrow(/private key/);
    });

    it("says when a key that is there already is less limited than was asked for", async () => {
      await fleet.reset();
      const limited = install.input.parse({ key: [fleet.key], options: "restrict" });
      const warnings = await on(["box1"], async (ctx) => {
        await install.run(limited, ctx);
        return ctx.of("note").flatMap(({ level, text: words }) => (level === "warn" ? [words] : []));
      });
      expect(warnings).toEqual([expect.stringMatching(/is there already, and not under restrict/)]);
    });

    it("is not confused by what login scripts print", async () => {
      await fleet.reset();
      const home = fleet.servers[0]?.home ?? "";
      const made = await generateKey(join(dir, "quiet"), { type: "ed25519", comment: "quiet" });
      const before = await text();
      await writeFile(join(home, ".bashrc"), "echo welcome\n");
      try {
        const input = install.input.parse({ key: [join(dir, "quiet")] });
        const { output } = await on(["box1"], (ctx) => install.run(input, ctx));
        expect(output.hosts).toMatchObject([{ path: expect.stringMatching(/\/\.ssh\/authorized_keys$/), added: 1 }]);
        expect(await text()).toBe(`${before}${made.line}\n`);
        expect((await readdir(home)).toSorted()).toEqual([".bashrc", ".ssh"]);
      } finally {
        await rm(join(home, ".bashrc"));
      }
    });

    it("finds a file that is named as sshd_config names it", async () => {
      await fleet.reset();
      const input = install.input.parse({ key: [fleet.key], file: "~/.ssh/second" });
      await on(["box1"], (ctx) => install.run(input, ctx));
      await on(["box1"], (ctx) => install.run({ ...input, file: "%h/.ssh/second" }, ctx));
      const second = fleet.authorized("box1").replace(/authorized_keys$/, "second");
      expect(await readFile(second, "utf8")).toBe(await readFile(`${fleet.key}.pub`, "utf8"));
      await rm(second);
    });

    it("goes on when one target cannot be reached", async () => {
      const input = install.input.parse({ key: [fleet.key] });
      const { exit, output } = await on(["box1", "root@127.0.0.1:1"], (ctx) => install.run(input, ctx));
      expect(exit).toBe(3);
      expect(output.hosts).toMatchObject([{ added: 0 }, { error: { code: "ssh.connect" } }]);
    });
  });

  describe("revoke", () => {
    it("removes the lines of one key and nothing else, when another one opens the target", async () => {
      const other = await generateKey(join(dir, "other"), { type: "ed25519", comment: "other" });
      await fleet.reset({ lines: { box1: `# one\nno-pty ${other.line}\n{key}\n\n${other.line}\n# end` } });
      const input = revoke.input.parse({ key: fingerprint(other.blob) });
      const { output } = await on(["box1"], (ctx) => revoke.run(input, ctx));
      expect(output.hosts).toMatchObject([{ removed: 2 }]);
      expect(await text()).toBe(`# one\n${(await readFile(`${fleet.key}.pub`, "utf8")).trim()}\n\n# end`);
      expect((await on(["box1"], (ctx) => revoke.run(input, ctx))).output.hosts).toMatchObject([{ removed: 0 }]);
    });

    it("refuses to remove the last key that lets us in, even beside one that does not, unless forced", async () => {
      // A key of ours that the server takes from nowhere we are.
      const file = join(dir, "elsewhere");
      const elsewhere = await generateKey(file, { type: "ed25519", comment: "elsewhere" });
      await fleet.reset({ lines: { box1: `{key}\nfrom="192.0.2.1" ${elsewhere.line}\n` } });
      const before = await text();
      const input = { key: fleet.key, force: false };
      const run = (force: boolean) =>
        on(["box1"], (ctx) =>
          revoke.run({ ...input, force }, { ...ctx, options: { ...ctx.options, identities: [file] } }),
        );
      await expect(run(false)).rejects.toMatchObject({ code: "plan.refused" });
      expect(await text()).toBe(before);
      expect((await run(true)).output.hosts).toMatchObject([{ removed: 1 }]);
      expect(await fleet.opens("box1", fleet.key)).toBe(false);
    });
  });

  it("a key that may only run one program does not count as a way in when another is revoked", async () => {
    const file = join(dir, "backup");
    const backup = await generateKey(file, { type: "ed25519", comment: "backup" });
    await fleet.reset({ lines: { box1: `{key}\ncommand="true" ${backup.line}\n` } });
    const before = await text();
    const run = on(["box1"], (ctx) =>
      revoke.run({ key: fleet.key, force: false }, { ...ctx, options: { ...ctx.options, identities: [file] } }),
    );
    await expect(run).rejects.toMatchObject({ code: "plan.refused" });
    expect(await text()).toBe(before);
  });

  it("nothing is written when somebody else writes at the same time, and then it is tried again", async () => {
    await fleet.reset();
    const made = await generateKey(join(dir, "race"), { type: "ed25519", comment: "race" });
    let writes = 0;
    const hosts = openHosts({ ssh: { configFile: fleet.configFile, env: {} } });
    const ctx = yes({
      targets: ["box1"],
      open: async (target) => {
        const host = await hosts.open(target);
        return {
          ...host,
          async exec(argv, options) {
            if (options?.stdin !== undefined && ++writes <= 2) {
              await writeFile(fleet.authorized("box1"), `${await text()}# by somebody else, ${writes}\n`);
            }
            return host.exec(argv, options);
          },
        };
      },
    });
    await install.run(install.input.parse({ key: [join(dir, "race")] }), ctx);
    await hosts.close();
    expect(writes).toBe(3);
    expect((await text()).trimEnd().split("\n").slice(-3)).toEqual([
      "# by somebody else, 1",
      "# by somebody else, 2",
      made.line,
    ]);
  });

  it("an old comment that is no UTF-8 stays what it is, byte for byte", async () => {
    await fleet.reset();
    const before = Buffer.concat([await readFile(fleet.authorized("box1")), Buffer.from("# J\xfcrgen\n", "latin1")]);
    await writeFile(fleet.authorized("box1"), before);
    const made = await generateKey(join(dir, "latin"), { type: "ed25519", comment: "new" });
    await on(["box1"], (ctx) => install.run(install.input.parse({ key: [join(dir, "latin")] }), ctx));
    const after = await readFile(fleet.authorized("box1"));
    expect(after.equals(Buffer.concat([before, Buffer.from(`${made.line}\n`)]))).toBe(true);
  });

  it("a key that is read back after unlocking is the one that was written", async () => {
    const made = await generateKey(join(dir, "locked"), { type: "ecdsa", comment: "", passphrase: new Secret("abc") });
    const file = await readKeyFile(join(dir, "locked"));
    expect(file.state === "locked" && (await file.unlock(new Secret("abd")))).toBe(undefined);
    expect(file.state === "locked" && (await file.unlock(new Secret("abc")))?.blob).toEqual(made.blob);
  });
});
