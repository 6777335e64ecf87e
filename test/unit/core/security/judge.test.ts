/** What a policy says of a deed, as tables; and its mistakes, each with its place. */
import { describe, expect, it } from "vitest";
import { z } from "zod";
import { type Deed, lineWords } from "../../../../src/core/deed.ts";
import { type Circumstances, judgeAll } from "../../../../src/core/security/policy/judge.ts";
import { parsePolicy } from "../../../../src/core/security/policy/read.ts";
import { openWatch } from "../../../../src/core/security/watch.ts";

const verbs = ["ssh execute", "ssh connect", "ssh put", "ssh key list", "provision"];
const about: Circumstances = {
  verb: "ssh execute",
  programs: "user",
  names: ["prod1", "10.0.0.1"],
  groups: ["prod", "web"],
  by: "alice",
  login: "deploy",
};
const run = (...argv: string[]): Deed => ({ does: "run", argv });
const line = (text: string): Deed => ({ does: "run", argv: lineWords(text) });
const open: Deed = { does: "open" };
const terminal: Deed = { does: "terminal" };

async function verdict(text: string, deed: Deed, more: Partial<Circumstances> = {}): Promise<string> {
  const said = judgeAll([await parsePolicy(text, "p.yaml", verbs)], { ...about, ...more }, deed);
  if (said.allowed) return said.record === undefined ? "allowed" : "recorded";
  return said.blind ? "blind" : "denied";
}

describe("commands that are forbidden", () => {
  const policy = `
rules:
  - effect: deny
    hosts: ["@prod", "!prod9"]
    commands: [reboot, "systemctl stop *", [rm, -rf, "/ *"], "/usr/sbin/poweroff", "kill 1 $"]
`;
  it.each<[string, Deed, Partial<Circumstances>?]>([
    ["denied", run("reboot")],
    ["denied", run("reboot", "-f")],
    ["denied", run("/sbin/reboot")],
    ["denied", run("./reboot")],
    ["allowed", run("rebooter")],
    ["allowed", run("systemctl", "status", "nginx")],
    ["denied", run("systemctl", "stop", "nginx")],
    ["allowed", run("systemctl", "stop")],
    ["denied", run("rm", "-rf", "/ x")],
    ["allowed", run("rm", "-rf", "/tmp/x")],
    ["denied", run("/usr/sbin/poweroff")],
    ["allowed", run("/opt/poweroff")],
    ["denied", run("kill", "1")],
    ["allowed", run("kill", "1", "2")],
    ["denied", line("reboot")],
    ["denied", line("  systemctl stop nginx ")],
    ["allowed", line("df -h /var")],
    // What a shell makes of these nobody can tell.
    ["blind", line("df -h | grep sda")],
    ["blind", line("re''boot")],
    ["blind", line("X=1 uptime")],
    ["blind", line("uptime; true")],
    ["blind", line("uptime\nreboot")],
    ["blind", line("eval uptime")],
    ["blind", run("env", "reboot")],
    ["blind", run("/usr/bin/sudo", "reboot")],
    ["blind", run("python3.11", "-c", "1")],
    ["blind", run("bash")],
    ["blind", terminal],
    ["blind", { does: "terminal", argv: ["sh", "-c", "top; id"] }],
    ["allowed", { does: "terminal", argv: ["top", "-d", "1"] }],
    // Coming in is no command, nor is another verb.
    ["allowed", open],
    ["allowed", { does: "become", user: "root" }, { as: "root" }],
    // Elsewhere.
    ["allowed", run("reboot"), { groups: ["web"] }],
    ["allowed", run("reboot"), { names: ["prod9"] }],
  ])("%s: %j", async (expected, deed, more) => {
    expect(await verdict(policy, deed, more)).toBe(expected);
  });
});

describe("all that is not allowed", () => {
  const policy = `
otherwise: deny
rules:
  - { effect: allow, users: deploy, verbs: ssh execute, commands: [uptime, "sh -c *", "systemctl restart app $"] }
  - { effect: allow, by: [alice, bob], verbs: ["ssh put"] }
  - { effect: allow, verbs: [ssh key] }
`;
  it.each<[string, Deed, Partial<Circumstances>?]>([
    ["allowed", open],
    ["allowed", run("uptime")],
    ["allowed", line("a; b")],
    ["allowed", run("systemctl", "restart", "app")],
    ["denied", run("systemctl", "restart", "app", "sshd")],
    // A program of that name in another folder is another program.
    ["denied", run("/tmp/uptime")],
    ["denied", run("reboot")],
    ["denied", run("uptime"), { as: "root" }],
    ["denied", { does: "become", user: "root" }, { as: "root" }],
    ["denied", terminal, { verb: "ssh connect" }],
    ["denied", open, { verb: "ssh connect" }],
    ["allowed", open, { verb: "ssh put", programs: "own" }],
    ["denied", open, { verb: "ssh put", programs: "own", by: "eve" }],
    ["allowed", open, { verb: "ssh key list", programs: "own" }],
    ["denied", open, { verb: "provision", programs: "own" }],
  ])("%s: %j %j", async (expected, deed, more) => {
    expect(await verdict(policy, deed, more)).toBe(expected);
  });
});

