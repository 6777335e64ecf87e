/** What a machine is, from `uname`, `id`, `$HOME` and os-release as the observe program prints them. */
import type { OsFacts } from "../facts.ts";

export function readOs(text: string): OsFacts {
  const [uname = "", id = "", home = "", ...rest] = text.split("\n");
  const [sysname = "", hostname = "", kernel = "", machine = ""] = uname.split(" ");
  const release = keyValues(rest);
  const os = systems[sysname] ?? sysname.toLowerCase();
  const user = /^uid=(\d+)(?:\(([^)]*)\))?/.exec(id);
  return {
    os,
    distro: release.get("ID") ?? os,
    version: release.get("VERSION_ID") ?? release.get("ProductVersion") ?? kernel,
    like: (release.get("ID_LIKE") ?? "").split(" ").filter((word) => word !== ""),
    arch: machines[machine] ?? machine,
    kernel,
    hostname,
    user: user?.[2] ?? user?.[1] ?? "",
    uid: Number(user?.[1] ?? -1),
    home,
  };
}

const systems: Record<string, string> = {
  Linux: "linux",
  Darwin: "macos",
  FreeBSD: "freebsd",
  OpenBSD: "openbsd",
  NetBSD: "netbsd",
  SunOS: "solaris",
};
const machines: Record<string, string> = {
  x86_64: "x64",
  amd64: "x64",
  aarch64: "arm64",
  arm64: "arm64",
  armv7l: "arm",
  i686: "x86",
  i386: "x86",
};

/** `KEY="value"` of os-release and `Key:\tvalue` of sw_vers. */
function keyValues(lines: readonly string[]): Map<string, string> {
  const pairs = new Map<string, string>();
  for (const line of lines) {
    const entry = /^([A-Za-z_]+)(?:=|:\s+)(.*)$/.exec(line);
    if (entry)
      pairs.set(
        entry[1] ?? "",
        (entry[2] ?? "")
          .trim()
          .replace(/^(["'])(.*)\1$/, "$2")
          .replace(/\\(.)/g, "$1"),
      );
  }
  return pairs;
}
