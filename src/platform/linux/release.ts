/** Release: which distribution, from os-release, or from the files that came before it. */
import type { OwnInfo } from "../detect.ts";
import { linesOf, type Sections } from "../sections.ts";

export const releaseProgram = String.raw`
s os-release; show /etc/os-release || show /usr/lib/os-release
s old-release
for f in /etc/redhat-release /etc/alpine-release /etc/debian_version /etc/SuSE-release /etc/arch-release; do
  if [ -r $f ]; then printf '%s ' $f; show $f; fi
done`.trim();

export function readRelease(sections: Sections): NonNullable<OwnInfo["os"]> {
  const release = osRelease(sections.get("os-release") ?? "");
  if (release.size === 0) return oldRelease(linesOf(sections, "old-release"));
  return {
    distro: release.get("ID") ?? "linux", // what os-release(5) says a missing ID means
    pretty: release.get("PRETTY_NAME") ?? release.get("NAME"),
    // Rolling distributions have no version; Debian testing has a code name only.
    version: release.get("VERSION_ID") ?? release.get("VERSION_CODENAME"),
    like: (release.get("ID_LIKE") ?? "").split(" ").filter((word) => word !== ""),
  };
}

/** `KEY="value"`, quoted and escaped as for a shell (os-release(5)). */
export function osRelease(text: string): Map<string, string> {
  const values = new Map<string, string>();
  for (const line of text.split("\n")) {
    const entry = /^\s*([A-Za-z_][A-Za-z0-9_]*)=(.*?)\s*$/.exec(line);
    if (entry === null) continue;
    const [, key = "", raw = ""] = entry;
    const single = /^'(.*)'$/.exec(raw);
    const value = single?.[1] ?? raw.replace(/^"(.*)"$/, "$1").replace(/\\(.)/g, "$1");
    if (value !== "") values.set(key, value);
  }
  return values;
}

/** `/etc/redhat-release CentOS release 6.10 (Final)`. */
function oldRelease(lines: readonly string[]): NonNullable<OwnInfo["os"]> {
  const entry = /^\/etc\/(redhat-release|alpine-release|debian_version|SuSE-release|arch-release)\s?(.*)$/.exec(
    lines[0] ?? "",
  );
  if (entry === null) return {};
  const [, file = "", text = ""] = entry;
  const distro = oldNames[file];
  const known = file === "redhat-release" && /^CentOS/i.test(text) ? "centos" : distro;
  return {
    distro: known,
    version: /\d+(?:\.\d+)*/.exec(text)?.[0],
    pretty: /[A-Za-z]/.test(text) ? text.trim() : undefined,
  };
}

const oldNames: Readonly<Record<string, string>> = {
  "redhat-release": "rhel",
  "alpine-release": "alpine",
  debian_version: "debian",
  "SuSE-release": "suse",
  "arch-release": "arch",
};
