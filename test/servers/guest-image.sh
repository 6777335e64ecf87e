#!/bin/bash
# Builds the root tree of the systemd guest from Debian packages and prints where it is.
#
#   guest-image.sh CACHE_DIR
#
# Built once per machine (under a minute on a good line) and again when this file changes or the package lists inside have grown old.
# Several callers at once are fine: one builds, the others wait. What the guest knows about package mirrors is taken
# from the machine that builds it. Needs root.
set -euo pipefail

cache=$1
packages=(
  systemd systemd-sysv dbus libpam-systemd # boots like a server, ssh sessions get scopes
  openssh-server sudo opendoas             # reached and become
  iproute2 procps netbase                  # ss, ip, ps
)
days_fresh=5

suite=bookworm
sources=()
if grep -qx 'ID=debian' /etc/os-release; then
  suite=$(. /etc/os-release && echo "$VERSION_CODENAME")
  # The machine's own mirrors; third-party lists stay outside.
  if [ -s /etc/apt/sources.list.d/debian.sources ]; then
    sources=(/etc/apt/sources.list.d/debian.sources)
  elif [ -s /etc/apt/sources.list ]; then
    sources=(/etc/apt/sources.list)
  fi
fi

mkdir -p "$cache"
chmod 0700 "$cache"
exec 9>"$cache/guest-image.lock"
flock 9

image=$cache/guest-$suite-$(cat "$0" "${sources[@]}" | sha256sum | cut -c1-12)
if [ -d "$image" ] && [ -z "$(find "$image/built" -mtime "+$days_fresh")" ]; then
  echo "$image"
  exit 0
fi

echo "building the systemd guest ($suite), once per machine: up to a minute" >&2
new=$cache/building
rm -rf "$new"
mkdir "$new"
trap 'rm -rf "$new"' EXIT

# How this machine's apt reaches its mirrors (proxies, clocks, certificates) holds for the guest's too.
apt_options=()
while read -r option; do apt_options+=("--aptopt=$option"); done < <(
  apt-config dump | grep -E '^Acquire::(Check-Valid-Until|Check-Date|https?::(Verify-Peer|Verify-Host)) ' || true
)

log=$new/log
if ! mmdebstrap --variant=minbase --mode=root --quiet "${apt_options[@]}" \
  --aptopt='APT::Install-Recommends "false"' --aptopt='Acquire::Languages "none"' \
  --skip=cleanup/apt/lists \
  --include="$(IFS=,; echo "${packages[*]}")" \
  "$suite" "$new/root" "${sources[@]}" >"$log" 2>&1 </dev/null; then
  cat "$log" >&2
  exit 1
fi

ssh-keygen -q -t ed25519 -N '' -C guest-user -f "$new/id_ed25519"
root=$new/root
# One host key for all guests of this image: no entropy or time spent at boot, and known_hosts is known beforehand.
rm -f "$root"/etc/ssh/ssh_host_*
ssh-keygen -q -t ed25519 -N '' -C guest-host -f "$root/etc/ssh/ssh_host_ed25519_key"
cp "$root/etc/ssh/ssh_host_ed25519_key.pub" "$new/host_key.pub"
cat >"$root/etc/ssh/sshd_config.d/test.conf" <<'CONF'
HostKey /etc/ssh/ssh_host_ed25519_key
PermitRootLogin prohibit-password
PasswordAuthentication yes
UseDNS no
MaxStartups 200
CONF

# root and `admin` (sudo without a password) log in by key, `ops` (sudo asks) also by password.
chroot "$root" useradd -m -s /bin/bash admin
chroot "$root" useradd -m -s /bin/bash ops
echo 'ops:guest-password' | chroot "$root" chpasswd
printf '%s\n' 'admin ALL=(ALL) NOPASSWD: ALL' 'ops ALL=(ALL) ALL' >"$root/etc/sudoers.d/test"
printf '%s\n' 'permit nopass admin' 'permit ops' >"$root/etc/doas.conf"
chmod 0440 "$root/etc/sudoers.d/test"
for home in root home/admin home/ops; do
  install -d -m 0700 "$root/$home/.ssh"
  install -m 0600 "$new/id_ed25519.pub" "$root/$home/.ssh/authorized_keys"
  chown -R --reference="$root/$home" "$root/$home/.ssh"
done

echo guest >"$root/etc/hostname"
printf '127.0.0.1 localhost guest\n::1 localhost\n' >"$root/etc/hosts"
: >"$root/etc/machine-id"
: >"$root/etc/resolv.conf"
chroot "$root" systemctl -q enable systemd-networkd ssh
chroot "$root" systemctl -q mask systemd-networkd-wait-online systemd-resolved getty.target console-getty \
  apt-daily.timer apt-daily-upgrade.timer e2scrub_all.timer fstrim.timer dpkg-db-backup.timer

rm "$log"
touch "$new/built"
for old in "$cache"/guest-*-*; do
  # A running guest holds a lock on its image.
  [ ! -e "$old/built" ] || flock -n "$old/built" rm -rf "$old" || true
done
[ ! -e "$image" ] || mv "$image" "$image-old-$$"
mv "$new" "$image"
echo "$image"
