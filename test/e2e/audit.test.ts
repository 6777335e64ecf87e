/** The audit log, the policy and recordings as a user meets them: what is done is told, and what is forbidden is not done. */
import { spawn } from "node:child_process";
import { mkdir, readFile, readdir, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from "vitest";
import { needs } from "../servers/engines.ts";
import { type Sshd, startSshd } from "../servers/sshd.ts";
import { type Home, type Ran, ami, exitOf, inventHome, program, start } from "./run.ts";
import { openTerminal } from "./terminal.ts";

needs("sshd", "tmux")("under the eyes of audit log and policy", () => {
  let home: Home;
  let box: Sshd;
  beforeAll(async () => {
    box = await startSshd();
  });
  afterAll(() => box?.stop());
  beforeEach(async () => {
    home = await inventHome();
  });
  afterEach(() => home.remove());

  const on = (verb: string, ...words: readonly string[]): Promise<Ran> =>
    ami(home, ["ssh", verb, "--ssh-config", box.configFile, "--target", "box", ...words]);
  const log = (): string => join(home.dir, ".local/state/ami-node/audit/audit.jsonl");
  const policy = async (text: string): Promise<string> => {
    const file = join(home.dir, ".config/ami-node/policy.yaml");
    await mkdir(dirname(file), { recursive: true });
    await writeFile(file, text);
    return file;
  };
  const logins = (): number => box.log().split("Accepted publickey").length;

  it("what was done is listed, verified and exported, and nothing secret is in it", async () => {
    await on("execute", "--env", "TOKEN=hunter2", "echo $TOKEN; exit 3");
    await on("execute", "--", "printf", "%s", "ü");
    const { lines } = JSON.parse((await ami(home, ["audit", "list", "--json"])).stdout) as {
      lines: readonly Record<string, unknown>[];
    };
    expect(lines.map(({ kind, exit }) => [kind, exit])).toEqual([
      ["start", undefined],
      ["command", 3],
      ["end", 3],
      ["start", undefined],
      ["command", 0],
      ["end", 0],
    ]);
    expect(lines[1]).toMatchObject({ host: "box", argv: ["sh", "-c", "echo $TOKEN; exit 3"], verb: "ssh execute" });
    expect(await readFile(log(), "utf8")).not.toContain("hunter2");
    const csv = (await ami(home, ["audit", "export", "--format", "csv", "--host", "box"])).stdout;
    expect(csv.split("\r\n")[5]).toMatch(/^5,.*,"?printf %s 'ü'"?,0,\d+,[0-9a-f]{64}$/);
    expect((await ami(home, ["audit", "export"])).stdout).toBe(await readFile(log(), "utf8"));
    const verified = await ami(home, ["audit", "verify"]);
    expect(verified).toMatchObject({ code: 0, stdout: expect.stringMatching(/^intact: 6 lines/) });
    const head = /head: (\S+)/.exec(verified.stdout)?.[1] ?? "";

    await writeFile(log(), (await readFile(log(), "utf8")).replace('"exit":3', '"exit":0'));
    const altered = await ami(home, ["audit", "verify", "--head", head]);
    expect(altered.code).toBe(1);
    expect(altered.stdout).toContain("audit.jsonl:2: line 2 was altered");
  });

  it("what was begun is told even when its client is killed", async () => {
    const client = start(home, ["ssh", "execute", "--ssh-config", box.configFile, "--target", "box", "echo up; cat"]);
    await new Promise((up) => client.stdout?.once("data", up));
    client.kill("SIGKILL");
    await exitOf(client);
    expect((await ami(home, ["audit", "list"])).stdout).toMatch(/^1 .* ssh execute +box +start$/m);
    expect((await ami(home, ["audit", "verify"])).code).toBe(0);
  });

  it("what a policy forbids is not done, and no host is contacted for it", async () => {
    const file = await policy(`
rules:
  - name: no deleting
    hosts: box
    effect: deny
    commands: ["rm -r *", shred]
    reason: ask first
`);
    const before = logins();
    const denied = await on("execute", "--", "/bin/rm", "-r", "/nowhere/x");
    expect(denied).toMatchObject({ code: 77, stdout: "" });
    expect(denied.stderr).toBe(
      `error: box: /bin/rm -r /nowhere/x is forbidden: ask first\n  hint: the rule is ${file}:3 (no deleting)\n`,
    );
    expect((await on("execute", "true; rm -r /nowhere")).code).toBe(77);
    expect(logins()).toBe(before);
    expect(await on("execute", "--", "printf", "allowed")).toMatchObject({ code: 0, stdout: "allowed" });
  });

  it("a terminal is recorded where the policy asks for it, and replays", async () => {
    await policy("rules: [{ effect: record, verbs: ssh connect }]");
    const words = ["ssh", "connect", "--ssh-config", box.configFile, "--target", "box", "--run", "echo seen; exit 5"];
    const live = await openTerminal(home, [...program, ...words]);
    try {
      await live.sees(/^seen$/m);
      await live.sees(/exit: 5/);
    } finally {
      await live.close();
    }
    const folder = join(home.dir, ".local/state/ami-node/recordings");
    const [name = ""] = await readdir(folder);
    expect(name).toMatch(/-box-.*\.cast$/);
    const shown = await openTerminal(home, [...program, "ssh", "replay", join(folder, name), "--speed", "10"]);
    try {
      expect(await shown.sees(/exit: 0/)).toMatch(/^seen$/m);
    } finally {
      await shown.close();
    }
    expect((await ami(home, ["ssh", "replay", join(folder, name)])).stdout).toBe("seen\r\n");
    expect((await ami(home, ["audit", "list"])).stdout).toContain(`recorded as ${name}`);
  });
});

needs("unshare", "sshd")("the policy of the machine", () => {
  let home: Home;
  let box: Sshd;
  beforeAll(async () => {
    box = await startSshd();
  });
  afterAll(() => box?.stop());
  beforeEach(async () => {
    home = await inventHome();
  });
  afterEach(() => home.remove());

  it("holds whatever the user's own says", async () => {
    await writeFile(join(home.dir, "rules"), "rules: [{ effect: deny, commands: [id] }]\n");
    await writeFile(join(home.dir, "policy.yaml"), "rules: [{ effect: allow }]\n");
    // An /etc of its own, for this one run.
    const line =
      'cp -a /etc "$1" && mkdir -p "$1/ami-node" && cp rules "$1/ami-node/policy.yaml" && mount --bind "$1" /etc && shift && exec "$@"';
    const inside = ["--mount", "sh", "-c", line, "sh", join(home.dir, "etc"), ...program];
    const words = ["ssh", "execute", "--ssh-config", box.configFile, "--target", "box", "--", "id"];
    const child = spawn("unshare", [...inside, ...words], {
      cwd: home.dir,
      env: { ...home.env, AMI_NODE_CONFIG_DIR: home.dir },
    });
    expect(await exitOf(child)).toBe(77);
    expect(await ami(home, words, { env: { AMI_NODE_CONFIG_DIR: home.dir } })).toMatchObject({ code: 0 });
  });
});
