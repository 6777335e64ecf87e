/** Signals and readers that leave: how a run is ended from outside. */
import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { quoteArgv } from "../../src/core/argv.ts";
import { type Home, ami, exitOf, inventHome, program, start } from "./run.ts";

let home: Home;
beforeEach(async () => {
  home = await inventHome();
});
afterEach(() => home.remove());

/** Resolves with what a program wrote into a file there, once it has. */
async function written(name: string): Promise<string> {
  for (let i = 0; i < 400; i++) {
    const text = await readFile(join(home.dir, name), "utf8").catch(() => "");
    if (text.endsWith("\n")) return text.trim();
    await sleep(50);
  }
  throw new Error(`${name} was not written`);
}

async function ends(pid: number): Promise<void> {
  for (let i = 0; i < 200; i++) {
    try {
      process.kill(pid, 0);
    } catch {
      return;
    }
    await sleep(50);
  }
  throw new Error(`process ${pid} is still there`);
}

function killed(pid: number): void {
  try {
    process.kill(pid, "SIGKILL");
  } catch {
    // It is gone already.
  }
}

describe("a run", () => {
  it.each(["SIGINT", "SIGTERM", "SIGHUP"] as const)(
    "that gets %s ends its programs, says so once, and exits 130",
    async (signal) => {
      const child = start(home, [
        "ssh",
        "execute",
        "--target",
        "local",
        `echo $$ > ${join(home.dir, "pid")}; exec sleep 300`,
      ]);
      const stderr: Buffer[] = [];
      child.stderr?.on("data", (chunk: Buffer) => stderr.push(chunk));
      const pid = Number(await written("pid"));
      child.kill(signal);
      expect(await exitOf(child)).toBe(130);
      expect(
        Buffer.concat(stderr)
          .toString()
          .match(/interrupted/g),
      ).toHaveLength(1);
      await ends(pid);
    },
  );

  it("that gets a second Ctrl-C ends at once, whatever still runs", async () => {
    const stubborn = `echo $$ > ${join(home.dir, "pid")}; trap "echo > ${join(home.dir, "told")}" TERM INT HUP; while :; do sleep 0.1; done`;
    const child = start(home, ["ssh", "execute", "--target", "local", stubborn]);
    const stderr: Buffer[] = [];
    child.stderr?.on("data", (chunk: Buffer) => stderr.push(chunk));
    const pid = Number(await written("pid"));
    try {
      child.kill("SIGINT");
      // Not before the first has been answered: the program there says that the signal came.
      await written("told");
      child.kill("SIGINT");
      expect(await exitOf(child)).toBe(130);
      // A run that waits for its programs has something to say at its end.
      expect(Buffer.concat(stderr).toString()).not.toContain("interrupted");
    } finally {
      killed(pid);
    }
  });

  it("whose reader leaves ends quietly, and ends its program", async () => {
    const line = `${quoteArgv([...program, "ssh", "execute", "--target", "local", `echo $$ > ${join(home.dir, "pid")}; exec yes`])} | head -2`;
    const { stdout, stderr } = await promisify(execFile)("sh", ["-c", line], { env: { ...home.env }, timeout: 20_000 });
    expect({ stdout, stderr }).toEqual({ stdout: "y\ny\n", stderr: "" });
    await ends(Number(await written("pid")));
  });

  it
    .skipIf(!existsSync("/dev/full"))
    .each([
      ["--version"],
      ["--help"],
      ["config list --json"],
      ["nothing-of-ours", "", "2> /dev/full"],
      ["ssh execute --target local --json seq 100000"],
      ["ssh execute --target local", `echo $$ > PID; exec yes`],
    ])("that prints to a full disk says so and fails: %s", async (words, line = "", to = "> /dev/full") => {
    const more = line === "" ? [] : [line.replace("PID", join(home.dir, "pid"))];
    const typed = `${quoteArgv([...program, ...words.split(" "), ...more])} ${to}`;
    const said = to.startsWith("2") ? "" : "error: stdout cannot be written: no space left on device\n";
    const ran = promisify(execFile)("sh", ["-c", typed], { env: { ...home.env }, timeout: 20_000 });
    await expect(ran).rejects.toMatchObject({ code: 1, stdout: "", stderr: said });
    if (line !== "") await ends(Number(await written("pid")));
  });

  it("writes everything before it ends, however slow the reader of its pipe", async () => {
    const words = quoteArgv([...program, "ssh", "execute", "--target", "local", "seq 300000"]);
    const line = `${words} | { sleep 1; cksum; }; seq 300000 | cksum`;
    const { stdout } = await promisify(execFile)("sh", ["-c", line], { env: { ...home.env } });
    const [ours, real] = stdout.trim().split("\n");
    expect(ours).toBe(real);
  });

  it("leaves a line in the log, and none of its words", async () => {
    await writeFile(join(home.dir, "x"), "");
    await ami(home, ["ssh", "execute", "--target", "local", "mysql -ps3cret 2>&-; exit 3"]);
    const { stdout } = await ami(home, ["config", "path", "--log"]);
    const log = await readFile(stdout.trim(), "utf8");
    const last = log
      .trim()
      .split("\n")
      .map((text) => JSON.parse(text))
      .find(({ kind }) => kind === "command");
    expect(last).toMatchObject({ command: "ssh execute", targets: ["local"], exit: 3 });
    expect(log).toContain("run.start");
    expect(log).not.toMatch(/s3cret|exit 3/);
  });
});
