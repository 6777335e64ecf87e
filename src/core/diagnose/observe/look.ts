/** Look: what one program sees on the machine: room, load, clock, and what stands between an account and its login. */
import type { Host } from "../../host.ts";
import { type Space, readDf } from "../../../platform/posix/df.ts";
import { type Sections, linesOf, numberOf, readSections } from "../../../platform/sections.ts";

export interface Look {
  /** Milliseconds its clock is ahead of ours; undefined: it did not say. `blur`: how wrong that may be. */
  readonly clock: { readonly ahead: number; readonly blur: number } | undefined;
  readonly space: ReadonlyMap<string, Space>;
  /** Percent of inodes used, by mount point. */
  readonly inodes: ReadonlyMap<string, number>;
  readonly load: { readonly five: number; readonly processors: number } | undefined;
  /** Writing a small file in the home: undefined when it went well. */
  readonly writeError: string | undefined;
  readonly account: AccountView;
}

export interface AccountView {
  /** Could the program look as root? What it did not see is undefined below. */
  readonly isRoot: boolean;
  /** May it see the account's own files? */
  readonly sees: boolean;
  readonly passwd: { readonly uid: number; readonly home: string; readonly shell: string } | undefined;
  readonly shellExists: boolean;
  readonly groups: readonly string[];
  /** `sshd -T` for this account: keywords in lower case, one value per line. */
  readonly sshd: ReadonlyMap<string, readonly string[]> | undefined;
  /** File it was read from; undefined: the usual one. */
  readonly sshdConfig: string | undefined;
  readonly shadow: { readonly isLocked: boolean; readonly expires: number | undefined } | undefined;
  /** Days since 1970, there. */
  readonly today: number;
  readonly paths: readonly PathMode[];
  /** Lines of authorized_keys that hold the offered keys. */
  readonly matches: readonly {
    readonly key: string;
    readonly file: string;
    readonly line: number;
    readonly text: string;
  }[];
  readonly keyFiles: readonly string[];
}

/** `authorized_keys` and each folder above it up to the home. */
export interface PathMode {
  readonly path: string;
  readonly uid: number;
  /** As `ls` writes it: `drwxrwxrwx`. */
  readonly mode: string;
}

/** `keys`: base64 of the keys to look for. */
export async function look(host: Host, user: string, keys: readonly string[], signal: AbortSignal): Promise<Look> {
  const before = Date.now();
  const { stdout } = await host.exec(["sh", "-s", user, ...keys], { stdin: program, signal, timeout: 20_000 });
  const after = Date.now();
  return readLook(stdout.toString("utf8"), { before, after });
}

/** The clock is read first, so that the time the program takes blurs one side only. */
export function readLook(text: string, { before, after }: { before: number; after: number }): Look {
  const sections = readSections(text);
  const seconds = numberOf(sections.get("clock"));
  const [load, processors] = [sections.get("load"), numberOf(sections.get("processors"))];
  const five = numberOf(load?.split(" ")[1]);
  const writeError = sections.get("write") ?? "";
  return {
    // It tells whole seconds only.
    clock:
      seconds === undefined
        ? undefined
        : { ahead: seconds * 1000 + 500 - (before + after) / 2, blur: 500 + (after - before) / 2 },
    space: readDf(sections.get("df") ?? ""),
    inodes: new Map(
      [...readDf(sections.get("inodes") ?? "")].map(([mount, { size, used }]) => [
        mount,
        size > 0 ? (100 * used) / size : 0,
      ]),
    ),
    load: five === undefined || processors === undefined ? undefined : { five, processors },
    writeError: writeError === "" ? undefined : (writeError.split("\n").at(-1) ?? writeError),
    account: readAccount(sections, seconds ?? after / 1000),
  };
}

