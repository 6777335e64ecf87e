/** Machine: what the program prints, read; full disks, odd systems, and the program itself under real shells. */
import { spawnSync } from "node:child_process";
import { expect, it } from "vitest";
import { machineProgram, readMachine } from "../../../../src/core/health/machine.ts";
import { engines, needs } from "../../../servers/engines.ts";

const section = (name: string, ...lines: readonly string[]): string => `\x1e${name}\n${lines.join("\n")}\n`;
const df = (...rows: readonly string[]): string[] => [
  "Filesystem 1024-blocks Used Available Capacity Mounted on",
  ...rows,
];

it("reads load, memory, and the disks that can fill up", () => {
  const text = [
    "Welcome to web1\n",
    section("uname", "Linux"),
    section("threads", "4"),
    section("loadavg", "0.50 1.25 2.00 1/234 5678"),
    section("meminfo", "MemTotal: 8000000 kB", "MemFree: 100 kB", "MemAvailable: 4000000 kB"),
    section("memory-max", "max"),
    section(
      "mounts",
      "/dev/sda1 / ext4 rw",
      "/dev/sda2 /var\\040x ext4 rw",
      "/dev/sr0 /media ext4 ro",
      "/dev/sdb /data btrfs rw",
    ),
    section(
      "df",
      ...df(
        "/dev/sda1 1000 1000 0 100% /",
        "/dev/sda2 5000 1000 4000 20% /var x",
        "/dev/sr0 700 700 0 100% /media",
        "/dev/sdb 900 100 800 12% /data",
      ),
    ),
    section("inodes", ...df("/dev/sda1 200 150 50 75% /", "/dev/sdb 0 0 0 - /data")),
    section("end"),
  ].join("");
  expect(readMachine(text)).toEqual({
    load: { one: 0.5, five: 1.25, fifteen: 2, processors: 4 },
    memory: { total: 8_192_000_000, available: 4_096_000_000 },
    disks: [
      { mount: "/var x", size: 5_120_000, available: 4_096_000, inodesUsed: undefined },
      { mount: "/", size: 1_024_000, available: 0, inodesUsed: 0.75 },
      { mount: "/data", size: 921_600, available: 819_200, inodesUsed: undefined },
    ],
  });
});

it("a full disk whose last room is kept for root has none left", () => {
  const text = [
    section("uname", "Linux"),
    section("mounts", "/dev/sda1 / ext4 rw"),
    section("df", ...df("/dev/sda1 1000 990 -40 104% /")),
    section("end"),
  ].join("");
  expect(readMachine(text)).toMatchObject({
    disks: [{ mount: "/", available: 0 }],
    load: undefined,
    memory: undefined,
  });
});

it("a BSD tells its load and its disks", () => {
  const text = [
    section("uname", "FreeBSD"),
    section("threads", "2"),
    section("loadavg", " 0.10 0.20 0.30 "),
    section("df", ...df("zroot/ROOT/default 1000 400 600 40% /", "devfs 1 1 0 100% /dev", "procfs 4 4 0 100% /proc")),
    section("end"),
  ].join("");
  expect(readMachine(text)).toEqual({
    load: { one: 0.1, five: 0.2, fifteen: 0.3, processors: 2 },
    memory: undefined,
    disks: [{ mount: "/", size: 1_024_000, available: 614_400, inodesUsed: undefined }],
  });
});

it.each([
  ["nothing", ""],
  ["words of a shell that is none", "This account is currently not available.\n"],
  ["an answer that was cut", section("uname", "Linux") + section("loadavg", "0.1 0.1 0.1 1/2 3")],
])("%s is no answer", (_name, text) => {
  expect(readMachine(text)).toBeUndefined();
});

it("an empty answer has nothing in it", () => {
  expect(readMachine(section("uname", "Plan9") + section("end"))).toEqual({
    load: undefined,
    memory: undefined,
    disks: undefined,
  });
});

needs("linux")("the program", () => {
  const shells = (["dash", "bash", "busybox"] as const).filter((shell) => engines().has(shell));
  it.each(shells)("runs under %s", (shell) => {
    const [file = shell, ...args] = shell === "busybox" ? ["busybox", "sh", "-s"] : [shell, "-s"];
    const { stdout, stderr, status } = spawnSync(file, args, { input: machineProgram, encoding: "utf8" });
    expect({ stderr, status }).toEqual({ stderr: "", status: 0 });
    const seen = readMachine(stdout);
    expect(seen?.load?.processors).toBeGreaterThan(0);
    expect(seen?.memory?.available).toBeGreaterThan(0);
    expect(seen?.memory?.available).toBeLessThanOrEqual(seen?.memory?.total ?? 0);
    expect(seen?.disks?.some(({ mount }) => mount === "/")).toBe(true);
  });
});
