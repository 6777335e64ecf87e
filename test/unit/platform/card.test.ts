import { expect, it } from "vitest";
import { card } from "../../../src/platform/card.ts";

const info = {
  hostname: "web1.example.org",
  os: { name: "linux", pretty: "Debian GNU/Linux 12 (bookworm)", like: [], kernel: "6.1.0", arch: "x64" },
  memory: { total: 8 * 2 ** 30, used: 2 * 2 ** 30 },
  disks: [
    { mount: "/", device: "/dev/sda1", type: "ext4", size: 100 * 2 ** 30, used: 50 * 2 ** 30 },
    { mount: "/mnt/nas", device: "nas:/x", type: "nfs4" },
  ],
  uptime: 90_000,
  time: {},
  tools: {},
};

it("shows a line for each thing that is known, and nothing for the rest", () => {
  expect(card({ host: "web1", ...info }, 80)).toBe(
    [
      "web1 (web1.example.org)",
      "  system  Debian GNU/Linux 12 (bookworm)",
      "  kernel  6.1.0 x64",
      "  memory  2.0 GiB of 8.0 GiB (25 %)",
      "  disk    / 50.0 GiB of 100 GiB (50 %), /dev/sda1 ext4",
      "          /mnt/nas, nas:/x nfs4",
      "  uptime  1 day 1 h",
      "",
    ].join("\n"),
  );
});

it("wraps under the column and never tears a word", () => {
  const narrow = card(
    { host: "web1", ...info, tools: { sudo: "/usr/bin/sudo", docker: "/usr/bin/docker", python3: "/usr/bin/python3" } },
    32,
  );
  expect(narrow).toContain("  tools   sudo docker python3\n");
  expect(narrow).toContain("  system  Debian GNU/Linux 12\n          (bookworm)\n");
  expect(Math.max(...narrow.split("\n").map((line) => line.length))).toBeLessThanOrEqual(32);
});

it("shows why a machine has none", () => {
  expect(card({ host: "web2", error: { message: "connection refused" } }, 80)).toBe(
    "web2\n  error  connection refused\n",
  );
});
