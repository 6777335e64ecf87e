import { chmod, mkdir, mkdtemp, rm, symlink, utimes, writeFile } from "node:fs/promises";
import { networkInterfaces, tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { AmiError } from "../../../../src/core/errors.ts";
import { type ResolveOptions, type SshConfig, resolveSshConfig } from "../../../../src/core/ssh/config/resolve.ts";

let dir = "";
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), "ami-config-"));
});
afterEach(() => rm(dir, { recursive: true, force: true }));

async function put(name: string, text: string): Promise<string> {
  const path = join(dir, name);
  await mkdir(dirname(path), { recursive: true });
  await writeFile(path, text, { mode: 0o600 });
  return path;
}

/** The config of host `x` by one file. */
async function resolve(text: string, options: ResolveOptions & { host?: string } = {}): Promise<SshConfig> {
  const { host = "x", ...rest } = options;
  const configFile = await put("config", text);
  return resolveSshConfig(host, { configFile, home: "/home/me", localUser: "me", env: {}, ...rest });
}

async function failure(work: Promise<unknown>): Promise<AmiError> {
  const error = await work.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  if (!(error instanceof AmiError)) throw new Error(`no AmiError but ${String(error)}`);
  return error;
}

describe("without any file", () => {
  it("everything has its default", async () => {
    expect(await resolveSshConfig("Web1", { configFile: "none", home: "/home/me", localUser: "me", env: {} })).toEqual({
      host: "Web1",
      hostName: "web1",
      port: 22,
      user: "me",
      identityFiles: ["rsa", "ecdsa", "ecdsa_sk", "ed25519", "ed25519_sk", "xmss", "dsa"].map(
        (n) => `/home/me/.ssh/id_${n}`,
      ),
      identityFilesExplicit: false,
      identitiesOnly: false,
      identityAgent: undefined,
      certificateFiles: [],
      addKeysToAgent: { mode: "no" },
      proxyJump: undefined,
      proxyCommand: undefined,
      userKnownHostsFiles: ["/home/me/.ssh/known_hosts", "/home/me/.ssh/known_hosts2"],
      globalKnownHostsFiles: ["/etc/ssh/ssh_known_hosts", "/etc/ssh/ssh_known_hosts2"],
      strictHostKeyChecking: "ask",
      hashKnownHosts: false,
      hostKeyAlias: undefined,
      revokedHostKeys: [],
      connectTimeout: undefined,
      connectionAttempts: 1,
      serverAliveInterval: 0,
      serverAliveCountMax: 3,
      tcpKeepAlive: true,
      addressFamily: "any",
      bindAddress: undefined,
      compression: false,
      kexAlgorithms: undefined,
      ciphers: undefined,
      macs: undefined,
      hostKeyAlgorithms: undefined,
      pubkeyAcceptedAlgorithms: undefined,
      caSignatureAlgorithms: undefined,
      preferredAuthentications: undefined,
      pubkeyAuthentication: true,
      passwordAuthentication: true,
      kbdInteractiveAuthentication: true,
      numberOfPasswordPrompts: 3,
      batchMode: false,
      forwardAgent: false,
      sendEnv: [],
      setEnv: {},
      requestTTY: "auto",
      escapeChar: "~",
      remoteCommand: undefined,
      forkAfterAuthentication: false,
      logLevel: "INFO",
      unsupported: [],
      source: "own",
    });
  });

  it("the usual files may be missing", async () => {
    const config = await resolveSshConfig("x", { home: join(dir, "nobody"), systemFile: join(dir, "none") });
    expect(config).toMatchObject({ hostName: "x", source: "own" });
  });
});

