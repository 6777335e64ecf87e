import { describe, expect, it } from "vitest";
import { readCpu } from "../../../src/platform/linux/cpu.ts";
import { readDisks } from "../../../src/platform/linux/disks.ts";
import { readMemory } from "../../../src/platform/linux/memory.ts";
import { ipv6Of, readIpAddr, readIpRoutes, readNetwork } from "../../../src/platform/linux/network.ts";
import { osRelease, readRelease } from "../../../src/platform/linux/release.ts";
import { readServices } from "../../../src/platform/linux/services.ts";
import { readHardware, readVirtualization } from "../../../src/platform/linux/virtualization.ts";

const sections = (all: Record<string, string>) => new Map(Object.entries(all));

describe("release", () => {
  it.each([
    [
      "plain and quoted values",
      "ID=arch\nNAME=\"Arch Linux\"\nPRETTY_NAME='Arch'",
      { distro: "arch", pretty: "Arch", like: [] },
    ],
    ["escaped quotes", 'ID=x\nPRETTY_NAME="A \\"quoted\\" \\$name"', { distro: "x", pretty: 'A "quoted" $name' }],
    [
      "what it is like",
      'ID=rocky\nID_LIKE="rhel centos fedora"\nVERSION_ID="9.4"',
      { distro: "rocky", like: ["rhel", "centos", "fedora"], version: "9.4" },
    ],
    ["a code name where there is no number", "ID=debian\nVERSION_CODENAME=trixie", { version: "trixie" }],
    ["no ID, which means linux", "NAME=Thing", { distro: "linux", pretty: "Thing" }],
  ])("%s", (_, text, release) => {
    expect(readRelease(sections({ "os-release": text }))).toMatchObject(release);
  });

  it.each([
    [
      "/etc/redhat-release CentOS release 6.10 (Final)",
      { distro: "centos", version: "6.10", pretty: "CentOS release 6.10 (Final)" },
    ],
    ["/etc/redhat-release Red Hat Enterprise Linux Server release 5.11 (Tikanga)", { distro: "rhel", version: "5.11" }],
    ["/etc/alpine-release 3.4.6", { distro: "alpine", version: "3.4.6" }],
    ["/etc/debian_version 6.0.10", { distro: "debian", version: "6.0.10" }],
    ["/etc/debian_version jessie/sid", { distro: "debian", pretty: "jessie/sid" }],
  ])("from before os-release: %s", (line, release) => {
    expect(readRelease(sections({ "old-release": line }))).toMatchObject(release);
  });

  it("ignores lines that are no assignments", () => {
    expect([...osRelease("# ID=no\n\n garbage\nID=yes")]).toEqual([["ID", "yes"]]);
  });
});

describe("cpu", () => {
  const processors = (pairs: readonly (readonly [socket: number, core: number])[]): string =>
    pairs
      .map(([socket, core], index) => `processor\t: ${index}\nphysical id\t: ${socket}\ncore id\t\t: ${core}`)
      .join("\n");

  it("counts sockets, cores and threads", () => {
    const two = processors([
      [0, 0],
      [0, 0],
      [0, 1],
      [0, 1],
      [1, 0],
      [1, 0],
      [1, 1],
      [1, 1],
    ]);
    expect(readCpu(sections({ processors: two }))).toMatchObject({ sockets: 2, cores: 4, threads: 8 });
  });

  it("says nothing of cores where the kernel does not", () => {
    const cpu = readCpu(sections({ processors: "processor\t: 0\nprocessor\t: 1" }));
    expect(cpu).toMatchObject({ threads: 2 });
    expect(cpu?.cores).toBeUndefined();
  });

  it("reads the processors of s390", () => {
    expect(readCpu(sections({ processors: "processor 0: version = FF\nprocessor 1: version = FF" }))).toMatchObject({
      threads: 2,
    });
  });

  it.each([
    ["x86", { cpu: "model name\t: AMD  EPYC 7763   64-Core" }, "AMD EPYC 7763 64-Core"],
    ["MIPS", { cpu: "cpu model\t\t: MIPS 1004Kc V2.15" }, "MIPS 1004Kc V2.15"],
    ["POWER", { cpu: "cpu\t\t: POWER9 (raw), altivec supported" }, "POWER9 (raw), altivec supported"],
    ["arm64 by lscpu", { cpu: "", lscpu: "Architecture: aarch64\nModel name:          Neoverse-N1" }, "Neoverse-N1"],
    ["a board that lscpu does not know", { cpu: "Hardware\t: BCM2835", lscpu: "Model name: -" }, "BCM2835"],
  ])("the model of %s", (_, all, model) => {
    expect(readCpu(sections(all as Record<string, string>))).toMatchObject({ model });
  });

  it.each([
    ["cgroup v2", { "cpu-max": "150000 100000" }, 1.5],
    ["cgroup v2, free", { "cpu-max": "max 100000" }, undefined],
    ["cgroup v1", { "cpu-max": "", "cpu-quota": "50000\n100000" }, 0.5],
    ["cgroup v1, free", { "cpu-quota": "-1\n100000" }, undefined],
  ])("what a container may use: %s", (_, all, limit) => {
    expect(readCpu(sections({ loadavg: "0.1 0.2 0.3 1/2 3", ...all }))?.limit).toBe(limit);
  });
});

