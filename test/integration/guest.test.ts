/** The systemd guest itself: what the service, package and user tests take for granted. */
import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { promisify } from "node:util";
import { afterAll, beforeAll, expect, it, vi } from "vitest";
import { needs } from "../servers/engines.ts";
import { type Guest, startGuest } from "../servers/guest.ts";

const run = promisify(execFile);

needs("systemd-guest", "ssh")("the systemd guest", () => {
  let guest: Guest;
  const ssh = (user: string, line: string) =>
    run("ssh", ["-F", guest.configFile, "-o", "BatchMode=yes", "-l", user, "guest", line]);

  beforeAll(async () => {
    guest = await startGuest();
  }, 300_000);
  afterAll(() => guest?.stop());

  it("runs systemd as init and can start, stop and enable a unit", async () => {
    const unit = "[Service]\nExecStart=/bin/sleep infinity\n[Install]\nWantedBy=multi-user.target\n";
    await ssh(
      "root",
      `printf '%s' '${unit}' > /etc/systemd/system/nap.service && systemctl daemon-reload && systemctl enable --now nap`,
    );
    expect((await guest.exec(["systemctl", "is-active", "nap"])).stdout).toBe("active\n");
    await ssh("root", "systemctl stop nap");
    expect(await guest.exec(["systemctl", "is-active", "nap"])).toMatchObject({ code: 3, stdout: "inactive\n" });
  });

  it("logs in root and admin by key, and sudo makes admin root", async () => {
    expect((await ssh("root", "id -un")).stdout).toBe("root\n");
    expect((await ssh("admin", "sudo -n id -un")).stdout).toBe("root\n");
    expect((await ssh("admin", "doas -n id -un")).stdout).toBe("root\n");
    await expect(ssh("ops", "sudo -n id -un")).rejects.toThrow(/password is required/);
  });

  it("installs a package from the mirrors this machine uses", async () => {
    await ssh("root", "DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends hello >&2");
    expect((await guest.exec(["hello"])).stdout).toBe("Hello, world!\n");
  }, 120_000);

  it("adds a user", async () => {
    await ssh("root", "useradd -m visitor");
    expect((await guest.exec(["id", "-un", "visitor"])).stdout).toBe("visitor\n");
  });

  it("shares nothing with a second guest, and leaves nothing behind", async () => {
    const second = await startGuest();
    expect(second.host).not.toBe(guest.host);
    expect((await second.exec(["id", "visitor"])).code).toBe(1);
    await second.stop();
    await second.stop();
    expect(existsSync(second.configFile)).toBe(false);
    await vi.waitFor(async () => expect(await leftovers(second.host)).toEqual([]), patience);
  }, 120_000);

  it("is gone soon after the process that started it was killed", async () => {
    const module = JSON.stringify(new URL("../servers/guest.ts", import.meta.url).href);
    const script = `const { startGuest } = await import(${module});
      process.stdout.write((await startGuest()).host + "\\n");
      setInterval(() => undefined, 1000);`;
    const child = spawn(process.execPath, ["--input-type=module", "-e", script], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    const [line] = (await once(child.stdout, "data")) as [Buffer];
    child.kill("SIGKILL");
    await vi.waitFor(async () => expect(await leftovers(line.toString().trim())).toEqual([]), patience);
  }, 120_000);
});

/** Another test may get the number of a guest that is gone, and keep it for a while. */
const patience = { timeout: 100_000, interval: 200 };

/** Control groups and the network link of a guest, seen while nobody else can have its number; rejects while one has. */
async function leftovers(host: string): Promise<readonly string[]> {
  const slot = host.split(".")[2] ?? "";
  const look = `ls -d /sys/fs/cgroup/amiguest${slot} /sys/fs/cgroup/*/amiguest${slot}; ip -o link show ve-amiguest${slot}; true`;
  const { stdout } = await run("flock", [
    "-n",
    `/run/ami-node-guest/${slot}.lock`,
    "sh",
    "-c",
    `{ ${look}; } 2>/dev/null`,
  ]);
  return stdout.split("\n").filter((line) => line !== "");
}
