/** The systemd guest itself: what the service, package and user tests take for granted. */
import { execFile } from "node:child_process";
import { existsSync, readdirSync } from "node:fs";
import { promisify } from "node:util";
import { afterAll, beforeAll, expect, it } from "vitest";
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
    const label = `amiguest${second.host.split(".")[2]}`;
    await second.stop();
    await second.stop();
    expect(existsSync(second.configFile)).toBe(false);
    const groups = readdirSync("/sys/fs/cgroup").filter((name) => existsSync(`/sys/fs/cgroup/${name}/${label}`));
    expect(groups).toEqual([]);
    expect((await run("ip", ["-o", "link"])).stdout).not.toContain(label);
  }, 120_000);
});
