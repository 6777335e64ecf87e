/** Network: interfaces, addresses, gateways and name servers; from `ip` where there is one, else from /proc and /sys. */
import type { OwnInfo } from "../detect.ts";
import { readResolv } from "../posix/common.ts";
import { linesOf, numberOf, type Sections } from "../sections.ts";

export const networkProgram = String.raw`
s resolved; show /run/systemd/resolve/resolv.conf
if have ip && ip addr >/dev/null; then
  s ip; ip addr
  s routes; ip route show default; ip -6 route show default
else
  s interfaces
  for d in /sys/class/net/*; do
    [ -d "$d" ] || continue
    printf '%s ' "$d"
    for f in address mtu operstate; do
      v=; [ -r "$d/$f" ] && read -r v <"$d/$f"; printf '%s ' "$f=$v"
    done
    echo
  done
  s route; have grep && grep -E '^[^	]*	[0-9A-F]{8}	' /proc/net/route
  s trie; show /proc/net/fib_trie
  s inet6; show /proc/net/if_inet6
  s route6; have grep && grep -E '^0{32} 00 ' /proc/net/ipv6_route
fi`.trim();

type Network = NonNullable<OwnInfo["network"]>;
type Interface = NonNullable<Network["interfaces"]>[number];

export function readNetwork(sections: Sections): OwnInfo["network"] {
  const fromIp = linesOf(sections, "ip");
  const interfaces = fromIp.length > 0 ? readIpAddr(fromIp) : readSysNet(sections);
  const gateways = fromIp.length > 0 ? readIpRoutes(linesOf(sections, "routes")) : readProcRoutes(sections);
  // A stub on this machine is not what people ask for: systemd-resolved writes the real ones beside.
  const stub = /^nameserver\s+127\.0\.0\.5[34]\b/m.test(sections.get("resolv") ?? "");
  const dns = stub ? readResolv(linesOf(sections, "resolved")) : undefined;
  if (interfaces.length === 0 && gateways.length === 0 && dns === undefined) return undefined;
  return { interfaces, gateways, ...(dns === undefined ? {} : { dns }) };
}

/** `ip addr` of iproute2 and busybox, which differ only in words that are skipped here. */
export function readIpAddr(lines: readonly string[]): Interface[] {
  const interfaces: Interface[] = [];
  for (const line of lines) {
    const head = /^\d+: ([^:@\s]+)(?:@\S+)?: <([^>]*)>(?:.*?\bmtu (\d+))?(?:.*?\bstate (\S+))?/.exec(line);
    if (head !== null) {
      const [, name = "", flags = "", mtu] = head;
      interfaces.push({ name, state: stateOf(flags.split(",")), mtu: numberOf(mtu), addresses: [] });
      continue;
    }
    const last = interfaces.at(-1);
    const entry = /^\s+(link\/\S+|inet6?) (\S+)/.exec(line);
    if (last === undefined || entry === null) continue;
    const [, kind = "", value = ""] = entry;
    if (kind === "link/ether") last.mac = value;
    // A point-to-point address is written without its prefix: `inet 10.8.0.1 peer 10.8.0.2/32`.
    else if (kind.startsWith("inet"))
      last.addresses.push(value.includes("/") ? value : `${value}/${kind === "inet" ? 32 : 128}`);
  }
  return interfaces;
}

/** Administratively up and with a carrier; tunnels and loopback say UNKNOWN as state, so the flags decide. */
function stateOf(flags: readonly string[]): "up" | "down" {
  return flags.includes("UP") && flags.includes("LOWER_UP") ? "up" : "down";
}

/** `default via 192.0.2.1 dev eth0 proto dhcp metric 100`, nearest first. */
export function readIpRoutes(lines: readonly string[]): NonNullable<Network["gateways"]> {
  return lines
    .flatMap((line) => {
      const route = /^default via (?:inet6? )?(\S+)(?: dev (\S+))?/.exec(line);
      if (route === null) return [];
      const [, address = "", device] = route;
      return [{ address, interface: device, metric: Number(/ metric (\d+)/.exec(line)?.[1] ?? 0) }];
    })
    .sort((a, b) => Number(a.address.includes(":")) - Number(b.address.includes(":")) || a.metric - b.metric)
    .map(({ address, interface: device }) => ({ address, interface: device }));
}

