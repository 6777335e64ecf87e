/** ssh health as users run it: once, all the time, for a scraper; and what is remembered in between. */
import { stat } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from "vitest";
import { needs } from "../servers/engines.ts";
import { type Sshd, startSshd } from "../servers/sshd.ts";
import { type Home, ami, exitOf, inventHome, program, start } from "./run.ts";
import { openTerminal } from "./terminal.ts";

let home: Home;
let box: Sshd;
beforeEach(async () => {
  home = await inventHome();
});
afterEach(() => home.remove());

const on = (...words: readonly string[]): readonly string[] => [
  "ssh",
  "health",
  ...words,
  "--ssh-config",
  box.configFile,
];
/** Nobody listens there. */
const nowhere = "127.0.0.1:1";

needs("sshd")("ssh health", () => {
  beforeAll(async () => {
    box = await startSshd();
  });
  afterAll(() => box?.stop());

  it("tells of one host, remembers it for this user only, and forgets it when told to", async () => {
    const once = await ami(home, on("box"));
    // Whether this machine is busy is not for us to say.
    expect([0, 3]).toContain(once.code);
    expect(once.stderr).toBe("");
    expect(once.stdout).toMatch(/^box: (ok|warn|bad)\n/);
    expect(once.stdout).toMatch(
      /^ {2}connect +[\d.]+ m?s \(tcp [\d.]+ m?s, handshake [\d.]+ m?s, login [\d.]+ m?s\)$/m,
    );
    expect(once.stdout).toMatch(/^ {2}round trip +p50 [\d.]+ m?s, p95 [\d.]+ m?s, p99 [\d.]+ m?s of \d+$/m);
    expect(once.stdout).toMatch(/^ {2}throughput +up [\d.]+ [KMG]iB\/s, down [\d.]+ [KMG]iB\/s$/m);
    expect(once.stdout).toMatch(/^ {2}errors +0 of 1 in 24 hours$/m);
    const file = join(home.dir, ".local/state/ami-node/health.db");
    expect((await stat(file)).mode & 0o777).toBe(0o600);

    const remembered = await ami(home, on(`${box.user}@box`, "--history", "--json"));
    expect(JSON.parse(remembered.stdout)).toMatchObject([
      { host: `${box.user}@box`, rows: [{ tries: 1, failures: 0 }] },
    ]);
    const forget = (...words: readonly string[]) => ami(home, ["ssh", "health", "forget", "box", ...words]);
    expect(await forget()).toMatchObject({ code: 1, stdout: "" });
    expect(await forget("--yes")).toMatchObject({ code: 0, stdout: "box: forgotten\n" });
    expect(await ami(home, on("box", "--history"))).toMatchObject({ code: 0, stdout: "box: nothing is remembered\n" });
  });

  it("tells of several, those that cannot be reached among them; exit 3", async () => {
    const several = await ami(home, on("--target", `box,${nowhere}`, "--json"));
    expect(several).toMatchObject({ code: 3, stderr: "" });
    expect(JSON.parse(several.stdout)).toMatchObject([
      { host: "box", rtt: { count: expect.any(Number) }, disks: expect.any(Array), errors: { ratio: 0 } },
      { host: nowhere, status: "bad", error: { code: "ssh.connect" }, errors: { tries: 1, ratio: 1 } },
    ]);
    const metrics = await ami(home, on("--target", `box,${nowhere}`, "--prometheus"));
    expect(metrics).toMatchObject({ code: 3, stderr: "" });
    expect(metrics.stdout).toMatch(/^# HELP ami_ssh_up .*\n# TYPE ami_ssh_up gauge\nami_ssh_up\{host="box"\} 1\n/);
    expect(metrics.stdout).toContain(`ami_ssh_up{host="${nowhere}"} 0\n`);
    expect(metrics.stdout).toMatch(/^ami_ssh_round_trip_seconds\{host="box",percentile="99"\} [\d.e-]+$/m);
  });

  it("watches until Ctrl-C, one event a line, through a cut connection; exit 0", async () => {
    const child = start(home, on("box", "--watch=1s", "--json"));
    let said = "";
    child.stdout?.on("data", (bytes: Buffer) => (said += bytes.toString()));
    const samples = (text: string): number => text.match(/"kind":"health"/g)?.length ?? 0;
    await until(() => samples(said) >= 1);
    for (const pid of await box.connections()) cut(pid);
    await until(() => samples(said.split('"outcome":"recovered"')[1] ?? "") >= 1);
    child.kill("SIGINT");
    expect(await exitOf(child)).toBe(0);
    const events = said
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line));
    expect(events.find(({ kind }) => kind === "recovery")).toMatchObject({
      host: "box",
      attempt: 1,
      outcome: "waiting",
      wait: expect.any(Number),
      error: { code: "ssh.lost" },
    });
    expect(events.at(-1)).toMatchObject({
      kind: "result",
      exit: 0,
      output: [{ host: "box", errors: { failures: 1 } }],
    });
  });

  it("says what does not go together, and what is no time", async () => {
    expect(await ami(home, on("box", "--watch", "--prometheus"))).toMatchObject({ code: 64, stdout: "" });
    expect(await ami(home, on("box", "--count", "2"))).toMatchObject({ code: 64, stdout: "" });
    expect(await ami(home, on("box", "--become"))).toMatchObject({ code: 64, stdout: "" });
    const odd = await ami(home, on("box", "--watch=soon"));
    expect(odd).toMatchObject({ code: 64, stdout: "" });
    expect(odd.stderr).toContain("--watch: must be a time");
    expect(await ami(home, ["ssh", "health", "local"])).toMatchObject({ code: 64, stdout: "" });
  });

  it("goes on when nothing can be remembered", async () => {
    const env = { XDG_STATE_HOME: "/proc/nowhere" };
    const ran = await ami(home, on("box", "--json"), { env });
    expect(JSON.parse(ran.stdout)).toMatchObject([{ host: "box", errors: { tries: 1 } }]);
    expect(ran.stderr).toMatch(/^warning: nothing is remembered: .*health\.db.*\n$/);
  });
});

needs("sshd", "tmux")("ssh health on a terminal", () => {
  beforeAll(async () => {
    box = await startSshd();
  });
  afterAll(() => box?.stop());

  it("keeps a table up to date, and ends by itself when it has looked often enough", async () => {
    const words = on("--target", `box,${nowhere}`, "--watch=1s", "--count=2", "--no-throughput");
    const terminal = await openTerminal(home, [...program, ...words]);
    try {
      const screen = await terminal.sees(/exit: \d+/, 60);
      expect(screen).toMatch(/exit: 3/);
      expect(screen.match(/^host +status/gm)).toHaveLength(1);
      expect(screen.match(/^box +(ok|warn|bad) +[\d.]+ m?s/gm)).toHaveLength(1);
      expect(screen.match(/^127\.0\.0\.1:1 +bad/gm)).toHaveLength(1);
    } finally {
      await terminal.close();
    }
  });
});

/** Those of looks before may just be ending by themselves. */
function cut(pid: number): void {
  try {
    process.kill(pid, "SIGKILL");
  } catch (error) {
    if (!(error instanceof Error && "code" in error && error.code === "ESRCH")) throw error;
  }
}

async function until(isSo: () => boolean): Promise<void> {
  const deadline = Date.now() + 60_000;
  while (!isSo()) {
    if (Date.now() > deadline) throw new Error("it did not come about");
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
