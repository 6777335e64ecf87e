/** Cpu: model, sockets, cores, threads, load, and what a container may use of them. */
import type { OwnInfo } from "../detect.ts";
import { linesOf, numberOf, pairsOf, type Sections } from "../sections.ts";

/** A big machine has a megabyte of cpuinfo: grep keeps the four lines that matter of each processor. */
export const cpuProgram = String.raw`
if have grep; then
  s processors; grep -E '^(processor|physical id|core id)' /proc/cpuinfo
  s cpu; grep -m1 -E '^(model name|cpu model|cpu	|uarch|machine)' /proc/cpuinfo; grep -m1 -E '^(Hardware|Model|vendor_id)' /proc/cpuinfo
fi
if have lscpu && ! grep -q '^model name' /proc/cpuinfo; then s lscpu; lscpu; fi
s loadavg; show /proc/loadavg
s cpu-max; show /sys/fs/cgroup/cpu.max
s cpu-quota; show /sys/fs/cgroup/cpu/cpu.cfs_quota_us && show /sys/fs/cgroup/cpu/cpu.cfs_period_us`.trim();

export function readCpu(sections: Sections): OwnInfo["cpu"] {
  const cpu = {
    model: modelOf(sections),
    ...countsOf(linesOf(sections, "processors")),
    limit: limitOf(sections),
    load: loadOf(sections.get("loadavg") ?? ""),
  };
  return Object.values(cpu).some((value) => value !== undefined) ? cpu : undefined;
}

/** x86 and MIPS say a model in cpuinfo; arm64 says part numbers, which lscpu has names for; boards say their own. */
function modelOf(sections: Sections): string | undefined {
  const own = pairsOf(sections.get("cpu") ?? "", /\s*:\s*/);
  const named = pairsOf(sections.get("lscpu") ?? "", /\s*:\s*/).get("Model name");
  const model = own.get("model name") ?? own.get("cpu model") ?? own.get("cpu") ?? own.get("uarch");
  const found =
    model ?? (named === "-" ? undefined : named) ?? own.get("Hardware") ?? own.get("Model") ?? own.get("machine");
  const tidy = found?.replace(/\s+/g, " ").trim();
  return tidy === "" ? undefined : tidy;
}

/**
 * Threads are the processors listed. Cores are the distinct pairs of socket and core; without those lines (arm, and
 * many virtual machines) nothing is said about them.
 */
function countsOf(lines: readonly string[]): { threads?: number; cores?: number; sockets?: number } {
  let threads = 0;
  let socket: string | undefined;
  const sockets = new Set<string>();
  const cores = new Set<string>();
  for (const line of lines) {
    const [key = "", value = ""] = line.split(":").map((word) => word.trim());
    if (key === "processor" || /^processor \d+$/.test(key)) {
      threads++;
      socket = undefined;
    } else if (key === "physical id") sockets.add((socket = value));
    else if (key === "core id" && socket !== undefined) cores.add(`${socket}/${value}`);
  }
  return {
    ...(threads === 0 ? {} : { threads }),
    ...(cores.size === 0 ? {} : { cores: cores.size }),
    ...(sockets.size === 0 ? {} : { sockets: sockets.size }),
  };
}

/** cgroup v2: `200000 100000` or `max 100000`; v1: quota and period on two lines, -1 for none. */
function limitOf(sections: Sections): number | undefined {
  const [quota, period] = (sections.get("cpu-max") || sections.get("cpu-quota") || "").split(/\s+/).map(numberOf);
  if (quota === undefined || period === undefined || quota <= 0 || period <= 0) return undefined;
  return Math.round((quota / period) * 100) / 100;
}

function loadOf(text: string): [number, number, number] | undefined {
  const [one, five, fifteen] = text.split(" ").map(numberOf);
  return one === undefined || five === undefined || fifteen === undefined ? undefined : [one, five, fifteen];
}
