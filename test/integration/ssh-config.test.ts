/** Our reading of ssh_config against OpenSSH's own: `ssh -G` over a table of files, and what a real connection attempt says. */
import { execFile } from "node:child_process";
import { chmod, mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { hostname, tmpdir, userInfo } from "node:os";
import { dirname, join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { AmiError } from "../../src/core/errors.ts";
import { parseJump } from "../../src/core/ssh/config/jump.ts";
import { type ResolveOptions, type SshConfig, resolveSshConfig } from "../../src/core/ssh/config/resolve.ts";
import { needs } from "../servers/engines.ts";

interface Case {
  /** `{dir}` stands for the folder of the files. */
  readonly config: string;
  readonly host?: string;
  readonly user?: string;
  readonly port?: number;
  /** Files beside the config, by relative path. */
  readonly files?: Readonly<Record<string, string>>;
  readonly env?: Readonly<Record<string, string>>;
}

const me = userInfo();

const cases: Readonly<Record<string, Case>> = {
  "an empty file": { config: "" },
  "comments, blank lines and odd indentation": {
    config: "# first\n\n   \t \n\t# second\n  Host x\n\t\tPort 2201\n   \n#Port 1\n",
  },
  "keywords in any case": { config: "hOsT X x\nPORT 2202\nuSeR someone\nstricthostkeychecking YES\n" },
  "keyword=value": { config: "Host=x\nPort=2203\nUser = someone\nHostName= other\nCompression =yes\n" },
  "two equal signs: the second belongs to the value": { config: "User ==odd\nHostKeyAlias==k\n" },
  "a file with CRLF line ends": { config: "Host x\r\n  Port 2204\r\n  User someone\r\n" },
  "form feed and blanks at the end of a line": { config: "Port 2205 \t\f \nUser someone\f\n" },
  "no newline at the end": { config: "Host x\n  Port 2206" },
  "the first value wins": { config: "Port 1111\nPort 2222\nHost x\nPort 3333\nUser a\nHost *\nUser b\n" },
  "a block before the defaults": { config: "Host x\nUser special\nHost *\nUser general\nPort 2207\n" },
  "a block that does not match": { config: "Host y\nPort 1\nUser nobody\nHost x\nPort 2208\n" },
  "Host with wildcards": { config: "Host web*.example.com\nPort 2209\nHost web?\nPort 1\n", host: "web12.example.com" },
  "? is exactly one character": { config: "Host web?\nPort 2210\nHost web??\nPort 2211\n", host: "web12" },
  "Host with several patterns": { config: "Host a b x c\nPort 2212\n" },
  "a negated pattern takes the whole line out": { config: "Host * !x\nPort 1\nHost !y *\nPort 2213\n" },
  "a negated pattern alone matches nothing": { config: "Host !y\nPort 1\nHost *\nPort 2214\n" },
  "a negated pattern before its positive one": { config: "Host !web3 web*\nPort 2215\n", host: "web3" },
  "Host patterns count case": { config: "Host Web\nPort 1\nHost web\nPort 2216\nHost WEB\nPort 2\n", host: "web" },
  "a name in capitals connects in small letters": { config: "Host WEB\nPort 2217\n", host: "WEB" },
  "Host takes no comma lists": { config: "Host x,y\nPort 1\nHost *\nPort 2218\n" },
  "quoted patterns": { config: 'Host "x" "with space"\nPort 2219\n' },
  "many stars": { config: "Host *a*a*a*a*b\nPort 1\nHost **x**\nPort 2220\n" },
  "HostName with tokens": { config: "HostName %h.internal.example%%.org\n" },
  "HostName for one alias": { config: "Host x\nHostName 192.0.2.7\nHost 192.0.2.7\nPort 1\n" },
  "a short IPv4 address": { config: "HostName 127.1\n" },
  "an octal IPv4 address": { config: "HostName 0300.0250.1\n" },
  "a hexadecimal address": { config: "HostName 0x7f000001\n" },
  "a number that is an address": { config: "", host: "16909060" },
  "something that only looks like an address": { config: "HostName 1.2.3.4.5\n" },
  "a long IPv6 address": { config: "HostName 2001:0DB8:0:0:0:0:0:0001\n" },
  "an IPv6 address with one zero group": { config: "HostName 2001:db8:0:1:1:1:1:1\n" },
  "an IPv6 address with two runs of zeros": { config: "HostName 2001:0:0:1:0:0:0:1\n" },
  "an IPv6 address holding an IPv4 one": { config: "HostName 0::ffff:10.1.2.3\n" },
  "an IPv6 address of old form": { config: "HostName ::10.1.2.3\n" },
  "the IPv6 loopback": { config: "", host: "0:0::1" },
  "command line before file": { config: "User fromfile\nPort 1\n", user: "me", port: 2221 },
  "user and host from the command line are seen by Match": {
    config: "Match user deploy\nPort 2222\nMatch user nobody\nPort 1\n",
    user: "deploy",
  },
  "Match host": { config: "Match host x,y\nPort 2223\n" },
  "Match host sees HostName": { config: "HostName real.example.com\nMatch host *.example.com\nPort 2224\n" },
  "Match host does not see a HostName further down": { config: "Match host real\nPort 1\nHost x\nHostName real\n" },
  "Match originalhost": {
    config: "HostName real\nMatch originalhost x\nPort 2225\nMatch originalhost real\nUser no\n",
  },
  "Match with negated criteria": { config: "Match !host y !user nobody\nPort 2226\nMatch !host x\nUser no\n" },
  "Match with a negated pattern": { config: "Match host *,!x\nPort 1\nMatch host !y,*\nPort 2227\n" },
  "Match host ignores case": { config: "Match host WEB*\nPort 2228\n", host: "Web1" },
  "Match user sees an earlier User": { config: "User deploy\nMatch user deploy\nPort 2229\nMatch user root\nPort 1\n" },
  "Match localuser": { config: `Match localuser ${me.username}\nPort 2230\nMatch localuser nobody-else\nUser no\n` },
  "Match all": { config: "Host y\nPort 1\nMatch all\nPort 2231\n" },
  "Match !all": { config: "Match !all\nPort 1\n" },
  "Match with several criteria": { config: "Match host x user a,b originalhost x\nPort 2232\n", user: "b" },
  "Match with one that fails": { config: "Match host x user a originalhost x\nPort 1\n", user: "b" },
  "Match with an equal sign": { config: "Match host=x user=b\nPort 2233\n", user: "b" },
  "Match with a quoted list": { config: 'Match host "x,y"\nPort 2234\n' },
  "Match with a comment": { config: "Match host x # and no other\nPort 2235\n" },
  "Match final is a second pass": { config: "Match final\nPort 2236\n" },
  "Match final fills only gaps": { config: "Port 2237\nMatch final\nPort 1\nUser late\n" },
  "a HostName for the second pass only comes too late": { config: "Match final\nHostName late%p\nUser late\n" },
  "Match final all": { config: "Match final all\nUser late\n" },
  "on the second pass Host sees the HostName": {
    config: "Host x\nHostName Real.Example.com\nHost real.*\nPort 2238\nMatch final\nUser late\n",
  },
  "on the second pass Match host sees the HostName": {
    config: "Match final host real\nPort 2239\nHost x\nHostName real\n",
  },
  "originalhost stays on the second pass": { config: "HostName real\nMatch final originalhost x\nPort 2240\n" },
  "Match canonical alone asks for nothing": { config: "Match canonical\nPort 1\n" },
  "Match !canonical": { config: "Match !canonical\nPort 2241\n" },
  "lists are not doubled by the second pass": {
    config: "IdentityFile ~/a\nSetEnv A=1\nUserKnownHostsFile ~/k\nMatch final\nIdentityFile ~/b\n",
  },
  "Include of one file": { config: "Include {dir}/more\nPort 1\n", files: { more: "Port 2242\n" } },
  "Include of a pattern, sorted": {
    config: "Include {dir}/conf.d/*.conf\n",
    files: {
      "conf.d/20-b.conf": "Port 2\nUser b\n",
      "conf.d/10-a.conf": "Port 2243\n",
      "conf.d/30-c.txt": "LogLevel QUIET\n",
    },
  },
  "Include passes hidden files over": {
    config: "Include {dir}/conf.d/*\nPort 2244\n",
    files: { "conf.d/.hidden": "Port 1\n", "conf.d/seen": "User seen\n" },
  },
  "Include with ? and brackets": {
    config: "Include {dir}/[a-c]?.conf {dir}/[!a-c]1.conf\n",
    files: { "a1.conf": "Port 2245\n", "d1.conf": "User d\n", "c.conf": "Port 1\n", "d2.conf": "User no\n" },
  },
  "Include of a pattern in a folder's name": {
    config: "Include {dir}/*/ssh.conf\n",
    files: { "one/ssh.conf": "Port 2246\n", "two/ssh.conf": "User two\n" },
  },
  "Include of a quoted name with a blank": {
    config: 'Include "{dir}/with blank"\n',
    files: { "with blank": "Port 2247\n" },
  },
  "Include of what is not there": { config: "Include {dir}/nothing {dir}/no*thing\nPort 2248\n" },
  "Include of a folder": { config: "Include {dir}/folder\nPort 2249\n", files: { "folder/file": "Port 1\n" } },
  "Include inside a block that matches": {
    config: "Host x\nInclude {dir}/more\nUser after\nHost y\nPort 1\n",
    files: { more: "Port 2250\n" },
  },
  "Include inside a block that does not match": {
    config: "Host y\nInclude {dir}/more\nHost *\nPort 2251\n",
    files: { more: "Port 1\nHost x\nPort 2\nMatch all\nPort 3\n" },
  },
  "a Host in an included file does not leak out": {
    config: "Include {dir}/more\nPort 2252\n",
    files: { more: "Host y\nPort 1\n" },
  },
  "a Host in an included file, inside a block": {
    config: "Host x\nInclude {dir}/more\nUser still-x\n",
    files: { more: "Host y\nPort 1\nHost x\nPort 2253\n" },
  },
  "Include in an included file": {
    config: "Include {dir}/one\n",
    files: { one: "Include {dir}/two\nUser one\n", two: "Port 2254\nUser two\n" },
  },
  "IdentityFile adds up": { config: "IdentityFile ~/.ssh/a\nIdentityFile /keys/b\nHost x\nIdentityFile ~/.ssh/c\n" },
  "the same IdentityFile twice": { config: "IdentityFile ~/.ssh/a\nIdentityFile ~/.ssh/a\n" },
  "IdentityFile of somebody else's home": { config: "IdentityFile ~root/key\nIdentitiesOnly yes\n" },
  "IdentityFile with quotes": { config: 'IdentityFile "/keys/with blank"\nIdentityFile /keys/with\\ blank2\n' },
  "IdentityFile with a backslash that escapes nothing": { config: "IdentityFile /keys/a\\b\n" },
  "single quotes hold double ones": { config: "IdentityFile '/keys/a\"b'\n" },
  CertificateFile: { config: "CertificateFile /keys/cert1\nCertificateFile /keys/cert2\n" },
  "several known hosts files": {
    config: 'UserKnownHostsFile /a "/b" ~/c\nUserKnownHostsFile /d\nGlobalKnownHostsFile /e /f\n',
  },
  "known hosts none": { config: "UserKnownHostsFile none\nGlobalKnownHostsFile none\n" },
  "known hosts /dev/null": { config: "UserKnownHostsFile /dev/null\nStrictHostKeyChecking no\n" },
  "known hosts with tokens": {
    config: "UserKnownHostsFile ~/.ssh/known_hosts.d/%k /kh/%h-%p-%r-%n-%u-%i\nHostKeyAlias AliasName\n",
  },
  "known hosts with tokens for the local side": { config: "UserKnownHostsFile %d/kh/%L-%l-%%\n" },
  "known hosts with a connection hash": { config: "UserKnownHostsFile /kh/%C\nPort 2255\nUser someone\n" },
  "known hosts with a variable": { config: "UserKnownHostsFile ${KH_DIR}/known\n", env: { KH_DIR: "/from/env" } },
  ProxyJump: { config: "ProxyJump jump\n" },
  "ProxyJump with user and port": { config: "ProxyJump admin@jump.example.com:2222\n" },
  "ProxyJump over several hops": { config: "ProxyJump one,two@host2,ssh://three@host3:22\n" },
  "ProxyJump over an IPv6 address": { config: "ProxyJump me@[2001:db8::1]:2200\n" },
  "ProxyJump over an IPv4 address": { config: "ProxyJump 192.0.2.1\n" },
  "ProxyJump with a comment": { config: "ProxyJump jump # through here\n" },
  "ProxyJump none": { config: "Host x\nProxyJump none\nHost *\nProxyJump jump\n" },
  ProxyCommand: { config: "ProxyCommand nc -X 5 proxy 1080 # not a comment\n" },
  "ProxyCommand keeps its quotes": { config: "ProxyCommand=sh -c 'exec nc \"a b\"'\n" },
  "ProxyCommand none": { config: "Host x\nProxyCommand none\nHost *\nProxyCommand nc a 1\n" },
  "ProxyCommand before ProxyJump": { config: "ProxyCommand nc a 1\nProxyJump jump\n" },
  "ProxyJump before ProxyCommand": { config: "ProxyJump jump\nProxyCommand nc a 1\n" },
  "ProxyCommand none before ProxyJump": { config: "ProxyCommand none\nProxyJump jump\n" },
  "StrictHostKeyChecking off": { config: "StrictHostKeyChecking off\n" },
  "StrictHostKeyChecking accept-new": { config: "StrictHostKeyChecking accept-new\nHashKnownHosts yes\n" },
  "StrictHostKeyChecking true": { config: "StrictHostKeyChecking true\n" },
  "StrictHostKeyChecking ask": { config: "StrictHostKeyChecking ask\n" },
  "time formats": { config: "ConnectTimeout 1m30s\nServerAliveInterval 1h\nServerAliveCountMax 7\n" },
  "more time formats": { config: "ConnectTimeout 2M\nServerAliveInterval 1W2d3H\n" },
  "ConnectTimeout none": { config: "ConnectTimeout none\nServerAliveInterval none\n" },
  "a time of none leaves the word to the next": { config: "ConnectTimeout none\nConnectTimeout 8\n" },
  "flags as true and false": { config: "IdentitiesOnly true\nTCPKeepAlive false\nBatchMode no\nCompression yes\n" },
  "the old spellings": {
    config:
      "KeepAlive no\nChallengeResponseAuthentication no\nPubkeyAcceptedKeyTypes ssh-ed25519\nDSAAuthentication no\nProtocol 2\n",
  },
  "ways to log in": {
    config:
      "PubkeyAuthentication no\nPasswordAuthentication no\nKbdInteractiveAuthentication no\nPreferredAuthentications publickey,password\n",
  },
  "PubkeyAuthentication unbound": { config: "PubkeyAuthentication unbound\n" },
  "algorithms in full": {
    config:
      "Ciphers aes256-ctr,aes128-ctr\nMACs hmac-sha2-256\nKexAlgorithms curve25519-sha256\nHostKeyAlgorithms ssh-ed25519,rsa-sha2-512\n",
  },
  "algorithms changed": {
    config:
      "Ciphers -aes256-ctr\nMACs ^hmac-sha2-512\nKexAlgorithms +diffie-hellman-group14-sha1\nHostKeyAlgorithms +ssh-rsa\n",
  },
  addresses: { config: "AddressFamily inet6\nBindAddress 192.0.2.1\n" },
  "SendEnv adds up and takes back": { config: "SendEnv LANG LC_* FOO\nSendEnv BAR\nHost x\nSendEnv -LC_* -FOO\n" },
  "SetEnv: the first line wins": { config: 'SetEnv A=1 "B=two words" A=2\nSetEnv C=3\n' },
  "SetEnv with equal signs": { config: "SetEnv A=b=c D=\n" },
  ForwardAgent: { config: "ForwardAgent yes\n" },
  IdentityAgent: { config: "IdentityAgent ~/agent.sock\n" },
  "IdentityAgent none": { config: "IdentityAgent none\n" },
  "IdentityAgent with a variable and a token": {
    config: "IdentityAgent ${RUN_DIR}/%u.sock\n",
    env: { RUN_DIR: "/run/me" },
  },
  "AddKeysToAgent confirm with a time": { config: "AddKeysToAgent confirm 5m\n" },
  "AddKeysToAgent with a time": { config: "AddKeysToAgent 1h\n" },
  "AddKeysToAgent ask": { config: "AddKeysToAgent ask\n" },
  "a terminal": { config: "RequestTTY force\nEscapeChar none\n" },
  "another escape character": { config: "EscapeChar %\nRequestTTY no\n" },
  LogLevel: { config: "LogLevel debug\n" },
  "LogLevel SILENT": { config: "LogLevel silent\n" },
  "LogLevel VERBOSE": { config: "LogLevel VERBOSE\n" },
  "RemoteCommand with tokens": { config: "RemoteCommand echo '%h %p %r' %% \n" },
  HostKeyAlias: { config: "HostKeyAlias Some.Alias\n" },
  IgnoreUnknown: { config: "IgnoreUnknown Use*,!UseNothing\nUseEverything yes\nPort 2256\n" },
  "IgnoreUnknown only counts from its line on, in force": {
    config: "Host x\nIgnoreUnknown foo\nFoo bar baz\nHost y\nFoo x\n",
  },
  "options without effect on us": {
    config:
      "ControlMaster auto\nControlPath ~/.ssh/%C\nControlPersist 10m\nLocalForward 8080 localhost:80\nRemoteForward 9000 [::1]:9\nDynamicForward 1080\nForwardX11 yes\nTunnel no\nIPQoS lowdelay throughput\nRekeyLimit 1G 1h\nUpdateHostKeys ask\nVisualHostKey yes\nFingerprintHash md5\nCheckHostIP no\nLocalCommand echo %h\nPermitLocalCommand yes\nSyslogFacility USER\nStreamLocalBindMask 0177\n",
  },
  "what a desktop config looks like": {
    config:
      "Include {dir}/conf.d/*\n\nHost *.corp.example.com !bastion.corp.example.com\n  ProxyJump bastion\n  User corp\n\nHost bastion bastion.corp.example.com\n  HostName bastion.corp.example.com\n  Port 2222\n\nHost *\n  ServerAliveInterval 30\n  AddKeysToAgent yes\n  HashKnownHosts yes\n",
    files: { "conf.d/work": "Host db1.corp.example.com\n  User dba\n  IdentityFile ~/.ssh/work\n" },
    host: "db1.corp.example.com",
  },
};

const refused: Readonly<Record<string, Case>> = {
  "an unknown option": { config: "Port 22\nFrobnicate yes\n" },
  "an unknown option in a block that does not match": { config: "Host y\nFrobnicate yes\n" },
  "an unknown option not covered by IgnoreUnknown": { config: "IgnoreUnknown foo\nBar yes\n" },
  "an unknown option above its IgnoreUnknown": { config: "Foo yes\nIgnoreUnknown foo\n" },
  "a bad value in a block that does not match": { config: "Host y\nCompression perhaps\n" },
  "a port that is none": { config: "\nPort seventy\n" },
  "port 0": { config: "Port 0\n" },
  "port 65536": { config: "Port 65536\n" },
  "a flag that is none": { config: "BatchMode perhaps\n" },
  "a time that is none": { config: "ConnectTimeout 5x\n" },
  "a number that is none": { config: "ServerAliveCountMax many\n" },
  "a keyword alone": { config: "Host x\nPort\n" },
  "too many words": { config: "Port 22 23\n" },
  "a quote that is not closed": { config: 'IdentityFile "/keys/a\n' },
  "an empty value": { config: 'User ""\n' },
  "Match without criteria": { config: "Match\n" },
  "Match with an unknown criterion": { config: "Match planet mars\n" },
  "Match without a value": { config: "Match host\n" },
  "Match all with others": { config: "Match all host x\n" },
  "none among known hosts": { config: "UserKnownHostsFile /a none\n" },
  "a jump that is none": { config: "ProxyJump a:b:c@\n" },
  "a log level that is none": { config: "LogLevel CHATTY\n" },
  "an environment name with an equal sign": { config: "SendEnv A=1\n" },
  "SetEnv without an equal sign": { config: "SetEnv A\n" },
  "an agent that cannot be": { config: "IdentityAgent $a-b\n" },
  "a mistake in an included file": { config: "Include {dir}/more\n", files: { more: "\n\nPort x\n" } },
  "a file that includes itself": { config: "Include {dir}/loop\n", files: { loop: "Include {dir}/loop\n" } },
  "a HostName with an unknown token": { config: "HostName %p\n" },
  "a known hosts variable that is not set": { config: "UserKnownHostsFile ${AMI_NOT_SET_ANYWHERE}/x\n" },
};

needs("ssh")("our reading of ssh_config", () => {
  let dir = "";
  let defaults: Fields = {};
  beforeAll(async () => {
    dir = await mkdtemp(join(tmpdir(), "ami-sshconfig-"));
    defaults = fieldsOfSsh((await ssh(["-G", "-F", "none", "--", "x"])).stdout);
  });
  afterAll(() => rm(dir, { recursive: true, force: true }));

  /** The case on disk, in a folder of its own. */
  async function write({ config, files = {} }: Case): Promise<string> {
    const folder = await mkdtemp(join(dir, "case-"));
    for (const [name, text] of Object.entries({ config, ...files })) {
      const path = join(folder, name);
      await mkdir(dirname(path), { recursive: true });
      await writeFile(path, text.replaceAll("{dir}", folder), { mode: 0o600 });
    }
    return join(folder, "config");
  }

  function ours(file: string, { host = "x", user, port, env }: Case): Promise<SshConfig> {
    const options: ResolveOptions = { configFile: file, user, port, home: me.homedir, env: { ...process.env, ...env } };
    return resolveSshConfig(host, options);
  }

  function theirs(file: string, { host = "x", user, port, env }: Case): Promise<Output> {
    const given = [...(user === undefined ? [] : ["-l", user]), ...(port === undefined ? [] : ["-p", String(port)])];
    return ssh(["-G", "-F", file, ...given, "--", host], env);
  }

  describe("says what ssh -G says about", () => {
    for (const [title, given] of Object.entries(cases)) {
      it(title, async () => {
        const file = await write(given);
        const said = await theirs(file, given);
        expect(said.stderr).toBe("");
        const config = await ours(file, given);
        expect(config.source).toBe("own");
        expect(fieldsOfOurs(config, defaults)).toEqual(comparable(fieldsOfSsh(said.stdout), config));
      });
    }
  });

  describe("refuses what ssh refuses:", () => {
    for (const [title, given] of Object.entries(refused)) {
      it(title, async () => {
        const file = await write(given);
        const said = await theirs(file, given);
        expect(said.code).not.toBe(0);
        const error = await ours(file, given).then(
          () => undefined,
          (reason: unknown) => reason,
        );
        expect(error).toBeInstanceOf(AmiError);
        if (!(error instanceof AmiError)) return;
        expect(error.code).toBe("config.invalid");
        expect(error.hint).toBeTypeOf("string");
        const place = /^(\S+?):? line (\d+)/m.exec(said.stderr);
        if (place) expect(error.message).toContain(`${place[1]}:${place[2]}:`);
      });
    }
  });

  it("reports every mistake at once", async () => {
    const file = await write({ config: "Port x\nFrobnicate yes\nHost y\nConnectTimeout soon\n" });
    const error = await ours(file, { config: "" }).catch((reason: unknown) => reason);
    expect(error).toMatchObject({
      message: [
        `${file}:1: Port "x" is not a port (1-65535)`,
        `${file}:2: unknown option "frobnicate"`,
        `${file}:4: ConnectTimeout "soon" is not a time (30, 5m, 1h30m)`,
      ].join("\n"),
      hint: 'if another ssh knows it, put "IgnoreUnknown frobnicate" above it',
    });
  });

  it("expands keys and proxy commands as a real attempt to connect does", async () => {
    const given: Case = {
      config: [
        "Host x",
        "HostName %h.example.com",
        "Port 2257",
        "User someone",
        "IdentityFile ~/.ssh/id_%h_%p_%r_%n_%u_%i_%k_%%",
        "IdentityFile ${KEY_DIR}/%L/%l/key",
        "IdentityFile %d//key",
        "IdentityFile none",
        "ProxyCommand exit 1; # %h %p %r %n %%",
      ].join("\n"),
      env: { KEY_DIR: "/from/env" },
    };
    const file = await write(given);
    const said = await ssh(["-v", "-F", file, "x", "true"], given.env);
    const config = await ours(file, given);
    const keys = [...said.stderr.matchAll(/identity file (.*) type -?\d+\r?$/gm)].map((match) => match[1] ?? "");
    expect(config.identityFiles).toEqual(keys.filter((name) => !name.endsWith("-cert")));
    expect(config.identityFiles).toHaveLength(3);
    expect(said.stderr).toContain(`Executing proxy command: exec ${config.proxyCommand}`);
    expect(config.proxyCommand).toBe("exit 1; # x.example.com 2257 someone x %");
  });

  it("expands tokens of ProxyJump", async () => {
    const given: Case = { config: "Host x\nHostName real\nProxyJump gw-%h:2222\n" };
    const config = await ours(await write(given), given);
    expect(config.proxyJump).toBe("gw-real:2222");
  });

  it("knows Match final only as often as ssh: `!final` asks for no second pass of its own", async () => {
    const given: Case = { config: "Host x\nHostName real\nHost real\nPort 1\nMatch !final\nUser first\n" };
    expect(await ours(await write(given), given)).toMatchObject({ port: 22, user: "first" });
  });

  it("refuses an included file that others may write", async () => {
    const given: Case = { config: "Include {dir}/more\n", files: { more: "Port 1\n" } };
    const file = await write(given);
    const more = join(dirname(file), "more");
    await chmod(more, 0o666);
    expect((await theirs(file, given)).stderr).toContain(`Bad owner or permissions on ${more}`);
    await expect(ours(file, given)).rejects.toMatchObject({
      code: "config.invalid",
      message: expect.stringContaining(`${more} has a bad owner or mode`),
      hint: `chmod go-w ${more}`,
    });
  });

  it("refuses a file that was named and is missing, and takes `none` for no file", async () => {
    await expect(ours(join(dir, "nowhere"), { config: "" })).rejects.toMatchObject({
      code: "config.invalid",
      message: expect.stringContaining(join(dir, "nowhere")),
    });
    expect(await ours("none", { config: "" })).toMatchObject({ hostName: "x", port: 22, identityFilesExplicit: false });
  });

  it("says what ssh -G says on this very machine, with the files of the system", async () => {
    const said = await ssh(["-G", "--", "some-host.example.com"]);
    const config = await resolveSshConfig("some-host.example.com", { home: me.homedir });
    expect(fieldsOfOurs(config, defaults)).toEqual(comparable(fieldsOfSsh(said.stdout), config));
  });

  describe("what is left to ssh", () => {
    it("takes the settings ssh -G prints when Match exec decides", async () => {
      const given: Case = {
        config: [
          'Match exec "test %h = x"',
          "Port 2258",
          "IdentityFile ~/.ssh/exec_%h",
          'SetEnv A=1 "B=two words"',
          "UserKnownHostsFile /kh/%%h ~/kh2",
          "RemoteCommand echo %%h",
          "ProxyJump me@jump",
          'Match exec "test %h != x"',
          "User nobody",
        ].join("\n"),
      };
      const config = await ours(await write(given), given);
      expect(config).toMatchObject({
        source: "ssh -G",
        port: 2258,
        user: me.username,
        identityFiles: [join(me.homedir, ".ssh/exec_x")],
        identityFilesExplicit: true,
        setEnv: { A: "1", B: "two words" },
        userKnownHostsFiles: ["/kh/%h", join(me.homedir, "kh2")],
        remoteCommand: "echo %h",
        proxyJump: "me@jump",
      });
      // Lists that are only ssh's defaults would forbid us to put the known key types first.
      expect(config.hostKeyAlgorithms).toBeUndefined();
      expect(config.ciphers).toBeUndefined();
    });

    it("is the same config but for its source where exec changes nothing", async () => {
      const plain =
        "HostName real.example.com\nUser someone\nHashKnownHosts yes\nCompression yes\nForwardAgent yes\nCiphers aes128-ctr\n";
      const own = await ours(await write({ config: plain }), { config: plain });
      const asked = await ours(await write({ config: `${plain}Match exec false\nPort 1\n` }), { config: plain });
      expect(asked).toEqual({ ...own, source: "ssh -G" });
    });

    it("does not ask ssh for an exec behind a criterion that fails, or in a block that is out of force", async () => {
      const given: Case = {
        config:
          "Match host y exec true\nPort 1\nMatch exec true user nobody-here\nPort 2\nHost y\nInclude {dir}/more\n",
        files: { more: "Match exec true\nPort 3\n" },
      };
      expect(await ours(await write(given), given)).toMatchObject({ source: "own", port: 22 });
    });

    it("asks ssh to make a name canonical", async () => {
      const given: Case = {
        config:
          "CanonicalizeHostname yes\nCanonicalDomains invalid\nCanonicalizeMaxDots 0\nMatch canonical host localhost\nPort 2259\n",
        host: "localhost",
      };
      expect(await ours(await write(given), given)).toMatchObject({
        source: "ssh -G",
        hostName: "localhost",
        port: 2259,
      });
    });

    it("is refused where there is no ssh, with the line that asks for it", async () => {
      const given: Case = { config: "Port 22\nMatch host x exec true\n", env: { PATH: dir } };
      const file = await write(given);
      await expect(ours(file, given)).rejects.toMatchObject({
        code: "config.invalid",
        message: `${file}:2: Match exec is left to ssh to work out (ssh -G), and there is no ssh here`,
        hint: expect.stringContaining("--ssh-config"),
      });
    });

    it("is refused where ssh would read another home than ours", async () => {
      const home = await mkdtemp(join(dir, "home-"));
      await mkdir(join(home, ".ssh"));
      await writeFile(join(home, ".ssh/config"), "Match exec true\nPort 1\n", { mode: 0o600 });
      await expect(resolveSshConfig("x", { home, systemFile: "/nowhere" })).rejects.toMatchObject({
        code: "config.invalid",
        message: expect.stringContaining(`${home}/.ssh/config:1: Match exec`),
      });
    });

    it("passes on what ssh has to say", async () => {
      const given: Case = { config: "Match exec true\nCiphers nonsense\n" };
      await expect(ours(await write(given), given)).rejects.toMatchObject({
        code: "config.invalid",
        message: expect.stringContaining("Bad SSH2 cipher spec 'nonsense'"),
      });
    });
  });

  it("knows the name of this machine", async () => {
    const given: Case = { config: "UserKnownHostsFile /kh/%l\n" };
    expect((await ours(await write(given), given)).userKnownHostsFiles).toEqual([`/kh/${hostname()}`]);
  });
});

needs(
  "ssh",
  "unshare",
  "linux",
)("the usual two files", () => {
  it("are read like ssh reads them: the user's first, relative includes of each in its own folder", async () => {
    const dir = await mkdtemp(join(tmpdir(), "ami-sshconfig-"));
    try {
      const home = join(dir, "home");
      const etc = join(dir, "etc");
      const files = {
        [join(home, ".ssh/config")]: "Include conf.d/*\nInclude ~/.ssh/extra\nHost y\nPort 1\n",
        [join(home, ".ssh/conf.d/a")]: "User from-conf-d\n",
        [join(home, ".ssh/extra")]: "Compression yes\n",
        [join(etc, "ssh_config")]: "Include extra\nUser from-system\nPort 2260\n",
        [join(etc, "extra")]: "BatchMode yes\nServerAliveInterval 9\nIdentityFile ~/.ssh/system_key\n",
      };
      for (const [path, text] of Object.entries(files)) {
        await mkdir(dirname(path), { recursive: true });
        await writeFile(path, text, { mode: 0o600 });
      }
      const script = [
        // ssh finds its own file by the password file, but what that includes by HOME.
        'mount --bind "$1" "$3"; mount --bind "$2" /etc/ssh; HOME=$3; export HOME; shift 3; exec "$@"',
        "sh",
        join(home),
        etc,
        me.homedir,
      ];
      const inside = ["--mount", "sh", "-c", ...script];
      const said = await run("unshare", [...inside, "ssh", "-G", "--", "x"]);
      expect(said.stderr).toBe("");
      const program = `
        const { resolveSshConfig } = await import(${JSON.stringify(new URL("../../src/core/ssh/config/resolve.ts", import.meta.url).href)});
        console.log(JSON.stringify(await resolveSshConfig("x", { home: ${JSON.stringify(me.homedir)} })));`;
      const own = await run("unshare", [...inside, process.execPath, "--input-type=module", "--eval", program]);
      expect(own.stderr).toBe("");
      const config = JSON.parse(own.stdout) as SshConfig;
      const defaults = fieldsOfSsh((await ssh(["-G", "-F", "none", "--", "x"])).stdout);
      expect(fieldsOfOurs(config, defaults)).toEqual(comparable(fieldsOfSsh(said.stdout), config));
      expect(config).toMatchObject({ user: "from-conf-d", port: 2260, compression: true, batchMode: true });
    } finally {
      await rm(dir, { recursive: true, force: true });
    }
  });
});

/** Both sides in one form. */
type Fields = Record<string, string | readonly string[] | undefined>;

const singles = [
  "host",
  "hostname",
  "port",
  "user",
  "addressfamily",
  "batchmode",
  "compression",
  "forwardagent",
  "hashknownhosts",
  "identitiesonly",
  "kbdinteractiveauthentication",
  "passwordauthentication",
  "pubkeyauthentication",
  "requesttty",
  "stricthostkeychecking",
  "tcpkeepalive",
  "connectionattempts",
  "numberofpasswordprompts",
  "serveralivecountmax",
  "serveraliveinterval",
  "bindaddress",
  "hostkeyalias",
  "identityagent",
  "ciphers",
  "macs",
  "kexalgorithms",
  "hostkeyalgorithms",
  "pubkeyacceptedalgorithms",
  "loglevel",
  "preferredauthentications",
  "remotecommand",
  "addkeystoagent",
  "connecttimeout",
  "escapechar",
  "proxycommand",
  "proxyjump",
] as const;
const lists = [
  "identityfile",
  "certificatefile",
  "globalknownhostsfile",
  "userknownhostsfile",
  "sendenv",
  "setenv",
] as const;

function fieldsOfSsh(printed: string): Fields {
  const rows = printed.split("\n").map((row) => row.split(/ (.*)/s, 2));
  const every = (name: string): string[] => rows.flatMap(([key, value]) => (key === name ? [value ?? ""] : []));
  const fields: Fields = {};
  for (const name of singles) fields[name] = every(name)[0];
  for (const name of lists) fields[name] = every(name);
  for (const name of ["globalknownhostsfile", "userknownhostsfile"]) {
    fields[name] = every(name).flatMap((value) => (value === "none" ? [] : value.split(" ")));
  }
  fields.certificatefile = [...new Set(every("certificatefile"))];
  fields.identityfile = every("identityfile").map((path) =>
    path.replace(/^~root\//, "/root/").replace(/^~/, me.homedir),
  );
  fields.sendenv = [...new Set(every("sendenv"))].toSorted();
  const yes = { true: "yes", false: "no" };
  for (const name of ["stricthostkeychecking", "requesttty", "pubkeyauthentication", "addkeystoagent"] as const) {
    const value = String(fields[name]);
    fields[name] = value === "true" || value === "false" ? yes[value] : value;
  }
  if (fields.pubkeyauthentication === "unbound") fields.pubkeyauthentication = "yes";
  if (fields.loglevel === "DEBUG") fields.loglevel = "DEBUG1";
  if (fields.loglevel === "SILENT") fields.loglevel = "QUIET";
  return fields;
}

function fieldsOfOurs(config: SshConfig, defaults: Fields): Fields {
  const flag = (value: boolean): string => (value ? "yes" : "no");
  const list = (name: (typeof singles)[number], wish: string | undefined): string | readonly string[] | undefined =>
    wish === undefined ? defaults[name] : /^[-+^]/.test(wish) ? "changed" : wish;
  const { mode, lifetime } = config.addKeysToAgent;
  return {
    host: config.host,
    hostname: config.hostName,
    port: String(config.port),
    user: config.user,
    addressfamily: config.addressFamily,
    batchmode: flag(config.batchMode),
    compression: flag(config.compression),
    forwardagent: typeof config.forwardAgent === "string" ? config.forwardAgent : flag(config.forwardAgent),
    hashknownhosts: flag(config.hashKnownHosts),
    identitiesonly: flag(config.identitiesOnly),
    kbdinteractiveauthentication: flag(config.kbdInteractiveAuthentication),
    passwordauthentication: flag(config.passwordAuthentication),
    pubkeyauthentication: flag(config.pubkeyAuthentication),
    requesttty: config.requestTTY,
    stricthostkeychecking: config.strictHostKeyChecking,
    tcpkeepalive: flag(config.tcpKeepAlive),
    connectionattempts: String(config.connectionAttempts),
    numberofpasswordprompts: String(config.numberOfPasswordPrompts),
    serveralivecountmax: String(config.serverAliveCountMax),
    serveraliveinterval: String(config.serverAliveInterval),
    bindaddress: config.bindAddress,
    hostkeyalias: config.hostKeyAlias,
    identityagent: config.identityAgent,
    ciphers: list("ciphers", config.ciphers),
    macs: list("macs", config.macs),
    kexalgorithms: list("kexalgorithms", config.kexAlgorithms),
    hostkeyalgorithms: list("hostkeyalgorithms", config.hostKeyAlgorithms),
    pubkeyacceptedalgorithms: list("pubkeyacceptedalgorithms", config.pubkeyAcceptedAlgorithms),
    loglevel: config.logLevel,
    preferredauthentications: config.preferredAuthentications,
    remotecommand: config.remoteCommand,
    addkeystoagent: lifetime === undefined ? mode : mode === "confirm" ? `confirm ${lifetime}` : String(lifetime),
    connecttimeout: config.connectTimeout === undefined ? "none" : String(config.connectTimeout),
    escapechar: config.escapeChar,
    proxycommand: config.proxyCommand,
    proxyjump: config.proxyJump === undefined ? undefined : JSON.stringify(parseJump(config.proxyJump)),
    // Which names are tried without any IdentityFile changes with the version of ssh.
    identityfile: config.identityFilesExplicit ? config.identityFiles : defaults.identityfile,
    certificatefile: config.certificateFiles,
    globalknownhostsfile: config.globalKnownHostsFiles,
    userknownhostsfile: config.userKnownHostsFiles,
    sendenv: config.sendEnv.toSorted(),
    setenv: Object.entries(config.setEnv)
      .map(([name, value]) => `${name}=${value}`)
      .toSorted(),
  };
}

/** What ssh said, where it says the same thing in another way. */
function comparable(fields: Fields, config: SshConfig): Fields {
  const changed = {
    ciphers: config.ciphers,
    macs: config.macs,
    kexalgorithms: config.kexAlgorithms,
    hostkeyalgorithms: config.hostKeyAlgorithms,
  };
  const out: Fields = { ...fields, setenv: [fields.setenv ?? []].flat().toSorted() };
  for (const [name, wish] of Object.entries(changed)) {
    if (wish !== undefined && /^[-+^]/.test(wish)) out[name] = "changed";
  }
  if (typeof fields.proxyjump === "string") out.proxyjump = JSON.stringify(parseJump(fields.proxyjump));
  // Debian's ssh sends keepalives in batch mode; no other does.
  if (config.batchMode && fields.serveraliveinterval === "300") out.serveraliveinterval = "0";
  return out;
}

interface Output {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

function ssh(args: readonly string[], env: Readonly<Record<string, string>> = {}): Promise<Output> {
  return run("ssh", args, env);
}

function run(program: string, args: readonly string[], env: Readonly<Record<string, string>> = {}): Promise<Output> {
  return new Promise((resolve) => {
    const child = execFile(program, [...args], { env: { ...process.env, ...env } }, (error, stdout, stderr) => {
      const code = error === null ? 0 : Number(error.code ?? 1);
      resolve({ code, stdout, stderr: stderr.replace(/^Pseudo-terminal [^\n]*\n/gm, "") });
    });
    child.stdin?.end();
  });
}