/** Without `ip`: names from /sys, IPv6 addresses from if_inet6, IPv4 ones from the trie by the network they lie in. */
function readSysNet(sections: Sections): Interface[] {
  const interfaces = linesOf(sections, "interfaces").map((line): Interface => {
    const [path = "", ...words] = line.trim().split(" ");
    const values = new Map(words.map((word) => [word.slice(0, word.indexOf("=")), word.slice(word.indexOf("=") + 1)]));
    const name = path.slice(path.lastIndexOf("/") + 1);
    const mac = values.get("address") ?? "";
    const state = values.get("operstate");
    return {
      name,
      state: state === "up" || name === "lo" ? "up" : state === "down" ? "down" : undefined,
      mac: /^([0-9a-f]{2}:){5}[0-9a-f]{2}$/.test(mac) && mac !== "00:00:00:00:00:00" ? mac : undefined,
      mtu: numberOf(values.get("mtu")),
      addresses: [],
    };
  });
  const byName = new Map(interfaces.map((one) => [one.name, one]));
  const networks = procRoutes(sections).filter((route) => route.gateway === 0 && route.mask !== 0);
  for (const address of localAddresses(linesOf(sections, "trie"))) {
    const network = networks.find((route) => (address & route.mask) >>> 0 === route.destination);
    const owner = address >>> 24 === 127 ? byName.get("lo") : byName.get(network?.interface ?? "");
    owner?.addresses.push(`${dotted(address)}/${address >>> 24 === 127 ? 8 : prefixOf(network?.mask ?? 0xffffffff)}`);
  }
  for (const line of linesOf(sections, "inet6")) {
    const [hex = "", , prefix = "", , , name = ""] = line.trim().split(/\s+/);
    byName.get(name)?.addresses.push(`${ipv6Of(hex)}/${Number.parseInt(prefix, 16)}`);
  }
  return interfaces;
}

interface ProcRoute {
  interface: string;
  destination: number;
  gateway: number;
  mask: number;
  metric: number;
}

/** /proc/net/route: addresses as little-endian hex on the machines people have. */
function procRoutes(sections: Sections): ProcRoute[] {
  return linesOf(sections, "route").flatMap((line) => {
    const [name, destination = "", gateway = "", , , , metric, mask = ""] = line.trim().split(/\s+/);
    if (name === undefined || name === "Iface") return [];
    return [
      {
        interface: name,
        destination: swapped(destination),
        gateway: swapped(gateway),
        mask: swapped(mask),
        metric: Number(metric),
      },
    ];
  });
}

function readProcRoutes(sections: Sections): NonNullable<Network["gateways"]> {
  const four = procRoutes(sections)
    .filter((route) => route.destination === 0 && route.mask === 0 && route.gateway !== 0)
    .sort((a, b) => a.metric - b.metric)
    .map((route) => ({ address: dotted(route.gateway), interface: route.interface }));
  const six = linesOf(sections, "route6").flatMap((line) => {
    const words = line.trim().split(/\s+/);
    const [gateway = "", name] = [words[4], words[9]];
    return /^0*$/.test(gateway) ? [] : [{ address: ipv6Of(gateway), interface: name }];
  });
  return [...four, ...six];
}

/** Addresses whose next line in fib_trie says that they are ours: `|-- 192.0.2.2` then `/32 host LOCAL`. */
function localAddresses(lines: readonly string[]): number[] {
  const found = new Set<number>();
  lines.forEach((line, index) => {
    const address = /\|-- (\d+)\.(\d+)\.(\d+)\.(\d+)\s*$/.exec(line);
    if (address === null || !/\/32 host LOCAL/.test(lines[index + 1] ?? "")) return;
    found.add(address.slice(1).reduce((value, byte) => value * 256 + Number(byte), 0));
  });
  return [...found];
}

function swapped(hex: string): number {
  const bytes = hex.match(/../g)?.toReversed() ?? [];
  return Number.parseInt(bytes.join("") || "0", 16);
}

function dotted(address: number): string {
  return [24, 16, 8, 0].map((shift) => (address >>> shift) & 255).join(".");
}

function prefixOf(mask: number): number {
  return mask.toString(2).replaceAll("0", "").length;
}

/** 32 hex digits as people write them: the longest run of zero groups becomes `::` (RFC 5952). */
export function ipv6Of(hex: string): string {
  const groups = (hex.match(/.{4}/g) ?? []).map((group) => Number.parseInt(group, 16).toString(16));
  const text = groups.join(":");
  const runs = [...text.matchAll(/\b0(?::0\b)+/g)];
  const longest = runs.reduce<(typeof runs)[number] | undefined>(
    (a, b) => (a !== undefined && a[0].length >= b[0].length ? a : b),
    undefined,
  );
  if (longest === undefined) return text;
  const before = text.slice(0, longest.index).replace(/:$/, "");
  return `${before}::${text.slice(longest.index + longest[0].length).replace(/^:/, "")}`;
}
