/** Judgements that no test machine can bring about, as tables: evidence in, name of the illness out. */
import { describe, expect, it } from "vitest";
import { type Finding, about, firstOf } from "../../../../src/core/diagnose/finding.ts";
import { judgeAlgorithms } from "../../../../src/core/diagnose/judge/algorithms.ts";
import { judgeBanner, judgeOffer } from "../../../../src/core/diagnose/judge/greeting.ts";
import { judgeHealth } from "../../../../src/core/diagnose/judge/health.ts";
import { judgeRefusal } from "../../../../src/core/diagnose/judge/refusal.ts";
import { judgeResolve } from "../../../../src/core/diagnose/judge/resolve.ts";
import { judgeSession } from "../../../../src/core/diagnose/judge/session.ts";
import { judgeSpeed } from "../../../../src/core/diagnose/judge/speed.ts";
import { judgeTcp } from "../../../../src/core/diagnose/judge/tcp.ts";
import { card } from "../../../../src/core/diagnose/text.ts";
import { type AccountView, type Look, readLook } from "../../../../src/core/diagnose/observe/look.ts";
import type { SessionSeen } from "../../../../src/core/diagnose/observe/session.ts";
import type { SignsOfLife } from "../../../../src/core/diagnose/observe/tcp.ts";
import { algorithms } from "../../../../src/core/ssh/algorithms.ts";
import { readGreeting } from "../../../../src/core/ssh/greeting.ts";
import type { Probe } from "../../../../src/core/ssh/probe.ts";

const name = (findings: readonly Finding[]): string => firstOf(findings)?.check ?? "ok";

describe("resolve", () => {
  const seen = { host: "web1", alias: "web1", addresses: ["192.0.2.1"], ms: 3 };
  it.each([
    ["ok", seen],
    ["resolve.not-found", { ...seen, addresses: [], error: "ENOTFOUND" }],
    ["resolve.no-answer", { ...seen, addresses: [], error: "EAI_AGAIN" }],
    ["resolve.slow", { ...seen, ms: 2500 }],
    ["ok", { ...seen, host: "192.0.2.1", ms: 2500 }],
  ])("%s", (check, resolved) => {
    expect(name(judgeResolve(resolved))).toBe(check);
  });
});

describe("tcp", () => {
  const one = (end: string, ms = 1, address = "192.0.2.1") => ({ address, end, ms });
  const dead: SignsOfLife = { ping: "silent", ports: [{ ...one("silent"), port: 80, says: "" }] };
  const alive: SignsOfLife = { ping: "answered", ports: [] };
  it.each([
    ["ok", [one("open")], undefined],
    ["ok", [one("ECONNREFUSED", 1, "::1"), one("open")], undefined],
    ["tcp.some-silent", [one("silent", 1000, "2001:db8::1"), one("open")], undefined],
    ["tcp.refused", [one("ECONNREFUSED")], dead],
    ["tcp.silent", [one("silent", 5000)], dead],
    ["tcp.dropped", [one("silent", 5000)], alive],
    ["tcp.rejected", [one("EHOSTUNREACH", 2)], dead],
    ["tcp.rejected", [one("EHOSTUNREACH", 3000)], alive],
    ["tcp.no-machine", [one("EHOSTUNREACH", 3000)], dead],
    ["tcp.no-route", [one("ENETUNREACH")], dead],
  ] as const)("%s: %j", (check, dialled, life) => {
    expect(name(judgeTcp({ port: 22, dialled, life }, "web1"))).toBe(check);
  });

  it("says where sshd is when it answers on another port", () => {
    const life: SignsOfLife = {
      ping: "answered",
      ports: [{ ...one("open"), port: 22, says: "SSH-2.0-OpenSSH_9.2p1" }],
    };
    const [finding] = judgeTcp({ port: 2222, dialled: [one("ECONNREFUSED")], life }, "web1");
    expect(finding?.fix?.command).toBe("ami-node ssh diagnose web1:22");
  });
});

