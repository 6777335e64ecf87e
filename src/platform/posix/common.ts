/** Common: what every POSIX system is asked in the same way. */
import type { OwnInfo } from "../detect.ts";
import { linesOf, type Sections } from "../sections.ts";
import { readWho } from "./who.ts";

/**
 * `s NAME` begins a section; `have PROGRAM` asks whether there is one; `show FILE` prints a file without a child
 * process (a read loop, so that it works where there is no cat). sbin is not on everybody's PATH, but `ip` is there.
 */
export const commonProgram = String.raw`
LC_ALL=C; export LC_ALL
PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin:/usr/local/bin:/usr/bin:/bin:/opt/homebrew/bin
s() { printf '\036%s\n' "$1"; }
have() { command -v "$1" >/dev/null; }
show() { [ -r "$1" ] && while IFS= read -r l || [ -n "$l" ]; do printf '%s\n' "$l"; done <"$1"; }
s uname; uname -snrm
s id; id
s home; printf '%s\n' "$HOME"
s date; date '+%s %z %Z'
s localtime; readlink /etc/localtime
s sh
if [ -n "$BASH_VERSION" ]; then echo "bash $BASH_VERSION"
elif [ -n "$ZSH_VERSION" ]; then echo "zsh $ZSH_VERSION"
elif [ -n "$KSH_VERSION" ]; then echo "ksh $KSH_VERSION"
else readlink -f "/proc/$$/exe" || readlink -f "$(command -v sh)"; fi
have who && { s who; who; s who-ran; echo yes; }
s resolv; show /etc/resolv.conf
s managers
for t in apt-get dnf yum zypper pacman apk xbps-install emerge opkg nix-env brew port pkg snap flatpak; do command -v $t; done
s tools
for t in sudo doas su docker podman kubectl python3 python perl node ruby git rsync tar curl wget systemctl tmux vim; do command -v $t; done
`.trim();

type Common = Pick<OwnInfo, "login" | "users" | "packages" | "shell" | "network"> & {
  time: NonNullable<OwnInfo["time"]>;
  tools: Record<string, string>;
};

export function readCommon(sections: Sections): Common {
  const managers = linesOf(sections, "managers").map((path) => managerNames[baseName(path)] ?? baseName(path));
  const [manager, ...others] = unique(managers);
  const dns = readResolv(linesOf(sections, "resolv"));
  return {
    login: readId(sections),
    shell: readShell(sections.get("sh") ?? ""),
    packages: manager === undefined ? undefined : { manager, others },
    users: sections.has("who-ran") ? { loggedIn: readWho(linesOf(sections, "who")) } : undefined,
    network: dns === undefined ? undefined : { dns },
    time: readTime(sections),
    tools: Object.fromEntries(linesOf(sections, "tools").map((path) => [baseName(path), path])),
  };
}

function readId(sections: Sections): OwnInfo["login"] {
  const id = /^uid=(\d+)(?:\(([^)]*)\))?/.exec(sections.get("id") ?? "");
  if (id === null) return undefined;
  const home = sections.get("home");
  return { name: id[2] ?? id[1] ?? "", uid: Number(id[1]), home: home === "" ? undefined : home };
}

/** `1795204102 +0000 UTC` and where /etc/localtime points. */
function readTime(sections: Sections): Common["time"] {
  const [seconds = "", offset = "", abbreviation = ""] = (sections.get("date") ?? "").trim().split(" ");
  return {
    // busybox without the format prints it as it is.
    now: /^\d{1,12}$/.test(seconds) ? new Date(Number(seconds) * 1000).toISOString() : undefined,
    zone: zoneOf(sections.get("localtime") ?? ""),
    offset: /^[+-]\d{4}$/.test(offset) ? offset : undefined,
    abbreviation: /^[A-Z]+$/.test(abbreviation) ? abbreviation : undefined,
  };
}

/** The name behind a path into the zone files: `/usr/share/zoneinfo/Europe/Berlin` -> `Europe/Berlin`. */
export function zoneOf(path: string): string | undefined {
  return /zoneinfo\/(?:posix\/|right\/)?(.+)$/.exec(path.trim())?.[1];
}

/** Shells that know their version say it themselves; the others are known by the file they are. */
function readShell(text: string): string | undefined {
  const line = text.trim();
  if (line.startsWith("/")) return baseName(line);
  // mksh and ksh93 begin with a mark of their own: `@(#)MIRBSD KSH R59`, `Version AJM 93u+`.
  return line === "" ? undefined : line.replace(/^(bash \d+(?:\.\d+)*).*$/, "$1");
}

export function readResolv(lines: readonly string[]): { servers: string[]; search: string[] } | undefined {
  const values = (keyword: string): string[] =>
    lines.flatMap((line) => {
      const [first, ...words] = line.trim().split(/\s+/);
      return first === keyword ? words : [];
    });
  const servers = values("nameserver");
  const search = [...values("search"), ...values("domain")].filter((word) => word !== ".");
  return servers.length === 0 && search.length === 0 ? undefined : { servers: unique(servers), search: unique(search) };
}

/** Programs whose package manager people call by another name. The order of asking decides which is the system's own. */
const managerNames: Readonly<Record<string, string>> = {
  "apt-get": "apt",
  "xbps-install": "xbps",
  emerge: "portage",
  "nix-env": "nix",
  port: "macports",
};

function baseName(path: string): string {
  return path.slice(path.lastIndexOf("/") + 1).trim();
}

function unique(words: readonly string[]): string[] {
  return [...new Set(words)];
}
