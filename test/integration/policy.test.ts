/** The policy, verb by verb, in this process and against a real sshd: what is forbidden is not done, and nobody is contacted. */
import { spawn } from "node:child_process";
import { access, mkdir, mkdtemp, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, expect, it, vi } from "vitest";
import { main } from "../../src/cli/main.ts";
import { auditFiles } from "../../src/core/security/audit/files.ts";
import { verifyAudit } from "../../src/core/security/audit/verify.ts";
import { needs } from "../servers/engines.ts";
import { type Sshd, startSshd } from "../servers/sshd.ts";
import { fakeTerminal } from "../unit/ui/streams.ts";

let home = "";
beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), "ami-policy-"));
  vi.stubEnv("AMI_NODE_CONFIG_DIR", home);
});
afterEach(async () => {
  vi.unstubAllEnvs();
  await rm(home, { recursive: true, force: true });
});

interface Said {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

async function say(...words: readonly string[]): Promise<Said> {
  const [stdout, stderr] = [fakeTerminal(80, 24, false), fakeTerminal(80, 24, false)];
  const code = await main(words, {
    stdio: { stdin: process.stdin, stdout: stdout.stream, stderr: stderr.stream },
    env: process.env,
    signal: new AbortController().signal,
    interrupt: () => {},
    hasReaderLeft: () => false,
  });
  return { code, stdout: stdout.written(), stderr: stderr.written() };
}

const rules = (text: string): Promise<void> => writeFile(join(home, "policy.yaml"), text);
const kinds = async (): Promise<string[]> =>
  (await readFile(join(home, "audit/audit.jsonl"), "utf8").catch(() => "")).match(/(?<="kind":")\w+/g) ?? [];

needs("sshd")("a policy", () => {
  let box: Sshd;
  beforeAll(async () => {
    box = await startSshd();
  });
  afterAll(() => box?.stop());
  const connections = (): number => box.log().split("Connection from").length;
  const on = (verb: string, ...words: readonly string[]): Promise<Said> =>
    say(...verb.split(" "), "--ssh-config", box.configFile, "--target", "box", ...words);
  /** Refused, written down, and nobody was asked anything. */
  const refused = async (run: () => Promise<Said>, says: string): Promise<void> => {
    const [before, told] = [connections(), (await kinds()).filter((kind) => kind === "denied").length];
    const { code, stderr, stdout } = await run();
    expect(`${stderr}${stdout}`).toContain(says);
    expect(code).toBe(77);
    expect(connections()).toBe(before);
    expect((await kinds()).filter((kind) => kind === "denied").length).toBeGreaterThan(told);
    expect((await verifyAudit(auditFiles(join(home, "audit")))).problems).toEqual([]);
  };

  it("forbids commands in whatever way they are given", async () => {
    await rules("rules: [{ effect: deny, commands: ['rm -r *', shred] }]");
    await refused(() => on("ssh execute", "--", "/bin/rm", "-r", "/nowhere"), "/bin/rm -r /nowhere is forbidden");
    await refused(() => on("ssh execute", "shred x"), "shred x is forbidden");
    await refused(() => on("ssh execute", "true && true"), "nobody can tell what it runs");
    await refused(() => on("ssh execute", "true", "--then", "shred x"), "shred x is forbidden");
    await writeFile(join(home, "script"), "#!/bin/sh\necho hello\n");
    await refused(() => on("ssh execute", "--script", join(home, "script")), "nobody can tell what it runs");
    await writeFile(join(home, "b.yaml"), "name: b\nresources:\n  - command: shred /nowhere\n");
    await refused(() => on("provision", "--blueprint", join(home, "b.yaml")), "policy.denied");
    await refused(() => on("provision", "--check", "--blueprint", join(home, "b.yaml")), "policy.denied");
    expect(await on("ssh execute", "--", "printf", "yes")).toMatchObject({ code: 0, stdout: "yes" });
    expect(await on("ssh execute", "echo plain words")).toMatchObject({ code: 0, stdout: "plain words\n" });
  });

  it("forbids verbs, wherever their targets stand", async () => {
    await rules("rules: [{ effect: deny, verbs: [ssh put, ssh transfer, ssh tunnel, ssh diagnose, provision] }]");
    const file = join(home, "policy.yaml");
    await refused(() => on("ssh put", file, join(home, "copy")), "ssh put is forbidden");
    await refused(
      () => say("ssh", "transfer", "--ssh-config", box.configFile, file, `box:${home}/copy`),
      "ssh transfer is forbidden",
    );
    await refused(() => on("ssh tunnel", "-L", "0:localhost:1"), "ssh tunnel is forbidden");
    await refused(() => on("ssh diagnose"), "ssh diagnose is forbidden");
    await writeFile(join(home, "b.yaml"), "name: b\nresources:\n  - directory: /nowhere\n");
    await refused(() => on("provision", "--blueprint", join(home, "b.yaml")), "provision is forbidden");
    await expect(access(join(home, "copy"))).rejects.toThrow("ENOENT");
    expect((await on("ssh get", file, join(home, "got"))).code).toBe(0);
  });

  it("forbids becoming others, by flag and in a blueprint", async () => {
    await rules("rules: [{ effect: deny, become: '*', reason: nobody becomes }]");
    await refused(() => on("ssh execute", "--become=nobody", "--", "id"), "becoming nobody is forbidden");
    await writeFile(join(home, "b.yaml"), "name: b\nresources:\n  - directory: /nowhere\n    become: daemon\n");
    await refused(() => on("provision", "--blueprint", join(home, "b.yaml")), "policy.denied");
    expect((await on("ssh execute", "true")).code).toBe(0);
  });

  it("allows nothing but what it says, where it says so", async () => {
    await rules("otherwise: deny\nrules: [{ effect: allow, hosts: box, commands: [printf] }]");
    expect(await on("ssh execute", "--", "printf", "yes")).toMatchObject({ code: 0, stdout: "yes" });
    await refused(() => on("ssh execute", "--", "id"), "no rule of the policy allows it");
    await refused(() => on("ssh get", "/etc/hostname", join(home, "x")), "no rule of the policy allows it");
  });

  it("that wants terminals recorded has none where nothing records", async () => {
    await rules("rules: [{ effect: record, hosts: box }]");
    await refused(() => on("ssh execute", "--pty", "--", "id"), "id under a terminal is forbidden");
    expect((await on("ssh execute", "--", "id")).code).toBe(0);
  });

  it("means a host in whatever case it is written", async () => {
    await rules("rules: [{ effect: deny, hosts: Box }]");
    await refused(() => on("ssh execute", "--", "id"), "ssh execute is forbidden");
    await rules("rules: [{ effect: deny, hosts: dead.example.com }]");
    await refused(() => say("ssh", "execute", "--target", "DEAD.Example.com.", "--", "id"), "ssh execute is forbidden");
  });

  it("refuses all targets before any of them is contacted, and says which", async () => {
    await rules("rules: [{ effect: deny, hosts: box, commands: [id] }]");
    const two = (): Promise<Said> =>
      say("ssh", "execute", "--ssh-config", box.configFile, "--target", "local,box", "--", "id");
    await refused(two, "box: id is forbidden");
    expect(await kinds()).not.toContain("command");
  });

  it("judges a job by its own words, and a session as the terminal it is", async () => {
    await rules("rules: [{ effect: deny, commands: [shred] }]");
    vi.stubEnv("HOME", home);
    await refused(() => on("ssh run", "--detach", "--", "shred", "/nowhere"), "shred /nowhere is forbidden");
    await refused(() => on("ssh run", "--detach", "--", "true && true"), "nobody can tell what it runs");
    await refused(() => on("ssh session new", "--detach"), "nobody can tell what it runs");
    const { code, stdout, stderr } = await on("ssh run", "--", "printf", "yes");
    expect({ code, stdout }).toEqual({ code: 0, stdout: "yes" });
    const log = await readFile(join(home, "audit/audit.jsonl"), "utf8");
    expect(log).toContain('"argv":["printf","yes"]');
    expect(log).not.toContain("ami_");
    const [, id = ""] = /job ([a-z0-9]{8})/.exec(stderr) ?? [];
    expect(await on("ssh jobs rm", "--yes", id)).toMatchObject({ code: 0 });
  });

  it("that forbids some commands does not stand in the way of verbs with programs of our own", async () => {
    await rules("rules: [{ effect: deny, commands: [shred] }]");
    const at = (name: string): string => `box:${home}/${name}`;
    const verb = (...words: readonly string[]): Promise<Said> => say("ssh", ...words, "--ssh-config", box.configFile);
    expect((await verb("mkdir", at("d"))).code).toBe(0);
    expect((await verb("chmod", "700", at("d"))).code).toBe(0);
    expect((await verb("mv", at("d"), at("e"))).code).toBe(0);
    expect((await verb("sync", "--once", home, at("e"))).code).toBe(0);
    expect((await verb("rm", "-r", "--yes", at("e"))).code).toBe(0);
    await rules("rules: [{ effect: deny, verbs: [ssh rm] }]");
    await refused(() => verb("rm", "--yes", at("policy.yaml")), "ssh rm is forbidden");
  });

  it("with a mistake lets nothing through, and names its place", async () => {
    await rules("rules:\n  - effect: deny\n    host: box\n");
    const before = connections();
    const said = await on("ssh execute", "true");
    expect(said.code).toBe(64);
    expect(said.stderr).toContain(`${home}/policy.yaml:3:5 rules[0].host: unknown key, did you mean "hosts"?`);
    expect(connections()).toBe(before);
    // What takes no targets goes on, so that it can be mended.
    expect((await say("config", "list")).code).toBe(0);
  });

  it("that cannot be read lets nothing through either", async () => {
    await mkdir(join(home, "policy.yaml"));
    expect(await on("ssh execute", "true")).toMatchObject({ code: 64, stdout: "" });
    await rm(join(home, "policy.yaml"), { recursive: true });
    await symlink("/nowhere/policy.yaml", join(home, "policy.yaml"));
    expect(await on("ssh execute", "true")).toMatchObject({ code: 64, stdout: "" });
  });

  it("may require the audit log; without that a log that cannot be written is only told", async () => {
    await writeFile(join(home, "audit"), "in the way");
    const warned = await on("ssh execute", "echo done");
    expect(warned).toMatchObject({ code: 0, stdout: "done\n" });
    expect(warned.stderr).toContain("the audit log cannot be written");
    await rules("audit: required\n");
    const before = connections();
    const failed = await on("ssh execute", "echo done");
    expect(failed).toMatchObject({ code: 1, stdout: "" });
    expect(failed.stderr).toContain("the policy requires it");
    expect(connections()).toBe(before);
  });

  it("that requires the audit log overrules the setting that has none", async () => {
    expect((await say("config", "set", "audit.enabled", "false")).code).toBe(0);
    await on("ssh execute", "true");
    expect(await kinds()).toEqual([]);
    await rules("audit: required\n");
    await on("ssh execute", "true");
    expect(await kinds()).toEqual(["start", "command", "end"]);
  });
});

needs("posix")("writers of several processes", () => {
  it("make one chain, also when one of them is killed in between", async () => {
    const root = resolve(import.meta.dirname, "../..");
    const program = `
      import { openAuditLog } from ${JSON.stringify(join(root, "src/core/security/audit/log.ts"))};
      import { auditFiles } from ${JSON.stringify(join(root, "src/core/security/audit/files.ts"))};
      const log = openAuditLog(auditFiles(process.argv[2]), { run: String(process.pid), user: "u", verb: "v" }, 20_000);
      console.log("up");
      for (let i = 0; i < 150; i++)
        await log.append({ kind: "command", host: "h", login: "l", argv: ["echo", String(i)], exit: 0, ms: 1 });
      await log.close();
    `;
    await writeFile(join(home, "writer.ts"), program);
    const folder = join(home, "audit");
    const writers = Array.from({ length: 4 }, () => spawn(process.execPath, [join(home, "writer.ts"), folder]));
    const ended = writers.map(
      (writer) => new Promise<number | null>((done) => void writer.once("close", (code) => done(code))),
    );
    const [victim] = writers;
    await new Promise((up) => victim?.stdout.once("data", up));
    victim?.kill("SIGKILL");
    let isWritten = false;
    const codes = Promise.all(ended).finally(() => {
      isWritten = true;
    });
    // Whoever looks meanwhile is not told of an alteration.
    while (!isWritten) expect((await verifyAudit(auditFiles(folder))).problems).toEqual([]);
    expect((await codes).slice(1)).toEqual([0, 0, 0]);
    const { lines, problems } = await verifyAudit(auditFiles(folder));
    expect(problems).toEqual([]);
    expect(lines).toBeGreaterThanOrEqual(450);
  });
});
