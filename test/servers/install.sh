#!/bin/bash
# Installs the Debian packages that the tests talk to. Safe to repeat; does nothing, fast, when all is there.
#
#   install.sh               everything
#   install.sh --print       what is missing, installing nothing
#
# Needs root (or sudo that asks no password) and apt. Elsewhere it says so and changes nothing.
set -euo pipefail

# package            what the tests do with it
wanted=(
  openssh-server     # sshd on loopback
  openssh-client     # ssh -G, ssh-keygen, ssh-agent: what our own parsers are held against
  libpam-google-authenticator # one-time codes
  curl               # SOCKS by somebody else's client
  sudo opendoas      # becoming another user
  passwd login       # useradd, su
  busybox-static     # ash and its userland; conflicts with busybox
  bash dash zsh fish tcsh # login shells of target users, completion
  tmux screen vim-tiny less # raw terminals and what runs in them
  iproute2 procps psmisc util-linux # ps, ip, kill, setpriv, unshare, nsenter, flock
  gnome-keyring dbus # a Secret Service for the vault
  iptables           # firewalls in a network namespace of a test
  git                # diff of generated files
  ca-certificates    # https in apt and npm
  gcc                # the grafts of the executables, made anew and compared
  musl               # the loader of the musl binary
  qemu-user-static libc6-arm64-cross # smoke run of the arm64 binary
  systemd-container mmdebstrap debian-archive-keyring # the systemd guest
)

missing() {
  local known name
  known=$(dpkg-query -W -f '${Package} ${db:Status-Status}\n' | awk '$2 == "installed" { print $1 }')
  for name in "${wanted[@]}"; do
    # On arm64 machines the arm64 binary needs no emulator.
    case $name in qemu-user-static | libc6-arm64-cross) [ "$(dpkg --print-architecture)" = amd64 ] || continue ;; esac
    grep -qxF "$name" <<<"$known" || printf '%s\n' "$name"
  done
}

as_root() {
  if [ "$(id -u)" = 0 ]; then "$@"; else sudo -n "$@"; fi
}

if ! command -v dpkg-query >/dev/null || ! command -v apt-get >/dev/null; then
  echo "install.sh: no apt here; tests that need these programs will be skipped" >&2
  exit 0
fi

mapfile -t packages < <(missing)
if [ "${1-}" = --print ]; then
  [ ${#packages[@]} = 0 ] || printf '%s\n' "${packages[@]}"
  exit 0
fi
# sshd refuses to start without its private folder, which the service would have made.
[ -d /run/sshd ] || as_root mkdir -p -m 0755 /run/sshd
if [ ${#packages[@]} = 0 ]; then
  echo "install.sh: all ${#wanted[@]} packages are there"
  exit 0
fi

echo "install.sh: installing ${packages[*]}"
log=$(mktemp)
trap 'rm -f "$log"' EXIT
quietly() {
  # Another apt may be running: wait for its lock instead of failing.
  if ! as_root env DEBIAN_FRONTEND=noninteractive LC_ALL=C apt-get -qq -o DPkg::Lock::Timeout=300 "$@" </dev/null >"$log" 2>&1; then
    cat "$log" >&2
    echo "install.sh: apt-get $1 failed" >&2
    return 1
  fi
}
quietly update
# A stopped sshd is enough: the tests start their own on free ports. policy-rc.d keeps packages from starting services.
policy=/usr/sbin/policy-rc.d
if [ ! -e $policy ]; then
  printf '#!/bin/sh\nexit 101\n' | as_root tee $policy >/dev/null
  as_root chmod 755 $policy
  trap 'as_root rm -f "$policy"; rm -f "$log"' EXIT
fi
quietly install -y --no-install-recommends "${packages[@]}"
echo "install.sh: done"
