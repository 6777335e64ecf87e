/** Address: host names as ssh takes them into use: lower case, numeric addresses in their one normal form. */
import { isIPv6 } from "node:net";

/** `family`: of AddressFamily; an address of another one is left as it stands. */
export function normalHostName(host: string, family = "any"): string {
  const [address, scope] = host.split("%", 2);
  if (family === "inet" && address !== undefined && isIPv6(address)) return host;
  if (family === "inet6" && ipv4Of(host) !== undefined) return host;
  if (address !== undefined && isIPv6(address)) {
    return scope === undefined ? shortIpv6(address) : `${shortIpv6(address)}%${scope}`;
  }
  return ipv4Of(host) ?? host.toLowerCase();
}

/** inet_aton(3): `127.1` and `0x7f000001` are addresses too. */
function ipv4Of(text: string): string | undefined {
  const parts = text.split(".");
  if (parts.length > 4 || !parts.every((part) => /^(0x[0-9a-f]+|0[0-7]*|[1-9][0-9]*)$/i.test(part))) return undefined;
  const numbers = parts.map((part) => (/^0[0-7]+$/.test(part) ? Number.parseInt(part, 8) : Number(part)));
  const last = numbers.pop() ?? 0;
  if (numbers.some((number) => number > 255) || last >= 256 ** (4 - numbers.length)) return undefined;
  const tail = Array.from(
    { length: 4 - numbers.length },
    (_, i) => Math.floor(last / 256 ** (3 - numbers.length - i)) % 256,
  );
  return [...numbers, ...tail].join(".");
}

/** As inet_ntop(3) writes it. */
function shortIpv6(address: string): string {
  const groups = groupsOf(address.toLowerCase());
  if (
    groups.slice(0, 5).every((group) => group === 0) &&
    (groups[5] === 0xffff || (groups[5] === 0 && groups[6] !== 0))
  ) {
    const [high = 0, low = 0] = groups.slice(6);
    const dotted = [high >> 8, high & 255, low >> 8, low & 255].join(".");
    return groups[5] === 0xffff ? `::ffff:${dotted}` : `::${dotted}`;
  }
  const text = groups.map((group) => group.toString(16)).join(":");
  const runs = [...text.matchAll(/(?<![0-9a-f])0(?::0)+(?![0-9a-f])/g)];
  const longest = runs.toSorted((a, b) => b[0].length - a[0].length)[0];
  if (longest === undefined) return text;
  const head = text.slice(0, longest.index).replace(/:$/, "");
  const tail = text.slice(longest.index + longest[0].length).replace(/^:/, "");
  return `${head}::${tail}`;
}

function groupsOf(address: string): number[] {
  const hex = address.replace(/(\d+)\.(\d+)\.(\d+)\.(\d+)$/, (_all, a, b, c, d) =>
    [(Number(a) << 8) | Number(b), (Number(c) << 8) | Number(d)].map((group) => group.toString(16)).join(":"),
  );
  const [head = "", tail] = hex.split("::");
  const before = head === "" ? [] : head.split(":");
  const after = tail === undefined || tail === "" ? [] : tail.split(":");
  const zeros = tail === undefined ? [] : Array<string>(8 - before.length - after.length).fill("0");
  return [...before, ...zeros, ...after].map((group) => Number.parseInt(group, 16));
}