describe("the usual two files", () => {
  it("are both read, the user's first", async () => {
    await put("home/.ssh/config", "User mine\nInclude extra\n");
    await put("home/.ssh/extra", "Compression yes\n");
    const systemFile = await put("system", "User theirs\nPort 2200\n");
    const config = await resolveSshConfig("x", { home: join(dir, "home"), systemFile });
    expect(config).toMatchObject({ user: "mine", port: 2200, compression: true });
  });

  it("are refused when somebody else may write the user's", async () => {
    const path = await put("home/.ssh/config", "User mine\n");
    await chmod(path, 0o660);
    const error = await failure(resolveSshConfig("x", { home: join(dir, "home"), systemFile: "none" }));
    expect(error).toMatchObject({ code: "config.invalid", hint: `chmod go-w ${path}` });
  });

  it("may not lead from the system's to a home", async () => {
    const systemFile = await put("system", "Port 1\nInclude ~/x\n");
    const error = await failure(resolveSshConfig("x", { home: dir, systemFile }));
    expect(error.message).toBe(`${systemFile}:2: a system file cannot include ~/x`);
  });

  it("are read again when they have changed", async () => {
    const path = await put("config", "Port 1001\n");
    const old = new Date(Date.now() - 60_000);
    const ask = async (): Promise<number> => (await resolveSshConfig("x", { configFile: path })).port;
    expect(await ask()).toBe(1001);
    await utimes(path, old, old);
    expect(await ask()).toBe(1001);
    await writeFile(path, "Port 1002\n");
    expect(await ask()).toBe(1002);
  });
});

describe("Match of newer ssh", () => {
  it("tagged goes by an earlier Tag", async () => {
    const text =
      "Host x\nTag prod\nMatch tagged prod,stage\nPort 2001\nMatch tagged dev\nUser no\nMatch !tagged dev\nUser yes\n";
    expect(await resolve(text)).toMatchObject({ port: 2001, user: "yes" });
  });

  it('tagged "" is for hosts without a tag', async () => {
    expect(await resolve('Match tagged ""\nPort 2002\nMatch tagged *\nUser no\n')).toMatchObject({
      port: 2002,
      user: "me",
    });
  });

  it("localnetwork looks at the addresses of this machine", async () => {
    const all = Object.values(networkInterfaces()).flatMap((list) => list ?? []);
    const mine = all[0];
    if (mine === undefined) throw new Error("this machine has no address at all");
    const text = `Match localnetwork ${mine.address}\nPort 2003\nMatch localnetwork 0.0.0.0/32,::/128\nUser no\n`;
    expect(await resolve(text)).toMatchObject({ port: 2003, user: "me" });
  });

  it("a network that is none is a mistake", async () => {
    const error = await failure(resolve("Match localnetwork 10.0.0.0/40\nPort 1\n"));
    expect(error.message).toContain(':1: match: "10.0.0.0/40" is not a network');
  });

  it("command and sessiontype are judged as for a login without a command", async () => {
    const text = 'Match command ""\nPort 2004\nMatch command rsync*\nUser no\nMatch sessiontype shell\nUser shell\n';
    expect(await resolve(text)).toMatchObject({ port: 2004, user: "shell" });
  });
});

describe("Match final", () => {
  it("is a second pass that sees the HostName, also in Host", async () => {
    const text = "Host x\nHostName Real\nHost real\nPort 2005\nMatch final host real originalhost x\nUser late\n";
    expect(await resolve(text)).toMatchObject({ hostName: "real", port: 2005, user: "late" });
  });

  it("doubles no list", async () => {
    const text = "SendEnv A B\nIdentityFile /a\nSetEnv A=1\nMatch final\nSendEnv C\nIdentityFile /b\nSetEnv B=2\n";
    expect(await resolve(text)).toMatchObject({
      sendEnv: ["A", "B", "C"],
      identityFiles: ["/a", "/b"],
      setEnv: { A: "1" },
    });
  });
});

describe("proxies", () => {
  it("the first of ProxyJump and ProxyCommand wins", async () => {
    expect(await resolve("ProxyJump a\nProxyCommand b\n")).toMatchObject({ proxyJump: "a", proxyCommand: undefined });
    expect(await resolve("ProxyCommand b\nProxyJump a\n")).toMatchObject({ proxyJump: undefined, proxyCommand: "b" });
  });

  it("ProxyJump none ends the search for a jump, not for a command", async () => {
    expect(await resolve("ProxyJump none\nProxyCommand b\nProxyJump a\n")).toMatchObject({
      proxyJump: undefined,
      proxyCommand: "b",
    });
  });

  it("tokens of the far end are put in", async () => {
    const text = "Host x\nHostName real\nPort 2006\nUser u\nProxyCommand nc %h %p # %r@%n 100%%\n";
    expect((await resolve(text)).proxyCommand).toBe("nc real 2006 # u@x 100%");
    const error = await failure(resolve("User u\nProxyCommand nc %u\n"));
    expect(error.message).toContain(':2: ProxyCommand: %u in "nc %u" means nothing here');
  });
});