describe("becoming others, and recordings", () => {
  it("becoming is forbidden by the user who is become", async () => {
    const policy = "rules: [{ effect: deny, become: [root, 'db*'], hosts: '10.*' }]";
    expect(await verdict(policy, { does: "become", user: "root" }, { as: "root" })).toBe("denied");
    expect(await verdict(policy, run("id"), { as: "db2" })).toBe("denied");
    expect(await verdict(policy, run("id"), { as: "app" })).toBe("allowed");
    expect(await verdict(policy, run("id"), { login: "root" })).toBe("allowed");
  });

  it("a recording is asked for beside what allows", async () => {
    const policy = "rules: [{ effect: allow, verbs: ssh connect }, { effect: record, users: root }]";
    expect(await verdict(policy, terminal, { verb: "ssh connect", login: "root" })).toBe("recorded");
    expect(await verdict(policy, terminal, { verb: "ssh connect" })).toBe("allowed");
  });

  it("the first rule decides, and of two files both must allow", async () => {
    const first = await parsePolicy("rules: [{ effect: allow, commands: [reboot] }, { effect: deny }]", "a", verbs);
    const second = await parsePolicy("otherwise: deny", "b", verbs);
    expect(judgeAll([first], about, run("reboot"))).toMatchObject({ allowed: true });
    expect(judgeAll([first], about, run("id"))).toMatchObject({ allowed: false, rule: { at: "a:1" } });
    expect(judgeAll([first, second], about, run("reboot"))).toMatchObject({ allowed: false });
    expect(judgeAll([], about, run("reboot"))).toMatchObject({ allowed: true });
  });
});

describe("mistakes", () => {
  it.each([
    ["rules: [", /^p\.yaml:1:\d+ /],
    ["rules:\n  - effect: forbid\n", "p.yaml:2:13 rules[0].effect: must be allow or deny or record"],
    ["rules:\n  - host: x\n    effect: deny\n", 'p.yaml:2:5 rules[0].host: unknown key, did you mean "hosts"?'],
    ["rule: []\n", 'p.yaml:1:1 rule: unknown key, did you mean "rules"?'],
    ["otherwise: no\n", "p.yaml:1:12 otherwise: must be allow or deny"],
    ["rules:\n  - effect: deny\n    verbs: [ssh exec]\n", 'p.yaml:3:13 rules[0].verbs[0]: there is no verb "ssh exec"'],
    ["rules:\n  - effect: deny\n    commands: []\n", "p.yaml:3:15 rules[0].commands: must not be empty"],
    ["rules:\n  - effect: deny\n    commands: ['']\n", "p.yaml:3:16 rules[0].commands[0]: names no program"],
    ["rules:\n  - effect: deny\n    hosts: 7\n", "p.yaml:3:12 rules[0].hosts: must be a text, or a list of texts"],
    ["rules:\n  - effect: deny\n    effect: allow\n", /p\.yaml:3:5 the key "effect" is here twice/],
    ["- a\n", "p.yaml:1:1 must be a mapping"],
  ])("%j", async (text, says) => {
    const failure = parsePolicy(text, "p.yaml", verbs);
    await expect(failure).rejects.toMatchObject({ code: "policy.invalid" });
    await expect(failure).rejects.toThrow(says);
  });

  it("all of them at once", async () => {
    const text = "audit: maybe\nrules:\n  - effect: deny\n    user: x\n  - hosts: []\n";
    await expect(parsePolicy(text, "p", verbs)).rejects.toThrow(/^p:1:8 .*\np:4:5 .*\np:5:5 .*\n?p:5:12/s);
  });

  it("an empty file says nothing", async () => {
    expect(await parsePolicy("", "p", verbs)).toMatchObject({ rules: [], otherwise: "allow" });
  });
});

it("the near end of a tunnel is no target; this machine is one when it was named", async () => {
  const policies = [await parsePolicy("otherwise: deny", "p", verbs)];
  const watch = (targets: readonly string[], programs: "own" | "user") =>
    openWatch({
      command: { name: "ssh tunnel", effect: "change", input: z.object({}), programs },
      input: {},
      targets,
      by: "me",
      policies,
      recordings: "/nowhere",
      mask: (text) => text,
      note: () => undefined,
    });
  const here = { target: { kind: "local", name: "local", vars: {} }, login: "me" } as const;
  const denied = expect.objectContaining({ code: "policy.denied" });
  expect(() => watch(["web1"], "own").judge(here, open)).not.toThrow();
  expect(() => watch(["local"], "own").judge(here, open)).toThrow(denied);
  expect(() => watch(["web1"], "user").judge(here, run("id"))).toThrow(denied);
});
