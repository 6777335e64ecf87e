import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { card } from "../../../src/platform/card.ts";
import { infoProgram, readInfo, systemInfo } from "../../../src/platform/info.ts";
import { readWindowsInfo } from "../../../src/platform/windows/info.ts";

const fixture = (name: string): string =>
  readFileSync(join(import.meta.dirname, "../../fixtures/system-info", name), "utf8");
const linux = fixture("debian-12-systemd-nspawn.txt");

/** The answer with one section replaced, or taken away. */
function withSection(text: string, name: string, body: string | undefined): string {
  const without = text
    .split("\x1e")
    .filter((part) => !part.startsWith(`${name}\n`))
    .join("\x1e");
  return body === undefined ? without : `\x1e${name}\n${body}\n${without}`;
}

describe("what machines answered", () => {
  it("Debian 12 under systemd-nspawn", () => {
    const info = readInfo(linux);
    expect(systemInfo.parse(info)).toBeTruthy();
    expect(info).toMatchObject({
      hostname: "guest",
      os: {
        name: "linux",
        pretty: "Debian GNU/Linux 12 (bookworm)",
        distro: "debian",
        version: "12",
        like: [],
        arch: "x64",
      },
      login: { name: "root", uid: 0, home: "/root" },
      cpu: { model: "Intel(R) Xeon(R) Processor", threads: 2, cores: 2, sockets: 1 },
      memory: { total: 24_684_084 * 1024 },
      swap: { total: 0, used: 0 },
      disks: [{ mount: "/", device: "guest", type: "overlay", size: 2_097_152 * 1024 }],
      packages: { manager: "apt", others: [] },
      services: { manager: "systemd", init: "systemd" },
      virtualization: { vm: "kvm", container: "systemd-nspawn" },
      users: { loggedIn: [], accounts: 3 },
      time: { zone: "Etc/UTC", offset: "+0000", abbreviation: "UTC" },
      shell: "dash",
      tools: { sudo: "/usr/bin/sudo", systemctl: "/usr/bin/systemctl" },
    });
    expect(info.network?.interfaces?.map(({ name, state, addresses }) => [name, state, addresses])).toEqual([
      ["lo", "up", ["127.0.0.1/8", "::1/128"]],
      ["host0", "up", expect.arrayContaining([expect.stringMatching(/^10\.213\.\d+\.2\/24$/)])],
    ]);
    expect(info.cpu?.load).toHaveLength(3);
    expect(info.memory?.limit).toBeUndefined();
    expect(info.uptime).toBeGreaterThan(0);
  });

  it("busybox and nothing else", () => {
    const info = readInfo(fixture("busybox-1.35-alpine-os-release.txt"));
    expect(info).toMatchObject({
      os: { pretty: "Alpine Linux v3.20", distro: "alpine", version: "3.20.3" },
      users: { loggedIn: [], accounts: 2 },
      network: {
        gateways: [
          { address: "192.0.2.1", interface: "eth0" },
          { address: "fd00::1", interface: "eth0" },
        ],
        dns: { servers: ["192.0.2.53"], search: ["example.org"] },
      },
      time: { zone: "Europe/Berlin" },
      shell: "busybox",
      services: { init: "sh" },
    });
    expect(info.packages).toBeUndefined();
    expect(info.services?.manager).toBeUndefined();
  });

  it("without `ip`, the same from /proc and /sys", () => {
    const [bare, whole] = ["debian-12-without-iproute2.txt", "busybox-1.35-alpine-os-release.txt"].map((name) =>
      readInfo(fixture(name)),
    );
    const eth0 = {
      name: "eth0",
      state: "up",
      mac: "02:fc:00:00:00:01",
      mtu: 1400,
      addresses: ["192.0.2.2/24", "fd00::2/64", "fe80::fc:ff:fe00:1/64"],
    };
    expect(bare?.network?.interfaces?.find(({ name }) => name === "eth0")).toEqual(eth0);
    expect(whole?.network?.interfaces?.find(({ name }) => name === "eth0")).toEqual(eth0);
    expect(bare?.network?.gateways).toEqual(whole?.network?.gateways);
    expect(bare?.network?.interfaces?.find(({ name }) => name === "lo")?.addresses).toEqual(["127.0.0.1/8", "::1/128"]);
  });

  it("macOS 14.5, as its manual pages say", () => {
    const info = readInfo(fixture("macos-14.5-written.txt"));
    expect(systemInfo.parse(info)).toBeTruthy();
    expect(info).toMatchObject({
      hostname: "mini.local",
      os: { name: "macos", pretty: "macOS 14.5", distro: "macos", version: "14.5", kernel: "23.5.0", arch: "arm64" },
      hardware: { vendor: "Apple", product: "Macmini9,1" },
      cpu: { model: "Apple M1", sockets: 1, cores: 8, threads: 8, load: [1.8, 2.01, 2.11] },
      memory: { total: 17_179_869_184, available: 320_000 * 16_384 },
      swap: { total: 2048 * 2 ** 20, used: Math.round(1011.75 * 2 ** 20) },
      packages: { manager: "brew" },
      services: { manager: "launchd" },
      users: {
        accounts: 2,
        loggedIn: [
          { name: "anna", terminal: "console", since: "Nov 18 08:01" },
          { name: "anna", terminal: "ttys000", since: "Nov 20 19:26", from: "192.0.2.7" },
        ],
      },
      uptime: 204_102,
      time: { zone: "Europe/Berlin", offset: "+0100", abbreviation: "CET" },
      shell: "bash 3.2.57",
    });
    expect(info.disks?.map(({ mount, type, readOnly }) => [mount, type, readOnly])).toEqual([
      ["/", "apfs", true],
      ["/System/Volumes/Data", "apfs", undefined],
      ["/Volumes/My Disk", "exfat", undefined],
    ]);
    expect(info.disks?.[2]).toMatchObject({ size: 2 ** 30, used: 2 ** 29 });
    expect(info.network?.interfaces?.map(({ name, state, addresses }) => [name, state, addresses])).toEqual([
      ["lo0", "up", ["127.0.0.1/8", "::1/128", "fe80::1/64"]],
      ["en0", "up", ["fe80::1c2b:3d4e:5f60:7182/64", "192.0.2.20/24"]],
      ["en4", "down", []],
      ["utun0", "up", ["198.51.100.5/32"]],
    ]);
    expect(info.virtualization).toBeUndefined();
  });

  it("Windows Server 2022, as the documentation of its classes says", () => {
    const info = readWindowsInfo(fixture("windows-server-2022-written.json"));
    expect(systemInfo.parse(info)).toBeTruthy();
    expect(info).toMatchObject({
      hostname: "WIN01",
      os: { name: "windows", pretty: "Microsoft Windows Server 2022 Standard", arch: "x64" },
      cpu: { cores: 4, threads: 8 },
      memory: { total: 8_387_060 * 1024, available: 4_193_530 * 1024 },
      disks: [{ mount: "C:", size: 107_374_182_400, used: 53_687_091_200 }],
      network: {
        interfaces: [{ mac: "02:00:5e:10:00:03", addresses: ["192.0.2.30/24", "fe80::5054:ff:fe12:3456/64"] }],
        gateways: [{ address: "192.0.2.1" }],
      },
      packages: { manager: "choco" },
      virtualization: { vm: "unknown" },
      uptime: 172_800,
    });
    expect(() => readWindowsInfo("'powershell' is not recognized")).toThrow("PowerShell did not answer");
    expect(readWindowsInfo("{}")).toMatchObject({ os: { name: "windows" }, tools: {} });
  });
});