describe("memory", () => {
  it("counts what programs could get as not used", () => {
    const meminfo = "MemTotal: 1000 kB\nMemFree: 100 kB\nMemAvailable: 600 kB\nSwapTotal: 50 kB\nSwapFree: 20 kB";
    expect(readMemory(sections({ meminfo }))).toMatchObject({
      memory: { total: 1_024_000, available: 614_400, used: 409_600 },
      swap: { total: 51_200, used: 30_720 },
    });
  });

  it("guesses it on kernels that do not say", () => {
    expect(
      readMemory(sections({ meminfo: "MemTotal: 1000 kB\nMemFree: 100 kB\nBuffers: 50 kB\nCached: 250 kB" })).memory,
    ).toMatchObject({ available: 409_600 });
  });

  it("tells a limit only when it is one", () => {
    const limit = (max: string) =>
      readMemory(sections({ meminfo: "MemTotal: 1000 kB", "memory-max": max })).memory?.limit;
    expect([limit("512000"), limit("max"), limit("9223372036854771712"), limit("")]).toEqual([
      512_000,
      undefined,
      undefined,
      undefined,
    ]);
  });
});

describe("disks", () => {
  it("shows a device once, at the shortest place, and reads blanks in names", () => {
    const disks = readDisks(
      sections({
        mounts: [
          "/dev/sda1 /var/lib/docker/bind ext4 rw",
          "/dev/sda1 / ext4 rw",
          "/dev/sdb1 /mnt/my\\040disk\\134x ext4 ro",
          "tank/a /tank/a zfs rw",
          "tank/b /tank/b zfs rw",
          "nas:/export /mnt/nas nfs4 rw",
        ].join("\n"),
        df: [
          "Filesystem     1024-blocks  Used Available Capacity Mounted on",
          "/dev/sda1           100  40  60  40% /",
          "/dev/sdb1           200  50 150  25% /mnt/my disk\\x",
          "/dev/with a blank   200  50 150  25% /else",
        ].join("\n"),
      }),
    );
    expect(disks?.map(({ mount, size, readOnly }) => [mount, size, readOnly])).toEqual([
      ["/", 102_400, undefined],
      ["/mnt/my disk\\x", 204_800, true],
      ["/mnt/nas", undefined, undefined],
      ["/tank/a", undefined, undefined],
      ["/tank/b", undefined, undefined],
    ]);
  });
});

describe("network", () => {
  it("reads the links of ip addr with their states and addresses", () => {
    const text = `1: lo: <LOOPBACK,UP,LOWER_UP> mtu 65536 qdisc noqueue state UNKNOWN
    inet 127.0.0.1/8 scope host lo
2: eth0.10@eth0: <BROADCAST,MULTICAST,UP,LOWER_UP> mtu 1500 qdisc noqueue state UP
    link/ether 02:00:00:00:00:01 brd ff:ff:ff:ff:ff:ff
    inet 192.0.2.9/24 brd 192.0.2.255 scope global dynamic eth0.10
3: eth1: <NO-CARRIER,BROADCAST,MULTICAST,UP> mtu 1500 qdisc mq state DOWN
4: tun0: <POINTOPOINT,MULTICAST,NOARP,UP,LOWER_UP> mtu 1420 qdisc fq state UNKNOWN
    link/none
    inet 10.8.0.2 peer 10.8.0.1/32 scope global tun0`;
    expect(readIpAddr(text.split("\n"))).toMatchObject([
      { name: "lo", state: "up", mtu: 65_536, addresses: ["127.0.0.1/8"] },
      { name: "eth0.10", state: "up", mac: "02:00:00:00:00:01", addresses: ["192.0.2.9/24"] },
      { name: "eth1", state: "down", addresses: [] },
      { name: "tun0", state: "up", addresses: ["10.8.0.2/32"] },
    ]);
  });

  it("orders gateways by what the kernel would take", () => {
    const lines = [
      "default via fe80::1 dev eth0 proto ra metric 1024",
      "default via 192.0.2.254 dev wlan0 metric 600",
      "default via 192.0.2.1 dev eth0 metric 100",
      "192.0.2.0/24 dev eth0 scope link",
    ];
    expect(readIpRoutes(lines)).toEqual([
      { address: "192.0.2.1", interface: "eth0" },
      { address: "192.0.2.254", interface: "wlan0" },
      { address: "fe80::1", interface: "eth0" },
    ]);
  });

  it("looks behind the stub of systemd-resolved", () => {
    const network = readNetwork(
      sections({
        resolv: "nameserver 127.0.0.53\noptions edns0",
        resolved: "nameserver 192.0.2.53\nsearch lan",
        routes: "",
        ip: "1: lo: <UP> mtu 1",
      }),
    );
    expect(network?.dns).toEqual({ servers: ["192.0.2.53"], search: ["lan"] });
  });

  it.each([
    ["fd000000000000000000000000000002", "fd00::2"],
    ["00000000000000000000000000000001", "::1"],
    ["00000000000000000000000000000000", "::"],
    ["fe8000000000000000fc00fffe000001", "fe80::fc:ff:fe00:1"],
    ["20010db8000000010000000000000001", "2001:db8:0:1::1"],
    ["20010db8000000000001000000000001", "2001:db8::1:0:0:1"],
    ["20010db8000100020003000400050006", "2001:db8:1:2:3:4:5:6"],
    ["20010db80000000000000000000a0000", "2001:db8::a:0"],
  ])("writes %s as %s", (hex, text) => {
    expect(ipv6Of(hex)).toBe(text);
  });
});

