/** Machine: load, memory and disks of a host, from one small program. What it cannot tell is absent. */
import type { HealthSeen } from "../health.ts";
import type { Host } from "../host.ts";
import { diskProgram, readDisks } from "../../platform/linux/disks.ts";
import { memoryProgram, readMemory } from "../../platform/linux/memory.ts";
import { macos } from "../../platform/macos/info.ts";
import { readDf } from "../../platform/posix/df.ts";
import { endSection, numberOf, readSections } from "../../platform/sections.ts";

export type Machine = Pick<HealthSeen, "load" | "memory" | "disks">;

/** Undefined: there is no POSIX shell, or the program did not come to its end. Rejects as `exec` does. */
export async function askMachine(host: Host, signal: AbortSignal): Promise<Machine | undefined> {
  const { stdout } = await host.exec(["sh", "-s"], { stdin: machineProgram, signal, timeout: patience });
  return readMachine(stdout.toString("utf8"));
}

/** Milliseconds. */
const patience = 10_000;

/** For any POSIX shell; a few short-lived processes, as it may run every few seconds. */
export const machineProgram = String.raw`{
LC_ALL=C; export LC_ALL
PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin:/usr/local/bin:/usr/bin:/bin
s() { printf '\036%s\n' "$1"; }
have() { command -v "$1" >/dev/null; }
show() { [ -r "$1" ] && while IFS= read -r l || [ -n "$l" ]; do printf '%s\n' "$l"; done <"$1"; }
os=$(uname -s)
s uname; echo "$os"
s threads; getconf _NPROCESSORS_ONLN
case $os in
Linux)
s loadavg; show /proc/loadavg
${memoryProgram}
${diskProgram}
s inodes; [ $# = 0 ] || df -iP "$@"
;;
Darwin)
${macos.program}
;;
*)
s loadavg; sysctl -n vm.loadavg | tr -d '{}'
s df; df -kPl || df -kP
;;
esac
s ${endSection}
} </dev/null 2>/dev/null
exit 0
`;

/** Pure. */
export function readMachine(text: string): Machine | undefined {
  const sections = readSections(text);
  if (!sections.has(endSection)) return undefined;
  const system = sections.get("uname");
  const mac = system === "Darwin" ? macos.read(sections) : undefined;
  const averages = mac?.cpu?.load ?? (sections.get("loadavg") ?? "").trim().split(/\s+/).map(numberOf);
  const [one, five, fifteen] = averages;
  const memory = mac === undefined ? readMemory(sections).memory : mac.memory;
  return {
    load:
      one === undefined || five === undefined || fifteen === undefined
        ? undefined
        : { one, five, fifteen, processors: numberOf(sections.get("threads")) },
    memory: memory && { total: memory.total, available: memory.available },
    disks: disksOf(system === "Linux" ? readDisks(sections) : (mac?.disks ?? elsewhere(sections.get("df"))), {
      inodes: readDf(sections.get("inodes") ?? ""),
    }),
  };
}

type Disk = {
  readonly mount: string;
  readonly size?: number | undefined;
  readonly available?: number | undefined;
  readonly readOnly?: boolean | undefined;
};

/** Those that can fill up, the largest first where there are very many. A few inodes only: some systems make them as needed. */
function disksOf(
  disks: readonly Disk[] | undefined,
  { inodes }: { inodes: ReturnType<typeof readDf> },
): Machine["disks"] {
  const found = (disks ?? []).flatMap(({ mount, size = 0, available, readOnly }) => {
    if (size === 0 || available === undefined || readOnly === true) return [];
    const count = inodes.get(mount);
    const inodesUsed = count === undefined || count.size === 0 ? undefined : count.used / count.size;
    return [{ mount, size, available: Math.min(available, size), inodesUsed }];
  });
  return found.length === 0 ? undefined : found.toSorted((a, b) => b.size - a.size).slice(0, mostDisks);
}

const mostDisks = 16;

/** BSDs: devices are paths, or pools of ZFS. */
function elsewhere(df: string | undefined): Disk[] {
  return [...readDf(df ?? "")]
    .filter(([, { device }]) => device.includes("/") && !device.startsWith("//"))
    .map(([mount, { size, available }]) => ({ mount, size, available }));
}