function readAccount(sections: Sections, seconds: number): AccountView {
  const [, , uid, , , home = "", shell = ""] = (sections.get("passwd") ?? "").split(":");
  const [locked, expires = ""] = (sections.get("shadow") ?? "").split(":");
  const settings = new Map<string, string[]>();
  for (const line of linesOf(sections, "sshd")) {
    const [keyword = "", ...value] = line.split(" ");
    settings.set(keyword.toLowerCase(), [...(settings.get(keyword.toLowerCase()) ?? []), value.join(" ")]);
  }
  const config = sections.get("sshd-config") ?? "";
  return {
    isRoot: sections.get("root") === "yes",
    sees: sections.get("root") === "yes" || sections.get("self") === "yes",
    passwd: uid === undefined ? undefined : { uid: Number(uid), home, shell },
    shellExists: sections.get("shell") === "yes",
    groups: (sections.get("groups") ?? "").split(" ").filter((name) => name !== ""),
    sshd: settings.size === 0 ? undefined : settings,
    sshdConfig: config === "" ? undefined : config,
    shadow:
      locked === undefined || locked === "" ? undefined : { isLocked: locked === "locked", expires: numberOf(expires) },
    today: Math.floor(seconds / 86_400),
    paths: linesOf(sections, "paths").flatMap((line) => {
      const row = /^(\S+)\s+\d+\s+(\d+)\s+\d+\s.*?(\/.*)$/.exec(line);
      return row === null ? [] : [{ mode: row[1] ?? "", uid: Number(row[2]), path: row[3] ?? "" }];
    }),
    matches: linesOf(sections, "matches").flatMap((line) => {
      const [key = "", file = "", number = "", ...rest] = line.split("\t");
      return file === "" ? [] : [{ key, file, line: Number(number), text: rest.join("\t") }];
    }),
    keyFiles: linesOf(sections, "key-files"),
  };
}

/**
 * Needs nothing but a POSIX shell; what a machine lacks is an empty section. The sshd that matters is the one we came
 * through, an ancestor of this shell: its command line names its config. Password hashes stay where they are.
 */
const program = String.raw`
exec 2>/dev/null
LC_ALL=C; export LC_ALL
PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin:/usr/local/bin:/usr/bin:/bin
s() { printf '\036%s\n' "$1"; }
s clock; date +%s
user=$1; shift
s df; df -kP "$HOME" /tmp /var
s inodes; df -iP "$HOME" /tmp /var
s load; cat /proc/loadavg || sysctl -n vm.loadavg | tr -d '{}' | sed 's/^ *//'
s processors; getconf _NPROCESSORS_ONLN
s write
t=$HOME/.ami-node-write.$$
(printf '%4096s' x >"$t") 2>&1
rm -f "$t"
if [ "$(id -u)" = 0 ]; then up=; root=yes; elif sudo -n true; then up='sudo -n'; root=yes; else up=; root=no; fi
s root; echo $root
s self; [ "$(id -un)" = "$user" ] && echo yes
s passwd; row=$(getent passwd "$user" || grep "^$user:" /etc/passwd); printf '%s\n' "$row"
home=$(printf '%s' "$row" | cut -d: -f6); sh=$(printf '%s' "$row" | cut -d: -f7)
s shell; [ -x "$sh" ] && echo yes
s groups; id -Gn "$user"
p=$PPID; config=
while [ "$p" -gt 1 ]; do
  line=$(tr '\0' ' ' <"/proc/$p/cmdline")
  case $line in *sshd*' -f '*) config=$(printf '%s' "$line" | sed 's/.* -f *\([^ ]*\).*/\1/'); break ;; esac
  p=$(sed 's/.*) . //; s/ .*//' "/proc/$p/stat"); [ -n "$p" ] || break
done
s sshd-config; printf '%s\n' "$config"
addr=$(printf '%s' "$SSH_CONNECTION" | cut -d' ' -f1)
settings=
[ $root = yes ] && settings=$($up sshd -T $([ -z "$config" ] || printf '%s %s' -f "$config") -C "user=$user,host=localhost,addr=$([ -n "$addr" ] && echo $addr || echo 127.0.0.1)")
s sshd; printf '%s\n' "$settings"
s shadow
[ $root = yes ] && $up getent shadow "$user" | awk -F: '{ print ($2 ~ /^!/ ? "locked" : "open") ":" $8 }'
files=$(printf '%s\n' "$settings" | sed -n 's/^authorizedkeysfile //p')
[ -n "$files" ] || files=.ssh/authorized_keys
list=$(for f in $files; do
  f=$(printf '%s' "$f" | sed "s|%h|$home|g; s|%u|$user|g; s|%%|%|g")
  case $f in /*) ;; *) f=$home/$f ;; esac
  printf '%s\n' "$f"
done)
s key-files; printf '%s\n' "$list"
s paths
for f in $list; do
  $up test -e "$f" || continue
  d=$f
  while :; do
    $up ls -ldn "$d"
    [ "$d" = "$home" ] || [ "$d" = / ] && break
    d=$(dirname "$d")
  done
done
s matches
for f in $list; do for k in "$@"; do
  $up grep -nF -- "$k" "$f" | sed "s|^\([0-9]*\):|$k	$f	\1	|"
done; done
s end
`;
