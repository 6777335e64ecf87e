/** macOS: the questions a Mac answers. */
import type { Adapter, OwnInfo } from "../detect.ts";
import { readDf } from "../posix/df.ts";
import { linesOf, numberOf, pairsOf, type Sections } from "../sections.ts";

export const macos: Adapter = {
  uname: "Darwin",
  program: String.raw`
s sw_vers; sw_vers
s sysctl; sysctl hw.model hw.memsize hw.packages hw.physicalcpu hw.logicalcpu machdep.cpu.brand_string vm.loadavg vm.swapusage kern.boottime kern.hv_vmm_present
s vm_stat; vm_stat
s df; df -kPl
s mount; mount
s ifconfig; ifconfig -a
s route; route -n get default
s route6; route -n get -inet6 default
s shells; dscl . -list /Users UserShell`.trim(),
  read(sections) {
    const control = pairsOf(sections.get("sysctl") ?? "", /:\s*/);
    return {
      os: readVersion(sections),
      hardware: { vendor: "Apple", product: control.get("hw.model") },
      cpu: readCpu(control),
      memory: readMemory(control, sections.get("vm_stat") ?? ""),
      swap: readSwap(control.get("vm.swapusage") ?? ""),
      disks: readDisks(sections),
      network: readNetwork(sections),
      services: { manager: "launchd", init: "launchd" },
      virtualization: control.get("kern.hv_vmm_present") === "1" ? { vm: "unknown" } : undefined,
      users: readAccounts(linesOf(sections, "shells")),
      uptime: readUptime(control.get("kern.boottime") ?? "", sections.get("date") ?? ""),
    };
  },
};

/** `ProductName: macOS`, `ProductVersion: 14.5`. */
function readVersion(sections: Sections): NonNullable<OwnInfo["os"]> {
  const values = pairsOf(sections.get("sw_vers") ?? "", /:\s*/);
  const [name, version] = [values.get("ProductName"), values.get("ProductVersion")];
  return { distro: "macos", version, pretty: name === undefined ? undefined : [name, version].join(" ").trim() };
}

function readCpu(control: Map<string, string>): NonNullable<OwnInfo["cpu"]> {
  const [one, five, fifteen] = (control.get("vm.loadavg") ?? "").replace(/[{}]/g, "").trim().split(/\s+/).map(numberOf);
  return {
    model: control.get("machdep.cpu.brand_string"),
    sockets: numberOf(control.get("hw.packages")),
    cores: numberOf(control.get("hw.physicalcpu")),
    threads: numberOf(control.get("hw.logicalcpu")),
    load: one === undefined || five === undefined || fifteen === undefined ? undefined : [one, five, fifteen],
  };
}

/** Available is what is free, or holds only copies of files: pages free, inactive, speculative and purgeable. */
function readMemory(control: Map<string, string>, text: string): OwnInfo["memory"] {
  const total = numberOf(control.get("hw.memsize"));
  if (total === undefined) return undefined;
  const page = numberOf(/page size of (\d+) bytes/.exec(text)?.[1]);
  const pages = pairsOf(text, /:\s*/);
  const count = (name: string): number => numberOf(pages.get(`Pages ${name}`)?.replace(/\.$/, "")) ?? 0;
  if (page === undefined || !pages.has("Pages free")) return { total };
  const spare = count("free") + count("inactive") + count("speculative") + count("purgeable");
  const available = Math.min(total, spare * page);
  return { total, available, used: total - available };
}

/** `total = 2048.00M  used = 1011.75M  free = 1036.25M  (encrypted)`. */
function readSwap(text: string): OwnInfo["swap"] {
  const mib = (name: string): number | undefined => numberOf(new RegExp(`${name} = ([0-9.]+)M`).exec(text)?.[1]);
  const [total, used] = [mib("total"), mib("used")];
  if (total === undefined || used === undefined) return undefined;
  return { total: Math.round(total * 1048576), used: Math.round(used * 1048576) };
}

