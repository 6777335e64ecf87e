/** system info on real machines: over ssh, as another user, in several shells, with busybox alone and with nothing. */
import { execFile, execFileSync, spawnSync } from "node:child_process";
import { copyFile, mkdir, mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { promisify } from "node:util";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { openHosts } from "../../src/core/hosts/open.ts";
import { parseTarget } from "../../src/core/targets.ts";
import { command } from "../../src/commands/system/info.ts";
import { type SystemInfo, infoProgram, readInfo, systemInfo } from "../../src/platform/info.ts";
import { type Engine, needs, where } from "../servers/engines.ts";
import { startSshd } from "../servers/sshd.ts";
import { testContext } from "../unit/commands/context.ts";

/** What does not change between two answers of one machine. */
function steady(info: SystemInfo): unknown {
  const { os, hostname, packages, services, virtualization, hardware } = info;
  const cpu = { ...info.cpu, load: undefined };
  return { os, hostname, packages, services, virtualization, hardware, cpu, memory: info.memory?.total };
}

const answerOf = (argv: readonly [string, ...string[]]): SystemInfo => {
  const { status, stdout, stderr } = spawnSync(argv[0], argv.slice(1), {
    input: infoProgram,
    encoding: "utf8",
    maxBuffer: 2 ** 26,
  });
  expect([status, stderr]).toEqual([0, ""]);
  return systemInfo.parse(readInfo(stdout));
};

describe("any shell", () => {
  const shells: readonly [Engine, ...string[]][] = [
    ["dash"],
    ["bash"],
    ["bash", "--posix"],
    ["zsh"],
    ["busybox", "sh"],
  ];
  for (const [shell, ...words] of shells) {
    needs("linux", shell)([shell, ...words].join(" "), () => {
      it("gets the same answer", () => {
        const info = answerOf([where(shell) ?? shell, ...words, "-s"]);
        expect(info.shell).toContain(shell);
        expect(steady(info)).toEqual(steady(answerOf(["sh", "-s"])));
      });
    });
  }
});

needs("sshd")("over ssh", () => {
  it("answers like the machine itself, after one login and one program", async () => {
    const box = await startSshd();
    const hosts = openHosts({ ssh: { configFile: box.configFile, env: {} } });
    try {
      let programs = 0;
      const ctx = {
        ...testContext({ targets: ["box"] }),
        hosts: {
          open: async (...args: Parameters<typeof hosts.open>) => {
            const host = await hosts.open(...args);
            return { ...host, exec: (...words: Parameters<typeof host.exec>) => (programs++, host.exec(...words)) };
          },
        },
      };
      const { output } = await command.run({}, ctx);
      const [remote] = [output].flat();
      if (remote === undefined || "error" in remote) throw new Error("no answer");
      expect(steady(remote)).toEqual(steady(readInfo((await localAnswer()).toString())));
      expect(remote.disks?.some((disk) => disk.mount === "/" && (disk.size ?? 0) > 0)).toBe(true);
      expect(programs).toBe(1);
      expect(await box.connections()).toHaveLength(1);
    } finally {
      await hosts.close();
      await box.stop();
    }
  });

  const localAnswer = async (): Promise<Buffer> => {
    const hosts = openHosts();
    const host = await hosts.open(parseTarget("local"));
    return (await host.exec(["sh", "-s"], { stdin: infoProgram })).stdout;
  };
});

needs(
  "root",
  "linux",
  "unshare",
  "busybox",
)("a root of its own", () => {
  let root = "";
  beforeEach(async () => {
    root = await mkdtemp(join(tmpdir(), "ami-root-"));
    for (const folder of ["bin", "dev", "etc", "proc", "sys", "tmp", "root"]) await mkdir(join(root, folder));
    await copyFile(where("busybox") ?? "", join(root, "bin/busybox"));
    await writeFile(join(root, "etc/os-release"), 'ID=alpine\nVERSION_ID=3.20.3\nPRETTY_NAME="Alpine Linux v3.20"\n');
    await writeFile(join(root, "etc/passwd"), "root:x:0:0:root:/root:/bin/sh\nbin:x:1:1::/bin:/sbin/nologin\n");
    await writeFile(join(root, "etc/resolv.conf"), "nameserver 192.0.2.53\n");
    await writeFile(join(root, "program"), infoProgram);
  });
  afterEach(() => rm(root, { recursive: true, force: true }));

  /** Runs the program inside, with nothing of this machine on the PATH. */
  const inside = async (...mounts: readonly string[]): Promise<SystemInfo> => {
    const line = `${mounts.map((mount) => `mount ${mount} &&`).join(" ")} exec env -i PATH=/bin HOME=/root ${where("chroot")} . /bin/sh -s <program`;
    const { stdout } = await promisify(execFile)("unshare", ["-m", "sh", "-c", line], { cwd: root });
    return systemInfo.parse(readInfo(stdout));
  };
  const applets = async (...names: readonly string[]): Promise<void> => {
    for (const name of names) await symlink("busybox", join(root, "bin", name));
  };

  it("answers with busybox and nothing else", async () => {
    const { stdout } = await promisify(execFile)(join(root, "bin/busybox"), ["--list"]);
    await applets(
      ...stdout
        .trim()
        .split("\n")
        .filter((name) => name !== "busybox"),
    );
    const info = await inside("-t proc proc proc", "-t sysfs sys sys", "--bind /dev dev");
    expect(info).toMatchObject({
      os: { name: "linux", pretty: "Alpine Linux v3.20", distro: "alpine", version: "3.20.3" },
      login: { name: "root", uid: 0 },
      users: { accounts: 1 },
      network: { dns: { servers: ["192.0.2.53"] } },
      shell: "busybox",
    });
    const here = answerOf(["sh", "-s"]);
    expect(info.cpu?.threads).toBe(here.cpu?.threads);
    expect(info.memory?.total).toBe(here.memory?.total);
    expect(info.network?.interfaces?.map(({ name }) => name)).toEqual(expect.arrayContaining(["lo"]));
  });

  needs("dash")("with one shell", () => {
    it("answers with a shell and nothing else, and no /proc", async () => {
      const dash = where("dash") ?? "";
      await copyFile(dash, join(root, "bin/sh"));
      for (const [, library = ""] of execFileSync("ldd", [dash], { encoding: "utf8" }).matchAll(/(\/\S+) \(0x/g)) {
        await mkdir(join(root, dirname(library)), { recursive: true });
        await copyFile(library, join(root, library));
      }
      const info = await inside("--bind /dev dev");
      expect(info).toMatchObject({ os: { name: "unknown" }, tools: {}, network: { dns: { servers: ["192.0.2.53"] } } });
      for (const what of [info.cpu, info.memory, info.disks, info.users, info.login, info.uptime])
        expect(what).toBeUndefined();
    });
  });
});
