#!/bin/bash
# Boots one systemd guest and ends it when stdin ends, however the caller ended.
#
#   guest-run.sh IMAGE_DIR
#
# Prints one line, `SLOT PID DIR`, once the guest's init runs: the slot numbers the guest on this machine and gives it
# its network (host 10.213.SLOT.1, guest 10.213.SLOT.2) and its labels; PID is its init, for nsenter; DIR holds what an
# ssh client needs (identity, known_hosts, config). The console goes to stderr. All mounts live in a mount namespace of
# their own, so they end with the last process.
set -euo pipefail

image=$1
if [ "${2-}" != inside ]; then
  exec unshare --mount --propagation private "$0" "$image" inside
fi

slots=/run/ami-node-guest
mkdir -p -m 0700 $slots
for ((slot = 1; slot <= 100; slot++)); do
  exec 9>"$slots/$slot.lock"
  if flock -n 9; then break; fi
done
[ "$slot" -le 100 ] || { echo "guest-run.sh: 100 guests run already" >&2; exit 1; }
exec 8<"$image/built"
flock -s 8
name=amiguest$slot

cgroups() {
  local dir
  for dir in /sys/fs/cgroup /sys/fs/cgroup/*; do
    # cpuset groups start without processors; the guest does well without one.
    [ -w "$dir/cgroup.procs" ] && [ "${dir##*/}" != cpuset ] && printf '%s\n' "$dir/$name"
  done
}

# Ends what runs under this slot's label and removes it; also what a supervisor killed with KILL left.
clean() {
  local dir
  for dir in $(cgroups); do
    for _ in {1..100}; do
      [ -d "$dir" ] || break
      find "$dir" -name cgroup.procs -exec cat {} + 2>/dev/null | sort -u | xargs -r kill -KILL 2>/dev/null || true
      find "$dir" -depth -type d -exec rmdir {} + 2>/dev/null || sleep 0.05
    done
  done
  ip link del "ve-$name" 2>/dev/null || true
  rm -rf "/run/systemd/nspawn/propagate/$name" "$slots/$slot.ssh"
}
clean
trap 'disown -a; clean' EXIT
trap 'exit 143' TERM INT HUP

# Nothing a guest writes outlives it or waits for a disk.
work=$slots/$slot
mkdir -p "$work"
mount -t tmpfs -o size=2g,mode=0755 guest "$work"
mkdir "$work"/{upper,work,root}
mount -t overlay -o "lowerdir=$image/root,upperdir=$work/upper,workdir=$work/work" guest "$work/root"
cat >"$work/root/etc/systemd/network/10-host0.network" <<CONF
[Match]
Name=host0
[Network]
Address=10.213.$slot.2/24
LinkLocalAddressing=no
CONF
cat >"$work/root/etc/apt/apt.conf.d/98proxy" <<CONF
Acquire::http::Proxy "http://10.213.$slot.1:3142";
Acquire::https::Proxy "http://10.213.$slot.1:3142";
CONF

ssh=$slots/$slot.ssh
mkdir -m 0700 "$ssh"
install -m 0600 "$image/id_ed25519" "$ssh/identity"
echo "10.213.$slot.2 $(cat "$image/host_key.pub")" >"$ssh/known_hosts"
cat >"$ssh/config" <<CONF
Host guest
  HostName 10.213.$slot.2
  User root
  IdentityFile $ssh/identity
  IdentitiesOnly yes
  UserKnownHostsFile $ssh/known_hosts
  GlobalKnownHostsFile none
CONF

# Descriptors 8 and 9 stay ours, so that no lock outlives this process.
(
  for dir in $(cgroups); do
    mkdir "$dir"
    echo "$BASHPID" >"$dir/cgroup.procs"
  done
  exec setpriv --pdeathsig KILL systemd-nspawn -q --register=no --keep-unit -b -D "$work/root" --machine="$name" \
    --network-veth --resolv-conf=off --timezone=off --link-journal=no --console=pipe --kill-signal=SIGRTMIN+4
) </dev/null >&2 8<&- 9>&- &
nspawn=$!

leader=
for _ in {1..200}; do
  leader=$(cat "/proc/$nspawn/task/$nspawn/children" 2>/dev/null || true)
  if [ -n "$leader" ] && ip addr add "10.213.$slot.1/24" dev "ve-$name" 2>/dev/null; then break; fi
  kill -0 "$nspawn" 2>/dev/null || { echo "guest-run.sh: systemd-nspawn ended at once" >&2; exit 1; }
  sleep 0.05
done
ip link set "ve-$name" up
# Only now: before its network is there, the first child is a go-between that ends soon.
leader=$(cat "/proc/$nspawn/task/$nspawn/children")
echo "$slot ${leader%% *} $ssh"

# `cat` returns when the caller closed our stdin or died; the guest may also end by itself.
cat <&0 >/dev/null &
wait -n "$nspawn" $! || true
