/**
 * Kill -9 the client, the server's side of the connection, or the target's shell at random moments of an apply: every
 * file is old or new, the next run converges, and no lock outlives its lease.
 */
import { spawn, type ChildProcess } from "node:child_process";
import {
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { needs } from "../servers/engines.ts";
import { startSshd, type Sshd } from "../servers/sshd.ts";

const rounds = Number(process.env["AMI_TEST_ROUNDS"] ?? 50);
const files = 40;
const root = resolve(import.meta.dirname, "../..");
const cli =
  process.env["AMI_NODE_BIN"] === undefined
    ? [process.execPath, join(root, "src/cli.ts")]
    : [process.env["AMI_NODE_BIN"]];
const victims = ["client", "connection", "shell", "run"] as const;

needs("sshd", "root")("an apply that is killed", () => {
  let sshd: Sshd;
  let dir: string;
  beforeAll(async () => {
    dir = mkdtempSync(join(tmpdir(), "ami-killed-"));
    mkdirSync(join(dir, "target"));
    sshd = await startSshd({ config: ["MaxStartups 1000"] });
    const resources = Array.from(
      { length: files },
      (_, i) =>
        `  - file: ${dir}/target/f${i}\n    mode: "0640"\n    content: "{{ version }} {% for n in (1..${10 + i * 20}) %}{{ version }}-{{ n }}\\n{% endfor %}end {{ version }}\\n"\n    notify: count\n${i % 8 === 0 ? `  - command: sleep 0.0${1 + (i % 5)}; echo {{ version }} >${dir}/target/c${i}.new && mv ${dir}/target/c${i}.new ${dir}/target/c${i}\n    unless: grep -qx {{ version }} ${dir}/target/c${i}\n` : ""}`,
    );
    writeFileSync(
      join(dir, "bp.yaml"),
      `name: killed\nvars: { version: v0 }\nresources:\n  - directory: ${dir}/target\n${resources.join("")}handlers:\n  count: { command: "echo {{ version }} >>${dir}/handled" }\n`,
    );
  });
  afterAll(async () => {
    await sshd.stop();
    rmSync(dir, { recursive: true, force: true });
  });

  const start = (version: string, ...more: string[]): ChildProcess =>
    spawn(
      cli[0] ?? "",
      [
        ...cli.slice(1),
        "provision",
        "--blueprint",
        join(dir, "bp.yaml"),
        "--var",
        `version=${version}`,
        "--target",
        sshd.name,
        "--ssh-config",
        sshd.configFile,
        ...more,
      ],
      {
        stdio: ["ignore", "pipe", "pipe"],
        env: { ...process.env, AMI_NODE_CONFIG_DIR: join(dir, "config") },
      },
    );

  const finish = async (child: ChildProcess): Promise<{ code: number | null; text: string }> => {
    let text = "";
    child.stdout?.on("data", (chunk: Buffer) => (text += chunk.toString()));
    child.stderr?.on("data", (chunk: Buffer) => (text += chunk.toString()));
    const code = await new Promise<number | null>((done) => child.on("close", (c) => done(c)));
    return { code, text };
  };

  const content = (i: number, v: string): string =>
    `${v} ${Array.from({ length: 10 + i * 20 }, (_, n) => `${v}-${n + 1}\n`).join("")}end ${v}\n`;

  /** The versions found; throws when a file is neither. */
  const look = (old: string, fresh: string): { old: number; fresh: number } => {
    const found = { old: 0, fresh: 0 };
    for (let i = 0; i < files; i++) {
      const text = readFileSync(join(dir, "target", `f${i}`), "utf8");
      if (text === content(i, fresh)) found.fresh++;
      else if (text === content(i, old)) found.old++;
      else
        throw new Error(
          `f${i} is neither old nor new: ${text.length} bytes, begins ${JSON.stringify(text.slice(0, 60))}`,
        );
      expect(lstatSync(join(dir, "target", `f${i}`)).mode & 0o777).toBe(0o640);
    }
    return found;
  };

  const lock = (): string | undefined => {
    const state = join(sshd.home, ".ami-node");
    for (const host of readdirSync(state)) {
      try {
        return readlinkSync(join(state, host, "lock"));
      } catch {
        continue;
      }
    }
    return undefined;
  };

  const shells = (): number[] => {
    const pids: number[] = [];
    for (const pid of readdirSync("/proc").filter((name) => /^\d+$/.test(name))) {
      try {
        const environ = readFileSync(`/proc/${pid}/environ`, "utf8");
        const cmd = readFileSync(`/proc/${pid}/cmdline`, "utf8").split("\0");
        if (
          environ.includes(`HOME=${homeSeen()}`) &&
          environ.includes("SSH_CONNECTION=") &&
          environ.includes(` ${sshd.port}\0`) &&
          cmd[0] === "sh"
        )
          pids.push(Number(pid));
      } catch {
        // gone meanwhile
      }
    }
    return pids;
  };
  /** The process of the newest run. */
  const runPid = (): number | undefined => {
    const state = join(sshd.home, ".ami-node");
    for (const host of readdirSync(state)) {
      const newest =
        readdirSync(join(state, host, "runs"))
          .sort()
          .at(-1) ?? "";
      try {
        return Number(readFileSync(join(state, host, "runs", newest, "pid"), "utf8").split(" ")[0]);
      } catch {
        return undefined;
      }
    }
    return undefined;
  };
  // Root's usual home is what sessions see, bind-mounted.
  const homeSeen = (): string =>
    readFileSync("/etc/passwd", "utf8")
      .split("\n")
      .find((l) => l.startsWith("root:"))
      ?.split(":")[5] ?? "/root";

  it(`${rounds} times`, { timeout: 40 * 60_000 }, async () => {
    const first = await finish(start("v0"));
    expect(first.code, first.text).toBe(0);
    const begun = Date.now();
    expect((await finish(start("v1"))).code).toBe(0);
    const whole = Date.now() - begun;
    let cutInTheMiddle = 0;
    let interrupted = 0;
    const killed = new Map<string, number>(victims.map((victim) => [victim, 0]));
    for (let round = 2; round < rounds + 2; round++) {
      const [old, fresh] = [`v${round - 1}`, `v${round}`];
      const victim = victims[round % victims.length] ?? "client";
      const child = start(fresh);
      const over = finish(child);
      // Half of the cuts are aimed at the middle, right behind some file; the others come at any moment.
      const aim = round % 8 < 4 ? Math.floor(Math.random() * files) : undefined;
      if (aim === undefined) await new Promise((r) => setTimeout(r, whole * (0.2 + 0.8 * Math.random())));
      else
        while (child.exitCode === null && !readFileSync(join(dir, "target", `f${aim}`), "utf8").startsWith(`${fresh} `))
          await new Promise((r) => setTimeout(r, 1));
      let hit = victim === "client" && child.exitCode === null && child.kill("SIGKILL");
      if (victim === "connection") for (const pid of await sshd.connections()) hit = tryKill(pid) || hit;
      // The one spoken to was started first; the run itself has written down who it is.
      const pid = victim === "shell" ? shells()[0] : victim === "run" ? runPid() : undefined;
      if (pid !== undefined) hit = tryKill(pid);
      if (hit) killed.set(victim, (killed.get(victim) ?? 0) + 1);
      const result = await over;
      const found = look(old, fresh);
      if (found.old > 0 && found.fresh > 0) cutInTheMiddle++;
      if (result.code !== 0) interrupted++;
      // A run may still go on without its client; its lock must be gone within the lease.
      const deadline = Date.now() + 75_000;
      let again = await finish(start(fresh));
      while (again.code === 3 && again.text.includes("holds the lock") && Date.now() < deadline) {
        await new Promise((r) => setTimeout(r, 500));
        again = await finish(start(fresh));
      }
      expect(again.code, `round ${round} (${victim}): ${again.text}`).toBe(0);
      expect(look(old, fresh)).toEqual({ old: 0, fresh: files });
      const third = await finish(start(fresh, "--check"));
      expect(third.code, `round ${round} (${victim}), third run: ${third.text}`).toBe(0);
      expect(lock()).toBeUndefined();
      expect(
        readFileSync(join(dir, "handled"), "utf8").trim().split("\n"),
        `round ${round}: the handler of ${fresh} ran`,
      ).toContain(fresh);
      expect(readdirSync(join(dir, "target")).filter((name) => name.endsWith(".ami-new"))).toEqual([]);
    }
    console.log(
      `${rounds} rounds: ${interrupted} ended the client, ${cutInTheMiddle} left some files old and some new`,
    );
    expect(interrupted).toBeGreaterThan(0);
    expect(cutInTheMiddle).toBeGreaterThan(0);
    for (const [victim, times] of killed) expect(times, `rounds in which the ${victim} was killed`).toBeGreaterThan(0);
  });
});

/** Was it still there? */
function tryKill(pid: number): boolean {
  try {
    return process.kill(pid, "SIGKILL");
  } catch {
    // It was quicker.
    return false;
  }
}
