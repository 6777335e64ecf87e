/** Services: which init runs as process 1 and what manages services. */
import type { OwnInfo } from "../detect.ts";
import { linesOf, type Sections } from "../sections.ts";

export const servicesProgram = String.raw`
s init; show /proc/1/comm
s init-file; readlink -f /sbin/init
s service-signs
[ -d /run/systemd/system ] && echo systemd
[ -e /run/openrc/softlevel ] && echo openrc
[ -e /etc/inittab ] && [ -d /etc/init.d ] && echo sysvinit`.trim();

export function readServices(sections: Sections): OwnInfo["services"] {
  const comm = sections.get("init")?.trim();
  const file = (sections.get("init-file") ?? "").split("/").at(-1) ?? "";
  const signs = linesOf(sections, "service-signs");
  const init = comm === undefined || comm === "" ? undefined : named(comm, file);
  const manager = managerOf(comm ?? "", signs);
  return init === undefined && manager === undefined ? undefined : { manager, init };
}

/** Only a manager that runs counts: the files of systemd and openrc also lie in containers that run neither. */
function managerOf(comm: string, signs: readonly string[]): string | undefined {
  const running = signs.find((sign) => sign === "systemd" || sign === "openrc") ?? processes[comm];
  return running ?? (comm === "init" ? signs.find((sign) => sign === "sysvinit") : undefined);
}

const processes: Readonly<Record<string, string>> = {
  systemd: "systemd",
  runit: "runit",
  "s6-svscan": "s6",
  procd: "procd",
  dinit: "dinit",
  launchd: "launchd",
};

/** `init` says little: the file it is says more (`busybox`, `openrc-init`, `systemd`). */
function named(comm: string, file: string): string {
  return comm === "init" && file !== "" && file !== "init" ? file : comm;
}
