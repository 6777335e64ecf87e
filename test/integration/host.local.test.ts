/** This machine sits the Host exam. */
import { execFile } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterEach, expect, it, vi } from "vitest";
import { hostExam } from "../contract/host.ts";
import { has, needs } from "../servers/engines.ts";
import { localHost } from "../../src/core/hosts/local.ts";

const isRoot = process.getuid?.() === 0;

hostExam("local", async () => ({ host: localHost(), ...(isRoot ? { other: { user: "nobody" } } : {}) }), {
  ...(has("script") ? {} : { pty: "there is no script here, which gives local programs a terminal" }),
  ...(isRoot ? {} : { chown: "only root may give files away" }),
  limits: "takes more programs at once than a test should start",
});

it("programs do not outlive us when we leave without closing", async () => {
  const file = join(import.meta.dirname, "../../src/core/hosts/local.ts");
  const program = `
    const { localHost } = await import(${JSON.stringify(file)});
    const running = await localHost().spawn(["sh", "-c", "sleep 1000 & echo $$ $!; wait"]);
    running.stdout.once("data", (pids) => process.stdout.write(pids, () => process.exit(0)));`;
  const { stdout } = await promisify(execFile)(process.execPath, ["--input-type=module", "-e", program]);
  const pids = stdout.trim().split(" ");
  expect(pids).toHaveLength(2);
  // Where nobody collects the dead they stay as zombies.
  const states = async (): Promise<string> =>
    (await localHost().exec(["ps", "-o", "stat=", "-p", pids.join()])).stdout.toString().trim();
  await vi.waitFor(async () => expect(await states()).toMatch(/^(Z\S*\s*)*$/), 10_000);
});

needs("bash")("bash that no shell has started", () => {
  afterEach(() => vi.unstubAllEnvs());
  it.each([undefined, "0"])("reads no rc file (SHLVL %s)", async (level) => {
    const home = await mkdtemp(join(tmpdir(), "ami-home-"));
    try {
      await writeFile(join(home, ".bashrc"), "echo noise\n");
      vi.stubEnv("SHLVL", level);
      const { stdout } = await localHost().exec(["bash", "-c", "echo hi"], { env: { HOME: home } });
      expect(stdout.toString()).toBe("hi\n");
    } finally {
      await rm(home, { recursive: true });
    }
  });
});