describe("greeting", () => {
  const probe = (text: string, more: Partial<Probe> = {}): Probe => ({
    greeting: readGreeting(Buffer.from(text, "latin1")),
    first: Buffer.from(text, "latin1").subarray(0, 64),
    end: "closed",
    bannerMs: undefined,
    offerMs: undefined,
    strictKex: true,
    large: "unknown",
    largeMs: undefined,
    ...more,
  });
  it.each([
    ["banner.not-ssh", [probe("220 mx ESMTP Postfix\r\n")], /mail server/],
    ["banner.not-ssh", [probe("\x15\x03\x01\x00\x02\x02\x46")], /TLS/],
    ["banner.not-ssh", [probe("RFB 003.008\n")], /VNC/],
    ["banner.crowded", [probe("Exceeded MaxStartups\r\n")], /MaxStartups/],
    ["banner.crowded", [probe("Not allowed at this time\r\n")], /Not allowed/],
    ["banner.crowded", [probe(""), probe("SSH-2.0-OpenSSH_9.2\r\n")], /takes others/],
    ["banner.closed", [probe("")], /without a word/],
    ["banner.silent", [probe("", { end: "silent" })], /says nothing/],
    ["banner.version-1", [probe("SSH-1.5-Cisco-1.25\n")], /version 1/],
    ["ok", [probe("SSH-2.0-dropbear_2022.83\r\n")], undefined],
  ] as const)("%s: %j", (check, probes, says) => {
    const findings = judgeBanner({ at: "192.0.2.1:22", probes });
    expect(name(findings)).toBe(check);
    if (says !== undefined) expect(findings[0]?.says).toMatch(says);
  });

  it("misses the offer after the version", () => {
    expect(name(judgeOffer({ at: "192.0.2.1:22", probes: [probe("SSH-2.0-OpenSSH_9.2\r\n")] }))).toBe("offer.none");
  });
});

describe("algorithms", () => {
  const ours = algorithms({});
  const theirs = { ...ours, compress: ["none"] };
  it.each([
    ["ok", theirs],
    ["algorithms.kex", { ...theirs, kex: ["diffie-hellman-group1-sha1"] }],
    ["algorithms.host-key", { ...theirs, serverHostKey: ["ssh-rsa"] }],
    ["algorithms.cipher", { ...theirs, cipher: ["aes128-cbc"] }],
    ["ok", { ...theirs, cipher: ["aes128-gcm@openssh.com"], hmac: ["hmac-md5"] }],
    ["algorithms.mac", { ...theirs, cipher: ["aes128-ctr"], hmac: ["hmac-md5"] }],
  ])("%s", (check, offer) => {
    expect(name(judgeAlgorithms({ name: "old", ours, theirs: offer }))).toBe(check);
  });

  it("allows an old algorithm for this host only", () => {
    const [finding] = judgeAlgorithms({ name: "old", ours, theirs: { ...theirs, serverHostKey: ["ssh-rsa"] } });
    expect(finding?.fix?.command).toBe("printf 'Host old\\n  HostKeyAlgorithms +ssh-rsa\\n' >> ~/.ssh/config");
  });
});