/** `/dev/disk3s1s1 on / (apfs, sealed, local, read-only, journaled)` gives types; df gives sizes. */
function readDisks(sections: Sections): OwnInfo["disks"] {
  const spaces = readDf(sections.get("df") ?? "");
  return linesOf(sections, "mount").flatMap((line) => {
    const [, device = "", mount = "", words = ""] = /^(.+?) on (\/.*) \(([^)]*)\)$/.exec(line) ?? [];
    const [type = "", ...options] = words.split(", ");
    // The volumes behind the system (VM, Preboot, Update) share the container of Data and are nobody's disk.
    const hidden = mount.startsWith("/System/Volumes/") && mount !== "/System/Volumes/Data";
    if (mount === "" || hidden || type === "devfs" || type === "autofs") return [];
    const space = spaces.get(mount);
    const readOnly = options.includes("read-only") ? true : undefined;
    return [{ mount, device, type, size: space?.size, used: space?.used, available: space?.available, readOnly }];
  });
}

function readNetwork(sections: Sections): OwnInfo["network"] {
  const interfaces = readIfconfig(linesOf(sections, "ifconfig"));
  const gateways = ["route", "route6"].flatMap((name) => {
    const values = pairsOf(sections.get(name) ?? "", /:\s*/);
    const address = values.get("gateway");
    return address === undefined ? [] : [{ address, interface: values.get("interface") }];
  });
  return interfaces.length === 0 && gateways.length === 0 ? undefined : { interfaces, gateways };
}

type Interface = NonNullable<NonNullable<OwnInfo["network"]>["interfaces"]>[number];

/** `en0: flags=8863<UP,...> mtu 1500`, then indented `ether`, `inet 192.0.2.5 netmask 0xffffff00`, `status: active`. */
export function readIfconfig(lines: readonly string[]): Interface[] {
  const interfaces: Interface[] = [];
  for (const line of lines) {
    const head = /^(\S+): flags=\S*<([^>]*)>(?:.* mtu (\d+))?/.exec(line);
    if (head !== null) {
      const [, name = "", flags = "", mtu] = head;
      interfaces.push({
        name,
        state: flags.split(",").includes("UP") ? "up" : "down",
        mtu: numberOf(mtu),
        addresses: [],
      });
      continue;
    }
    const last = interfaces.at(-1);
    const [word = "", value = "", ...rest] = line.trim().split(/\s+/);
    if (last === undefined) continue;
    if (word === "ether") last.mac = value;
    if (word === "status:" && value !== "active") last.state = "down";
    if (word === "inet") last.addresses.push(`${value}/${prefixOf(after(rest, "netmask"))}`);
    if (word === "inet6") last.addresses.push(`${value.replace(/%.*$/, "")}/${after(rest, "prefixlen") ?? "128"}`);
  }
  return interfaces;
}

function after(words: readonly string[], keyword: string): string | undefined {
  const at = words.indexOf(keyword);
  return at < 0 ? undefined : words[at + 1];
}

function prefixOf(netmask: string | undefined): number {
  return Number(netmask ?? "0xffffffff")
    .toString(2)
    .replaceAll("0", "").length;
}

/** `name   /bin/zsh`. Names with an underscore belong to services, whatever their shell. */
function readAccounts(lines: readonly string[]): OwnInfo["users"] {
  if (lines.length === 0) return undefined;
  return { accounts: lines.filter((line) => !/^_|\/(false|nologin)\s*$/.test(line)).length };
}

/** `{ sec = 1795100000, usec = 0 } Thu Nov 19 ...` and the clock of the same machine. */
function readUptime(boot: string, date: string): number | undefined {
  const started = numberOf(/sec = (\d+)/.exec(boot)?.[1]);
  const now = numberOf(date.split(" ")[0]);
  return started === undefined || now === undefined ? undefined : Math.max(0, now - started);
}
