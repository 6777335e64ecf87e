/** Linux: the questions a Linux machine answers, mostly from /proc and /sys, so that no tool needs to be there. */
import type { Adapter, OwnInfo } from "../detect.ts";
import { zoneOf } from "../posix/common.ts";
import { linesOf, numberOf, type Sections } from "../sections.ts";
import { cpuProgram, readCpu } from "./cpu.ts";
import { diskProgram, readDisks } from "./disks.ts";
import { memoryProgram, readMemory } from "./memory.ts";
import { networkProgram, readNetwork } from "./network.ts";
import { readRelease, releaseProgram } from "./release.ts";
import { readServices, servicesProgram } from "./services.ts";
import { readHardware, readVirtualization, virtualizationProgram } from "./virtualization.ts";

const restProgram = String.raw`
s uptime; show /proc/uptime
s timezone; show /etc/timezone
s passwd
[ -r /etc/passwd ] && while IFS=: read -r a b c d e f l; do printf '%s:%s:%s\n' "$a" "$c" "$l"; done </etc/passwd`.trim();

export const linux: Adapter = {
  uname: "Linux",
  program: [
    releaseProgram,
    cpuProgram,
    memoryProgram,
    diskProgram,
    networkProgram,
    servicesProgram,
    virtualizationProgram,
    restProgram,
  ].join("\n"),
  read: (sections) => ({
    os: readRelease(sections),
    hardware: readHardware(sections),
    cpu: readCpu(sections),
    ...readMemory(sections),
    disks: readDisks(sections),
    network: readNetwork(sections),
    services: readServices(sections),
    virtualization: readVirtualization(sections),
    users: readAccounts(linesOf(sections, "passwd")),
    uptime: numberOf(sections.get("uptime")?.split(" ")[0]),
    ...readZone(sections),
  }),
};

/** `name:uid:shell`. An account counts when its shell lets somebody in; who has a password is root's business. */
function readAccounts(lines: readonly string[]): OwnInfo["users"] {
  if (lines.length === 0) return undefined;
  const shells = lines.map((line) => line.split(":")[2]?.trim() ?? "");
  // passwd(5): an empty shell means /bin/sh. `sync`, `halt` and `shutdown` are commands, not shells.
  return { accounts: shells.filter((shell) => !/\/(nologin|false|true|sync|halt|shutdown)$/.test(shell)).length };
}

/** Where /etc/localtime is a copy instead of a link, Debian and Alpine keep the name beside it. */
function readZone(sections: Sections): Pick<OwnInfo, "time"> {
  if (zoneOf(sections.get("localtime") ?? "") !== undefined) return {};
  const name = (sections.get("timezone") ?? "").trim();
  return /^[A-Za-z0-9_+-]+(\/[A-Za-z0-9_+-]+)*$/.test(name) ? { time: { zone: name } } : {};
}