describe("keys and agents", () => {
  it("names are expanded, and known to be the user's wish", async () => {
    const text = "IdentityFile ~/k1\nIdentityFile ${KEYS}/%h\nIdentityFile none\n";
    const config = await resolve(text, { env: { KEYS: "/keys" } });
    expect(config).toMatchObject({ identityFiles: ["/home/me/k1", "/keys/x"], identityFilesExplicit: true });
  });

  it("IdentityFile none alone leaves none", async () => {
    expect(await resolve("IdentityFile none\n")).toMatchObject({ identityFiles: [], identityFilesExplicit: true });
  });

  it("a variable that is not set is said with its line", async () => {
    const error = await failure(resolve("\nIdentityFile ${NOPE}/key\n"));
    expect(error).toMatchObject({ code: "config.invalid" });
    expect(error.message).toContain(':2: IdentityFile: the variable NOPE in "${NOPE}/key" is not set');
  });

  it("a user that does not exist is said with its line", async () => {
    const error = await failure(resolve("IdentityFile ~no-such-user-here/key\n"));
    expect(error.message).toContain(":1: IdentityFile: there is no user no-such-user-here");
  });

  it.each([
    ["SSH_AUTH_SOCK", undefined],
    ["none", "none"],
    ["$MY_AGENT", "/run/agent"],
    ["$OTHER_AGENT", "none"],
    ["~/agent", "/home/me/agent"],
    ["${MY_AGENT}.2", "/run/agent.2"],
  ])("IdentityAgent %s", async (value, expected) => {
    const config = await resolve(`IdentityAgent ${value}\n`, { env: { MY_AGENT: "/run/agent" } });
    expect(config.identityAgent).toBe(expected);
  });

  it.each([
    ["yes", true],
    ["no", false],
    ["$MY_AGENT", "/run/agent"],
    ["$OTHER_AGENT", false],
    ["~/agent", "/home/me/agent"],
  ])("ForwardAgent %s", async (value, expected) => {
    const config = await resolve(`ForwardAgent ${value}\n`, { env: { MY_AGENT: "/run/agent" } });
    expect(config.forwardAgent).toBe(expected);
  });

  it.each([
    ["yes", { mode: "yes" }],
    ["confirm", { mode: "confirm" }],
    ["confirm 1h", { mode: "confirm", lifetime: 3600 }],
    ["90m", { mode: "yes", lifetime: 5400 }],
  ])("AddKeysToAgent %s", async (value, expected) => {
    expect((await resolve(`AddKeysToAgent ${value}\n`)).addKeysToAgent).toEqual(expected);
  });
});

describe("what another transport would be needed for", () => {
  it("is listed with its place when in force, and only then", async () => {
    const text = [
      "Host x",
      "CertificateFile ~/cert",
      "GSSAPIAuthentication yes",
      "PKCS11Provider none",
      "HostbasedAuthentication no",
      "Host y",
      "PKCS11Provider /lib/other.so",
      "Host *",
      "GSSAPIAuthentication no",
      "SecurityKeyProvider internal",
      "VerifyHostKeyDNS ask",
    ].join("\n");
    const config = await resolve(text);
    const file = join(dir, "config");
    expect(config.unsupported).toEqual([
      { option: "GSSAPIAuthentication", value: "yes", file, line: 3 },
      { option: "VerifyHostKeyDNS", value: "ask", file, line: 11 },
    ]);
    expect(config.certificateFiles).toEqual(["/home/me/cert"]);
  });

  it("RevokedHostKeys is not among it: its files are named", async () => {
    const config = await resolve("RevokedHostKeys ~/revoked /etc/revoked\n");
    expect(config).toMatchObject({ revokedHostKeys: ["/home/me/revoked", "/etc/revoked"], unsupported: [] });
  });
});

