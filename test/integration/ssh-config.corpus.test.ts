/** Our reading of ssh_config against OpenSSH's on a generated corpus: every file, every keyword that `ssh config` prints. */
import { execFile } from "node:child_process";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir, userInfo } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { algorithms } from "../../src/core/ssh/algorithms.ts";
import { parseJump } from "../../src/core/ssh/config/jump.ts";
import { printConfig } from "../../src/core/ssh/config/print.ts";
import { resolveAlone } from "../../src/core/ssh/config/resolve.ts";
import { command } from "../../src/commands/ssh/config.ts";
import { testContext } from "../unit/commands/context.ts";
import { needs } from "../servers/engines.ts";

const count = 340;
const home = userInfo().homedir;

needs("ssh")("a corpus of ssh_config files", () => {
  let dir = "";
  let cases: readonly Case[] = [];
  let said: ReadonlyMap<string, Rows> = new Map();
  beforeAll(async () => {
    dir = await mkdtemp(join(tmpdir(), "ami-corpus-"));
    await mkdir(join(dir, "inc"));
    cases = Array.from({ length: count }, (_, i) => generate(i, dir));
    for (const { file, text, included } of cases) {
      await writeFile(file, text, { mode: 0o600 });
      await writeFile(join(dir, "inc", file.slice(dir.length + 1)), included, { mode: 0o600 });
    }
    said = await askSsh(cases);
  });
  afterAll(() => rm(dir, { recursive: true, force: true }));

  it(`reads ${count} files as ssh -G does, by itself`, async () => {
    const seen = new Map<string, Set<string>>();
    let refused = 0;
    for (const one of cases) {
      if (said.get(one.file)?.some(([keyword]) => keyword === "refused") === true) {
        const wish = { configFile: one.file, home };
        await expect(resolveAlone(one.host, wish), one.text).rejects.toMatchObject({ code: "config.invalid" });
        refused++;
        continue;
      }
      const { config, passedOver } = await resolveAlone(one.host, { configFile: one.file, home });
      expect(passedOver).toEqual([]);
      const rows = printConfig(config, algorithms(config));
      const ours = comparable(new Map(), rows, config.identityFilesExplicit);
      const theirs = comparable(ours, said.get(one.file) ?? [], config.identityFilesExplicit);
      expect([one.text, one.host, ours]).toEqual([one.text, one.host, theirs]);
      for (const [keyword, values] of ours) {
        seen.set(keyword, (seen.get(keyword) ?? new Set()).add(values.join(" ")));
      }
    }
    // A few, for what ssh does not take: `Compression true`.
    expect(refused).toBeLessThan(20);
    // A keyword that always has the same value proves nothing.
    const varied = [...seen].filter(([, values]) => values.size > 1).map(([keyword]) => keyword);
    expect(varied).toEqual(
      expect.arrayContaining(["hostname", "user", "port", "identityfile", "proxyjump", "proxycommand", "ciphers"]),
    );
    expect(varied.length).toBeGreaterThanOrEqual(35);
  });
});