describe("services", () => {
  it.each([
    ["systemd", { init: "systemd", "service-signs": "systemd\nsysvinit" }, { manager: "systemd", init: "systemd" }],
    [
      "openrc",
      { init: "init", "init-file": "/bin/busybox", "service-signs": "openrc\nsysvinit" },
      { manager: "openrc", init: "busybox" },
    ],
    [
      "sysvinit",
      { init: "init", "init-file": "/sbin/init", "service-signs": "sysvinit" },
      { manager: "sysvinit", init: "init" },
    ],
    ["runit", { init: "runit" }, { manager: "runit", init: "runit" }],
    ["a container", { init: "nginx", "service-signs": "sysvinit" }, { manager: undefined, init: "nginx" }],
  ])("%s", (_, all, services) => {
    expect(readServices(sections(all as Record<string, string>))).toEqual(services);
  });
});

describe("virtualization", () => {
  it.each([
    ["what systemd says", { "detect-vm": "kvm", "detect-container": "none" }, { vm: "kvm" }],
    ["docker by its file", { "virt-signs": "docker\ncontainer=docker" }, { container: "docker" }],
    ["podman by its cgroup", { "virt-signs": "libpod" }, { container: "podman" }],
    ["a pod", { "virt-signs": "kubepods" }, { container: "kubernetes" }],
    ["lxc by its environment", { "virt-signs": "container=lxc" }, { container: "lxc" }],
    ["VMware by its firmware", { "dmi-vendor": "VMware, Inc.", hypervisor: "1" }, { vm: "vmware" }],
    ["VirtualBox", { "dmi-vendor": "innotek GmbH", "dmi-product": "VirtualBox" }, { vm: "oracle" }],
    ["a cloud machine", { "dmi-vendor": "Hetzner", "dmi-product": "vServer", hypervisor: "1" }, { vm: "kvm" }],
    ["a hypervisor nobody names", { hypervisor: "1" }, { vm: "unknown" }],
    [
      "WSL by its kernel",
      {
        uname: "Linux pc 5.15.153.1-microsoft-standard-WSL2 x86_64",
        "detect-vm": "microsoft",
        "detect-container": "wsl",
      },
      { vm: "wsl" },
    ],
  ])("%s", (_, all, hint) => {
    expect(readVirtualization(sections(all as Record<string, string>))).toEqual({
      vm: undefined,
      container: undefined,
      ...hint,
    });
  });

  it("is absent on real hardware", () => {
    const real = sections({
      "dmi-vendor": "LENOVO",
      "dmi-product": "21HM",
      "detect-vm": "none",
      "detect-container": "none",
      hypervisor: "0",
      uname: "Linux pc 6.1.0-18-amd64 x86_64",
    });
    expect(readVirtualization(real)).toBeUndefined();
    expect(readHardware(real)).toEqual({ vendor: "LENOVO", product: "21HM" });
  });

  it("does not repeat what firmware makers forgot to fill in", () => {
    expect(
      readHardware(sections({ "dmi-vendor": "To Be Filled By O.E.M.", "dmi-product": "Default string" })),
    ).toBeUndefined();
    expect(readHardware(sections({ board: "Raspberry Pi 4 Model B Rev 1.4" }))).toEqual({
      vendor: undefined,
      product: "Raspberry Pi 4 Model B Rev 1.4",
    });
  });
});
