/** Memory and swap, from meminfo, and what a container may use of them. */
import type { OwnInfo } from "../detect.ts";
import { numberOf, pairsOf, type Sections } from "../sections.ts";

export const memoryProgram = String.raw`
s meminfo
[ -r /proc/meminfo ] && while read -r k v; do
  case $k in Mem*|Swap[TF]*|Buffers:|Cached:) echo "$k $v" ;; esac
done </proc/meminfo
s memory-max; show /sys/fs/cgroup/memory.max || show /sys/fs/cgroup/memory/memory.limit_in_bytes`.trim();

export function readMemory(sections: Sections): Pick<OwnInfo, "memory" | "swap"> {
  const lines = pairsOf(sections.get("meminfo") ?? "", /:\s*/);
  const bytes = (name: string): number | undefined => {
    const kib = numberOf(lines.get(name)?.replace(/\s*kB$/, ""));
    return kib === undefined ? undefined : kib * 1024;
  };
  const total = bytes("MemTotal");
  if (total === undefined) return {};
  const available = bytes("MemAvailable") ?? guessAvailable(bytes);
  // "no limit" is `max` in cgroup v2 and a number beyond any memory in v1.
  const limit = numberOf(sections.get("memory-max"));
  const swapTotal = bytes("SwapTotal");
  const swapFree = bytes("SwapFree");
  return {
    memory: {
      total,
      available,
      used: available === undefined ? undefined : Math.max(0, total - available),
      limit: limit !== undefined && limit < total ? limit : undefined,
    },
    swap:
      swapTotal === undefined || swapFree === undefined ? undefined : { total: swapTotal, used: swapTotal - swapFree },
  };
}

/** Kernels before 3.14 do not say what is available. */
function guessAvailable(bytes: (name: string) => number | undefined): number | undefined {
  const free = bytes("MemFree");
  return free === undefined ? undefined : free + (bytes("Buffers") ?? 0) + (bytes("Cached") ?? 0);
}