describe("refusal, seen from inside", () => {
  const settings = (more: Record<string, string[]> = {}) =>
    new Map(Object.entries({ strictmodes: ["yes"], usepam: ["yes"], permitrootlogin: ["yes"], ...more }));
  const account: AccountView = {
    isRoot: true,
    sees: true,
    passwd: { uid: 1000, home: "/home/alice", shell: "/bin/bash" },
    shellExists: true,
    groups: ["alice", "web"],
    sshd: settings(),
    sshdConfig: undefined,
    shadow: { isLocked: false, expires: undefined },
    today: 20_000,
    paths: [{ path: "/home/alice", uid: 1000, mode: "drwxr-xr-x" }],
    matches: [{ key: "AAAA", file: "/home/alice/.ssh/authorized_keys", line: 3, text: "ssh-ed25519 AAAA" }],
    keyFiles: ["/home/alice/.ssh/authorized_keys"],
  };
  const open = [{ path: "/home/alice", uid: 1000, mode: "drwxrwxr-x" }];
  const foreign = [{ path: "/home/alice/.ssh", uid: 1001, mode: "drwx------" }];
  it.each([
    ["auth.no-user", { passwd: undefined }],
    ["auth.user-refused", { sshd: settings({ denyusers: ["al*"] }) }],
    ["auth.user-refused", { sshd: settings({ allowusers: ["bob", "carol@10.0.0.0/8"] }) }],
    ["auth.user-refused", { sshd: settings({ allowgroups: ["admin"] }) }],
    ["auth.user-refused", { sshd: settings({ denygroups: ["web"] }) }],
    ["auth.key-refused", { sshd: settings({ allowusers: ["bob", "alice@10.*"], allowgroups: ["web"] }) }],
    [
      "auth.root-refused",
      { passwd: { uid: 0, home: "/root", shell: "/bin/sh" }, sshd: settings({ permitrootlogin: ["no"] }) },
    ],
    ["auth.no-shell", { shellExists: false }],
    ["auth.account-expired", { shadow: { isLocked: false, expires: 19_999 } }],
    ["auth.account-locked", { shadow: { isLocked: true, expires: undefined }, sshd: settings({ usepam: ["no"] }) }],
    ["auth.key-refused", { shadow: { isLocked: true, expires: 30_000 } }],
    ["auth.wrong-key", { matches: [] }],
    ["auth.key-refused", { matches: [], isRoot: false, sees: false, sshd: undefined, shadow: undefined }],
    ["auth.strict-modes", { paths: open }],
    ["auth.strict-modes", { paths: foreign, sshd: undefined }],
    ["auth.key-refused", { paths: open, sshd: settings({ strictmodes: ["no"] }) }],
  ] as const)("%s: %j", (check, more) => {
    const view = { from: "root@web1", account: { ...account, ...more } };
    expect(judgeRefusal(view, { user: "alice", offered: [], evidence: [] }).check).toBe(check);
  });
});

describe("session", () => {
  const well: SessionSeen = {
    user: "alice",
    run: { state: "ran", before: "", after: "", stderr: "", exit: 0 },
    sftp: { state: "answered", first: Buffer.from([0, 0, 0, 5, 2, 0, 0, 0, 3]), exit: undefined, said: "" },
    ptyRefused: undefined,
    channels: { asked: 10, opened: 10 },
    forwarding: "failed",
  };
  it.each([
    ["ok", {}],
    ["session.refused", { run: { state: "refused", why: "no" } }],
    ["session.no-commands", { run: { state: "lost", stdout: "", stderr: "", exit: 1 } }],
    [
      "session.sftp-only",
      { run: { state: "lost", stdout: "This service allows sftp connections only.\r\n", stderr: "", exit: 1 } },
    ],
    ["session.noise", { run: { state: "ran", before: "", after: "bye\n", stderr: "", exit: 0 } }],
    ["session.no-sftp", { sftp: { state: "refused", first: Buffer.alloc(0), exit: undefined, said: "" } }],
    ["session.sftp-noise", { sftp: { state: "answered", first: Buffer.from("Welcome"), exit: undefined, said: "" } }],
    ["session.max-sessions", { channels: { asked: 10, opened: 2 } }],
    ["ok", { sftp: { error: "lost" }, forwarding: "unknown" }],
  ] as const)("%s: %j", (check, more) => {
    expect(name(judgeSession({ ...well, ...more }))).toBe(check);
  });

  it("reads text as sftp would", () => {
    const run = { state: "ran", before: "Welcome\n", after: "", stderr: "", exit: 0 } as const;
    expect(judgeSession({ ...well, run })[0]?.evidence.join("\n")).toContain("Received message too long 1466264675");
  });
});

