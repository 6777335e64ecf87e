/**
 * apt steps as sh: one command that installs or removes all names at once, as root, without asking anything.
 * What apt says while it works goes to stdout; why it failed goes to stderr.
 */
import { quote, quoteArgv } from "../../argv.ts";
import type { Step } from "../../resource.ts";

type AptStep = Extract<Step, { do: "apt" }>;

/** Seconds to wait for another apt or dpkg when the resource gives no timeout. */
const lockSeconds = 300;

/**
 * `timeout` (seconds) bounds the wait for the lock only: apt is never ended in the middle of its work.
 * Exits with apt's code, or 1 when we refused; 127 where there is no apt.
 */
export function aptSteps(step: AptStep, timeout = lockSeconds): string {
  return `(
${setUp(Math.ceil(timeout))}
${step.action === "install" ? install(step.names) : remove(step.names)}
cat "$said" >&2
exit $rc
)`;
}

/**
 * Pattern-Only: `python3.1` is no regular expression. Old conffiles stay: they are what the user, or another resource,
 * wrote.
 */
const options = [
  "-y",
  "-q",
  "-oDpkg::Use-Pty=0",
  "-oDpkg::Options::=--force-confdef",
  "-oDpkg::Options::=--force-confold",
  "-oAPT::Cmd::Pattern-Only=true",
  "-oAcquire::Retries=3",
];

/**
 * apt itself waits for dpkg's locks only (and only since 1.9.11), not for those of the lists and the archive; so we
 * wait for all of them. Its messages are matched, hence no translation; C.UTF-8 rather than C, because some packages
 * take their encoding from the environment when they are installed (postgresql).
 */
function setUp(timeout: number): string {
  return `trap - HUP PIPE TERM INT; exec 3>&-; umask 022; unset LANGUAGE
PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin LC_ALL=C.UTF-8 DEBIAN_FRONTEND=noninteractive DEBIAN_PRIORITY=critical
APT_LISTCHANGES_FRONTEND=none APT_LISTBUGS_FRONTEND=none NEEDRESTART_SUSPEND=1 UCF_FORCE_CONFFOLD=1
export PATH LC_ALL DEBIAN_FRONTEND DEBIAN_PRIORITY APT_LISTCHANGES_FRONTEND APT_LISTBUGS_FRONTEND NEEDRESTART_SUSPEND UCF_FORCE_CONFFOLD
command -v apt-get >/dev/null || { echo 'apt-get: not found' >&2; exit 127; }
[ "$(id -u)" = 0 ] || { echo 'apt needs root: use --become, or become: true on the resource' >&2; exit 1; }
said=$(mktemp) || exit 1
trap 'rm -f "$said"' EXIT
trap 'exit 143' TERM INT
told= until=$(($(date +%s)+${timeout}))
apt() {
while :; do
left=$((until-$(date +%s))); [ $left -gt 0 ] || left=0
apt-get ${quoteArgv(options)} -oDPkg::Lock::Timeout=$left "$@" 2>"$said"
rc=$?
[ $rc -ne 0 ] && grep -q -e '^E: Could not get lock' -e 'is another process using it' -e 'locked by another process' "$said" || return $rc
[ $left -gt 0 ] || { echo 'gave up after waiting ${timeout} s for another program to give back the lock of apt' >&2; return $rc; }
[ -n "$told" ] || { told=1; echo 'waiting for another program to give back the lock of apt'; cat "$said"; }
sleep 1
done
}
heal() {
[ $rc -ne 0 ] || return 0
if grep -q 'dpkg --configure -a' "$said"; then
echo 'an earlier dpkg was interrupted: finishing its work'
dpkg --force-confdef --force-confold --configure -a 2>&1
go
fi
if [ $rc -ne 0 ] && grep -q -e '--fix-broken install' "$said"; then
echo 'some packages are half installed: completing them'
apt --no-remove --fix-broken install
[ $rc -ne 0 ] || go
fi
}`;
}

/** What apt says when a name, a version or a file is not what the lists say: reading them anew may help. */
const stale = [
  "Unable to locate package",
  "has no installation candidate",
  "Failed to fetch",
  "Unable to fetch",
  "unmet dependencies",
];

/** `--no-remove`: apt would make room for a package by removing others, and with -y it would not ask. */
function install(names: readonly string[]): string {
  return `go() { apt --no-remove install -- ${quoteArgv(names)}; }
go; heal
if [ $rc -ne 0 ] && grep -q ${stale.map((text) => `-e ${quote(text)}`).join(" ")} "$said"; then
echo 'the package lists lack something: reading them anew'
apt update || cat "$said" >&2
go
fi`;
}

/** What apt would take along is found by its own simulation, before anything is touched. */
function remove(names: readonly string[]): string {
  return `go() { apt remove -- ${quoteArgv(names)}; }
others=
for name in $(apt-get ${quoteArgv(options)} -s remove -- ${quoteArgv(names)} 2>/dev/null | sed -n 's/^Remv \\([^ ]*\\) .*/\\1/p'); do
case ${quote(` ${names.join(" ")} `)} in *" $name "*|*" \${name%%:*} "*) ;; *) others="$others $name";; esac
done
if [ -n "$others" ]; then
echo "this would remove other packages, too:$others" >&2
echo 'name them with state: absent as well, or keep them all' >&2
exit 1
fi
go; heal`;
}