describe("mistakes", () => {
  it("RefuseConnection refuses where it is in force", async () => {
    const error = await failure(resolve('Host x\nRefuseConnection "use the bastion"\n'));
    expect(error.message).toBe(`${join(dir, "config")}:2: RefuseConnection: use the bastion`);
    expect(await resolve('Host y\nRefuseConnection "use the bastion"\n')).toMatchObject({ port: 22 });
  });

  it("of all files come at once, each once, with what to try", async () => {
    await put("more", "Port x\n");
    const error = await failure(resolve(`Frob 1\nInclude ${dir}/more\nMatch final\nUser\n`));
    const file = join(dir, "config");
    expect(error.message.split("\n")).toEqual([
      `${file}:1: unknown option "frob"`,
      `${join(dir, "more")}:1: Port "x" is not a port (1-65535)`,
      `${file}:4: user has no value`,
    ]);
    expect(error.hint).toBe('if another ssh knows it, put "IgnoreUnknown frob" above it');
  });

  it("a folder is no config file but holds nothing either", async () => {
    expect(await resolveSshConfig("x", { configFile: dir })).toMatchObject({ port: 22 });
  });

  it("options that only some systems' ssh knows are none", async () => {
    expect(await resolve("UseKeychain yes\nGSSAPIKeyExchange no\nPort 2007\n")).toMatchObject({ port: 2007 });
  });

  it.each([
    ['Host ""', "host has an empty value"],
    ["Host #", "host has no value"],
    ["Include", "include has no value"],
    ["ProxyJump -oProxyCommand=x", "ProxyJump"],
    ["ProxyJump a$(id)", "ProxyJump"],
    ["EscapeChar long", "EscapeChar"],
    ["AddKeysToAgent sometimes", "AddKeysToAgent"],
    ["AddKeysToAgent yes 5m", "AddKeysToAgent"],
    ["Match host x all bogus", "all"],
    ["Match !", "criterion"],
    ["Compression", "compression has no value"],
  ])("%s", async (line, words) => {
    const error = await failure(resolve(`# one\n${line}\n`));
    expect(error.message).toContain(`${join(dir, "config")}:2: `);
    expect(error.message).toContain(words);
  });
});

it("a ConnectTimeout of 0 sets no limit, as with ssh", async () => {
  expect(await resolve("ConnectTimeout 0\n")).toMatchObject({ connectTimeout: undefined });
  expect(await resolve("ConnectTimeout 7\n")).toMatchObject({ connectTimeout: 7 });
});

describe("Include", () => {
  it("finds names with brackets and backslashes as glob does", async () => {
    await put("a]b/one.conf", "Port 2008\n");
    await put("q?/two.conf", "User two\n");
    await put("qq/two.conf", "User wrong\n");
    await put("plain[/three.conf", "LogLevel QUIET\n");
    const include = `Include "${dir}/a[]x]b/*.conf" "${dir}/q\\?/two.conf" "${dir}/plain[/three.conf"\n`;
    expect(await resolve(include)).toMatchObject({ port: 2008, user: "two", logLevel: "QUIET" });
  });

  it("takes tokens and variables, and passes over what is not set", async () => {
    await put("for-x", "Port 2009\n");
    const text = `Include \${NOT_SET}/y\nInclude \${WHERE}/for-%h\n`;
    expect(await resolve(text, { env: { WHERE: dir } })).toMatchObject({ port: 2009 });
  });

  it("follows links, and passes over broken ones", async () => {
    await put("real", "Port 2010\n");
    await symlink(join(dir, "real"), join(dir, "c-good"));
    await symlink(join(dir, "gone"), join(dir, "c-broken"));
    expect(await resolve(`Include ${dir}/c-*\n`)).toMatchObject({ port: 2010 });
  });

  it("ends a circle instead of turning in it", async () => {
    // Three times each: read to the end, that is 3^16 files.
    await put("loop", `Include ${dir}/loop\n`.repeat(3));
    const error = await failure(resolve(`Include ${dir}/loop\n`));
    expect(error.message).toContain("included more than 16 files deep");
  });
});