describe("health", () => {
  const text = (sections: Record<string, string>): string =>
    Object.entries({
      clock: "1700000000",
      df: "Filesystem 1024-blocks Used Available Capacity Mounted on\n/dev/vda1 20000000 5000000 15000000 25% /",
      inodes: "Filesystem Inodes IUsed IFree IUse% Mounted on\n/dev/vda1 1000000 1000 999000 1% /",
      load: "0.5 0.4 0.3 1/100 999",
      processors: "2",
      ...sections,
    })
      .map(([section, body]) => `\x1e${section}\n${body}\n`)
      .join("");
  const seen = (sections: Record<string, string>): Look =>
    readLook(`Welcome\n${text(sections)}`, { before: 1_700_000_000_400, after: 1_700_000_000_600 });
  const df = (available: number): string => `/dev/vda1 20000000 5000000 ${available} 25% /`;
  it.each([
    ["ok", {}],
    ["health.disk-full", { df: df(0) }],
    ["health.disk-nearly-full", { df: df(500_000) }],
    ["health.disk-full", { write: "sh: write error: No space left on device" }],
    ["health.inodes-full", { inodes: "/dev/vda1 1000000 1000000 0 100% /" }],
    [
      "health.inodes-full",
      { inodes: "/dev/vda1 1000 1000 0 100% /", write: "sh: cannot create: No space left on device" },
    ],
    ["health.home-not-writable", { write: "sh: cannot create /x: Read-only file system" }],
    ["health.load", { load: "90 85 80 9/100 999" }],
    ["health.clock", { clock: "1700000060" }],
    ["health.clock", { clock: "1699990000" }],
    ["health.home-modes", { passwd: "a:x:0:0::/root:/bin/sh", paths: "drwxrwxrwx 2 0 0 4096 Jan  1 00:00 /root" }],
  ] as const)("%s: %j", (check, sections) => {
    expect(name(judgeHealth(seen({ ...sections })))).toBe(check);
  });

  it("says nothing about what a machine does not tell", () => {
    expect(judgeHealth(undefined)).toMatchObject([{ status: "skipped" }]);
    expect(judgeHealth(seen({ clock: "", load: "" })).filter(({ status }) => status === "skipped")).toHaveLength(3);
  });
});

describe("speed", () => {
  it.each([
    ["ok", { state: "measured", rtts: [1, 2, 3], bytes: 2 ** 21, ms: 100 }],
    ["speed.bulk-lost", { state: "measured", rtts: [1, 2, 3], bytes: 0, ms: 4000 }],
    ["speed.latency", { state: "measured", rtts: [600, 610, 900], bytes: 2 ** 20, ms: 1000 }],
    ["speed.throughput", { state: "measured", rtts: [20, 21, 22], bytes: 4096, ms: 1000 }],
    ["ok", { state: "no-echo" }],
  ] as const)("%s: %j", (check, seen) => {
    expect(name(judgeSpeed(seen))).toBe(check);
  });
});

describe("what a server says", () => {
  it("never gets into a command that people paste", () => {
    const ours = algorithms({});
    const evil = "x';touch /tmp/owned;'-sha1";
    const theirs = {
      kex: [evil],
      serverHostKey: [...ours.serverHostKey],
      cipher: [...ours.cipher],
      hmac: [],
      compress: [],
    };
    const found = judgeAlgorithms({ name: "web1", ours, theirs });
    expect(found.map(({ check }) => check)).toEqual(["algorithms.kex"]);
    expect(found[0]?.fix?.command).not.toContain("touch");
  });

  it("is seen, and not obeyed, by the terminal", () => {
    const finding = about("banner").ok("banner", "Evil\x1b[2J answers", { evidence: ["\x1b]0;title\x07"] });
    const text = card({ host: "web1", ms: 1, findings: [finding], mended: [] }, true);
    expect(text).toContain("Evil\\x1b[2J answers");
    // oxlint-disable-next-line no-control-regex -- those are looked for
    expect(text).not.toMatch(/[\x00-\x09\x0b-\x1f]/);
  });
});
