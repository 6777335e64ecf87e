/** Disks: the mounted file systems that hold files, each device once, with what is used of it. */
import type { OwnInfo } from "../detect.ts";
import { readDf } from "../posix/df.ts";
import { linesOf, type Sections } from "../sections.ts";

/**
 * Only file systems that are real are given to df: it would otherwise wake every automount. One on the network is
 * asked by itself and with a deadline, because a dead server makes df wait for ever. Containers have single files
 * mounted (/etc/hosts); those are no disks.
 */
export const diskProgram = String.raw`
set --; far=
[ -r /proc/mounts ] && s mounts && while read -r d m t o l; do
  case $t in
    proc|sysfs|devtmpfs|devpts|tmpfs|ramfs|rootfs|cgroup|cgroup2|securityfs|debugfs|tracefs|configfs|pstore|bpf|mqueue|hugetlbfs) [ "$m" = / ] || continue ;;
    autofs|binfmt_misc|fusectl|fuse.gvfsd-fuse|fuse.portal|fuse.lxcfs|rpc_pipefs|nfsd|efivarfs|selinuxfs|squashfs|nsfs|overlay|aufs|iso9660) [ "$m" = / ] || continue ;;
  esac
  case $m in /run/host/*|*%*) continue ;; esac
  case $o in ro|ro,*) o=ro ;; *) o=rw ;; esac
  w="$d $m $t $o"
  case $m in *\\*) m=$(printf "$m") ;; esac
  case $t in
    nfs*|cifs|smb*|9p|ceph|glusterfs|lustre|afs|fuse.sshfs|fuse.rclone|fuse.s3fs|davfs) far="$far$m
" ;;
    *) [ -d "$m" ] || continue; set -- "$@" "$m" ;;
  esac
  printf '%s\n' "$w"
done </proc/mounts
s df
[ $# = 0 ] || df -kP "$@"
if have timeout; then
  printf '%s' "$far" | while IFS= read -r m; do timeout -s KILL 3 df -kP "$m"; done
fi`.trim();

export function readDisks(sections: Sections): OwnInfo["disks"] {
  if (!sections.has("mounts")) return undefined;
  const spaces = readDf(sections.get("df") ?? "");
  const disks = linesOf(sections, "mounts").flatMap((line) => {
    const [device, mount, type, options] = line.split(" ").map(unescape);
    if (device === undefined || mount === undefined || type === undefined) return [];
    const space = spaces.get(mount);
    return [
      {
        mount,
        device,
        type,
        size: space?.size,
        used: space?.used,
        available: space?.available,
        readOnly: options === "ro" ? true : undefined,
      },
    ];
  });
  return onePerDevice(disks).sort((a, b) => (a.mount < b.mount ? -1 : 1));
}

/** Bind mounts and subvolumes show one device in many places: the shortest path is the place it was mounted at. */
function onePerDevice<D extends { mount: string; device: string }>(disks: readonly D[]): D[] {
  const kept = new Map<string, D>();
  for (const disk of disks) {
    // A device that is not a path (`overlay`, `tmpfs`, `server:/export`) may well be several file systems.
    const key = disk.device.startsWith("/") ? disk.device : `${disk.device} ${disk.mount}`;
    const other = kept.get(key);
    // The later of two mounts at one place hides the earlier.
    if (other === undefined || disk.mount.length <= other.mount.length) kept.set(key, disk);
  }
  return [...kept.values()];
}

/** /proc/mounts writes blanks and backslashes as octal: `/mnt/my\040disk`. */
function unescape(word: string): string {
  return word.replace(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8)));
}