it("what only ssh can work out is passed over when we read alone, and said", async () => {
  const dir = await mkdtemp(join(tmpdir(), "ami-alone-"));
  try {
    const file = join(dir, "config");
    await writeFile(file, "Match exec true\nPort 1\nHost *\nPort 2222\nMatch final\nUser late\n");
    const context = testContext({ options: { sshConfig: file } });
    const { output } = await command.run({ host: "me@web1", ownParser: true }, context);
    expect(output).toMatchObject({ source: "own", settings: { port: "2222", user: "me", hostname: "web1" } });
    expect(output.passedOver).toEqual([`Match exec (${file}:1)`]);
    expect(command.text?.(output, { columns: 80 })).toContain(`\n# passed over: Match exec (${file}:1)`);
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
});

interface Case {
  readonly file: string;
  readonly host: string;
  readonly text: string;
  readonly included: string;
}

type Rows = readonly (readonly [keyword: string, value: string])[];

/** By keyword; of what ssh prints only keywords that we print too. */
function comparable(like: ReadonlyMap<string, unknown>, rows: Rows, explicit: boolean): Map<string, readonly string[]> {
  const out = new Map<string, readonly string[]>();
  const tokens = new Map(rows.map(([keyword, value]) => [keyword, value]));
  for (const [keyword, written] of rows) {
    // ssh leaves the tokens of this one as they stand.
    const value =
      keyword === "proxycommand"
        ? written.replaceAll("%h", tokens.get("hostname") ?? "").replaceAll("%p", tokens.get("port") ?? "")
        : written;
    if (like.size > 0 && !like.has(keyword)) {
      if (!neverOurs.has(keyword)) out.set(keyword, [value]);
      continue;
    }
    out.set(keyword, [...(out.get(keyword) ?? []), normal(keyword, value)]);
  }
  // `none` only ends the usual names.
  const files = out.get("identityfile")?.filter((file) => file !== "none");
  if (files !== undefined) out.set("identityfile", files);
  if (files?.length === 0) out.delete("identityfile");
  // The usual names depend on the version of ssh, and so do lists of algorithms that nobody set.
  if (!explicit) out.delete("identityfile");
  for (const keyword of algorithmKeywords) {
    if (!settable.has(out.get(keyword)?.[0] ?? "")) out.delete(keyword);
  }
  for (const keyword of ["sendenv", "setenv"]) {
    const values = out.get(keyword);
    if (values !== undefined) out.set(keyword, [...new Set(values)].toSorted());
  }
  return out;
}

const algorithmKeywords = ["ciphers", "macs", "kexalgorithms", "hostkeyalgorithms", "pubkeyacceptedalgorithms"];

function normal(keyword: string, value: string): string {
  if (keyword === "identityfile" || keyword === "certificatefile") return value.replace(/^~/, home);
  if (keyword === "proxyjump") return JSON.stringify(parseJump(value));
  // Debian's ssh sends keepalives in batch mode; no other does.
  if (keyword === "serveraliveinterval" && value === "300") return "0";
  return value;
}

/** Keywords of ssh that have no effect here, so that `ssh config` does not print them. */
const neverOurs = new Set(
  `canonicalizefallbacklocal canonicalizehostname checkhostip controlmaster enablesshkeysign clearallforwardings
  exitonforwardfailure fingerprinthash forwardx11 forwardx11trusted gatewayports gssapiauthentication gssapikeyexchange
  gssapidelegatecredentials gssapitrustdns gssapirenewalforcesrekey gssapikexalgorithms hostbasedauthentication
  nohostauthenticationforlocalhost permitlocalcommand proxyusefdpass sessiontype stdinnull forkafterauthentication
  streamlocalbindunlink tunnel verifyhostkeydns visualhostkey updatehostkeys enableescapecommandline canonicalizemaxdots
  forwardx11timeout requiredrsasize hostbasedacceptedalgorithms casignaturealgorithms securitykeyprovider xauthlocation
  canonicaldomains logverbose permitremoteopen tunneldevice canonicalizePermittedcnames controlpersist ipqos rekeylimit
  streamlocalbindmask syslogfacility controlpath localcommand obscurekeystroketiming channeltimeout tag versionaddendum
  identityfile pubkeyacceptedalgorithms warnweakcrypto refuseconnection`.split(/\s+/),
);

const lists: Readonly<Record<string, readonly string[]>> = {
  Ciphers: ["aes128-ctr", "aes256-ctr,aes128-ctr", "aes128-gcm@openssh.com,aes256-ctr"],
  MACs: ["hmac-sha2-256", "hmac-sha2-512-etm@openssh.com,hmac-sha2-256"],
  KexAlgorithms: ["curve25519-sha256", "ecdh-sha2-nistp256,curve25519-sha256"],
  HostKeyAlgorithms: ["ssh-ed25519", "rsa-sha2-512,ssh-ed25519"],
};
const settable = new Set(Object.values(lists).flat());

/** One keyword line each; `pick` chooses. */
const lines: readonly ((pick: Pick) => string)[] = [
  (pick) => `Port ${pick(["22", "2222", "65535", "0022"])}`,
  (pick) => `User ${pick(["root", "deploy", "Über", "a.b-c"])}`,
  (pick) => `HostName ${pick(["%h.example.com", "192.0.2.7", "REAL.Example.com", "127.1", "2001:DB8::0:1", "a%%b"])}`,
  (pick) => `IdentityFile ${pick(["~/.ssh/a", "/keys/b", '"/keys/with blank"', "~/.ssh/id_rsa", "none"])}`,
  (pick) => `CertificateFile ${pick(["~/.ssh/a-cert.pub", "/keys/b-cert.pub"])}`,
  (pick) => `ProxyJump ${pick(["jump", "a@b:2200", "one,two@three:4", "none", "x@[2001:db8::1]:22"])}`,
  (pick) => `ProxyCommand ${pick(["nc %h %p", "none", "ssh -W %h:%p 'gate way'"])}`,
  (pick) => `UserKnownHostsFile ${pick(["~/k1 /k2", "none", "/k/%n-%p", "/dev/null"])}`,
  (pick) => `GlobalKnownHostsFile ${pick(["/g1", "/g1 /g2", "none"])}`,
  (pick) => `StrictHostKeyChecking ${pick(["yes", "no", "ask", "accept-new", "off"])}`,
  (pick) =>
    `${pick(["BatchMode", "Compression", "HashKnownHosts", "IdentitiesOnly", "TCPKeepAlive"])} ${pick(["yes", "no", "true"])}`,
  (pick) =>
    `${pick(["PasswordAuthentication", "KbdInteractiveAuthentication", "PubkeyAuthentication"])} ${pick(["yes", "no"])}`,
  (pick) =>
    `${pick(["ConnectionAttempts", "NumberOfPasswordPrompts", "ServerAliveCountMax"])} ${pick(["1", "7", "100"])}`,
  (pick) => `${pick(["ConnectTimeout", "ServerAliveInterval"])} ${pick(["5", "1m30s", "2h", "1w"])}`,
  (pick) => `AddressFamily ${pick(["any", "inet", "inet6"])}`,
  (pick) => `BindAddress ${pick(["192.0.2.1", "::1"])}`,
  (pick) => `HostKeyAlias ${pick(["Alias", "other.name"])}`,
  (pick) => `IdentityAgent ${pick(["~/agent", "none", "/run/agent"])}`,
  (pick) => `LogLevel ${pick(["QUIET", "error", "Verbose", "DEBUG", "DEBUG2"])}`,
  (pick) => `PreferredAuthentications ${pick(["publickey", "password,publickey"])}`,
  (pick) => `RemoteCommand ${pick(["uptime", "echo %h %% 'x y'"])}`,
  (pick) => `RequestTTY ${pick(["yes", "no", "force", "auto"])}`,
  (pick) => `EscapeChar ${pick(["none", "%", "^B", "~"])}`,
  (pick) => `SendEnv ${pick(["LANG", "LC_* FOO", "-FOO", "BAR"])}`,
  (pick) => `SetEnv ${pick(["A=1", 'B="x y" C=3', "A=2 D="])}`,
  (pick) => `AddKeysToAgent ${pick(["yes", "no", "ask", "confirm", "confirm 5m", "1h"])}`,
  (pick) => `ForwardAgent ${pick(["yes", "no"])}`,
  (pick) => {
    const name = pick(Object.keys(lists));
    return `${name} ${pick(lists[name] ?? [])}`;
  },
];

const heads: readonly ((pick: Pick) => string)[] = [
  (pick) => `Host ${pick(["web1", "web*", "web? db*", "* !web1", "!web1 *", "other", '"web1" x', "WEB1"])}`,
  (pick) =>
    `Match ${pick(["host web1", "host web*,!web2", "originalhost db1", "user root", "all", "!host web1", "final", "final host *.com"])}`,
  (pick) =>
    `Match host ${pick(["*.example.com", "web1,db1", "192.0.2.*"])} user ${pick(["root,deploy", "*", "nobody"])}`,
];

type Pick = <T>(from: readonly T[]) => T;

/** The same file for the same number, on every machine. */
function generate(number: number, dir: string): Case {
  const random = mulberry32(number + 1);
  const pick: Pick = (from) => {
    const [first, ...rest] = from;
    const chosen = [first, ...rest][Math.floor(random() * from.length)] ?? first;
    if (chosen === undefined) throw new Error("nothing to pick from");
    return chosen;
  };
  const name = `${String(number).padStart(3, "0")}.conf`;
  const block = (most: number): string[] =>
    Array.from({ length: 1 + Math.floor(random() * most) }, () => style(pick(lines)(pick), pick));
  const text = [
    ...(random() < 0.3 ? block(3) : []),
    ...Array.from({ length: 1 + Math.floor(random() * 4) }, () => [
      pick(heads)(pick),
      ...block(5),
      ...(random() < 0.15 ? [`Include ${dir}/inc/${name}`] : []),
    ]).flat(),
    ...(random() < 0.5 ? ["Host *", ...block(6)] : []),
  ];
  const included = [...block(2), pick(heads)(pick), ...block(3)];
  return {
    file: join(dir, name),
    host: pick(["web1", "web2", "db1", "web1.example.com", "Other", "192.0.2.9"]),
    text: `${text.join("\n")}\n`,
    included: `${included.join("\n")}\n`,
  };
}

/** The ways in which people write one and the same line. */
function style(line: string, pick: Pick): string {
  const [keyword = "", ...rest] = line.split(" ");
  const value = rest.join(" ");
  // To these a comment belongs; and ssh 9.2 takes the none of "ProxyJump none # why" for the name of a host.
  const isCommand = /^(ProxyCommand|RemoteCommand|ProxyJump)$/.test(keyword);
  const written = pick([keyword, keyword, keyword.toLowerCase(), keyword.toUpperCase()]);
  const between = pick([" ", " ", "=", " = ", "\t"]);
  return `${pick(["", "  ", "\t"])}${written}${between}${value}${pick(["", "", "  ", isCommand ? "" : " # why"])}`;
}

function mulberry32(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

/** All files in one go. */
async function askSsh(cases: readonly Case[]): Promise<ReadonlyMap<string, Rows>> {
  const program =
    'while [ $# -gt 0 ]; do echo "=== $1"; ssh -G -F "$1" -- "$2" </dev/null 2>/dev/null || echo "refused -"; shift 2; done';
  const words = cases.flatMap(({ file, host }) => [file, host]);
  const printed = await new Promise<string>((resolve, reject) => {
    execFile("sh", ["-c", program, "sh", ...words], { maxBuffer: 1 << 26 }, (error, stdout) =>
      error === null ? resolve(stdout) : reject(error),
    );
  });
  const parts = printed.split(/^=== /m).slice(1);
  return new Map(
    parts.map((part) => {
      const [file = "", ...rows] = part.trimEnd().split("\n");
      return [file, rows.map((row) => [row.split(" ", 1)[0] ?? "", row.slice(row.indexOf(" ") + 1)] as const)];
    }),
  );
}