describe("what is missing is absent", () => {
  it("whichever answer a machine does not give", () => {
    const names = [...linux.matchAll(/\x1e(\S+)/g)].map(([, name]) => name ?? "").filter((name) => name !== "end");
    expect(names.length).toBeGreaterThan(25);
    for (const name of names) {
      for (const body of [undefined, "", "sh: not found", "???\n=\n:"]) {
        const info = readInfo(withSection(linux, name, body));
        expect(systemInfo.safeParse(info), `${name}: ${body}`).toMatchObject({ success: true });
        expect(card({ host: "x", ...info }, 80)).toContain("x");
      }
    }
  });

  it("even all of them", () => {
    const info = readInfo("\x1eend\n");
    expect(info).toMatchObject({ os: { name: "unknown", arch: "unknown" }, tools: {} });
    expect(systemInfo.safeParse(info).success).toBe(true);
  });

  it("but an answer that breaks off is an error, not a small machine", () => {
    expect(() => readInfo(linux.slice(0, linux.indexOf("\x1eend")))).toThrow("did not answer the questions to the end");
    expect(() => readInfo("This account is not available.\n")).toThrow("did not answer");
  });

  it("and what a login script prints first is no answer", () => {
    expect(readInfo(`Welcome!\nuname\n${linux}`)).toEqual(readInfo(linux));
  });
});

describe("the program", () => {
  it("is read as POSIX shell by the shell here and prints nothing but sections", () => {
    const { status, stdout, stderr } = spawnSync("sh", ["-s"], { input: infoProgram, encoding: "utf8" });
    expect([status, stderr]).toEqual([0, ""]);
    expect(stdout.startsWith("\x1e")).toBe(true);
    expect(readInfo(stdout)).toMatchObject({
      os: { name: process.platform === "darwin" ? "macos" : process.platform },
    });
  });
});
