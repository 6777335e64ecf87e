/** Health: what would make work on the machine fail although the login works. Pure. */
import { quote } from "../../argv.ts";
import { about, certain, type Finding, likely, there } from "../finding.ts";
import type { Look } from "../observe/look.ts";
import { isTooOpen } from "./refusal.ts";

const { ok, warn, fail, skipped } = about("health");

export function judgeHealth(seen: Look | undefined): Finding[] {
  if (seen === undefined)
    return [
      skipped(
        "health",
        "the program that looks around did not come to its end: no POSIX shell there, or nothing gets through",
      ),
    ];
  return [
    ...room(seen),
    ...load(seen),
    ...clock(seen),
    ...modes(seen),
    seen.account.sshd === undefined
      ? skipped("health.sshd", "sshd -T was not asked: it needs root or sudo without a password")
      : ok("health.sshd", "sshd -T reads its config without a complaint"),
  ];
}

function room({ space, inodes, writeError }: Look): Finding[] {
  const rows = [...space].map(
    ([mount, { size, available }]) => `${mount}: ${mebi(available)} MiB of ${mebi(size)} MiB free`,
  );
  const evidence = [...rows, ...(writeError === undefined ? [] : [`writing in the home: ${writeError}`])];
  const full = [...space].find(([, { size, available }]) => size > 0 && available < 64 * 1024);
  const noInodes = [...inodes].find(([, percent]) => percent > 99.5);
  if (writeError !== undefined && /no space|quota/i.test(writeError) && noInodes !== undefined && full === undefined) {
    return [outOfInodes(noInodes[0], evidence)];
  }
  if (full !== undefined || (writeError !== undefined && /no space|quota/i.test(writeError))) {
    const where = full?.[0] ?? "the home";
    return [
      fail("health.disk-full", `${where} is full`, {
        evidence,
        cause: /quota/i.test(writeError ?? "")
          ? certain("the quota of the user is used up")
          : certain("no room is left on it"),
        fix: there(`sudo du -xhd1 ${full === undefined ? "~" : quote(full[0])} | sort -h | tail`),
      }),
    ];
  }
  if (noInodes !== undefined) return [outOfInodes(noInodes[0], evidence)];
  if (writeError !== undefined) {
    return [
      warn("health.home-not-writable", "nothing can be written in the home", {
        evidence,
        cause: /read-only/i.test(writeError)
          ? certain("its file system is mounted read-only, perhaps after an error of the disk")
          : likely("the home does not exist or belongs to somebody else"),
        fix: there("mount | grep ' ro,'; ls -ld ~"),
      }),
    ];
  }
  const tight = [...space].find(
    ([, { size, available }]) => size > 0 && available / size < 0.03 && available < 2 ** 30,
  );
  if (tight !== undefined) {
    return [
      warn("health.disk-nearly-full", `${tight[0]} is nearly full`, {
        evidence,
        fix: there(`sudo du -xhd1 ${quote(tight[0])} | sort -h | tail`),
      }),
    ];
  }
  return [ok("health.room", "there is room, and the home can be written", { evidence })];
}

function outOfInodes(mount: string, evidence: string[]): Finding {
  return fail("health.inodes-full", `${mount} has no inodes left`, {
    evidence,
    cause: certain("too many small files; there may be room in bytes"),
    fix: there(`sudo find ${quote(mount)} -xdev -printf '%h\\n' | sort | uniq -c | sort -n | tail`),
  });
}

function load({ load: seen }: Look): Finding[] {
  if (seen === undefined) return [skipped("health.load", "the machine does not tell its load")];
  const { five, processors } = seen;
  const evidence = [`load ${five.toFixed(1)} over five minutes, ${processors} processors`];
  if (five < mostLoad * processors) return [ok("health.load", "the load is no obstacle", { evidence })];
  return [
    warn("health.load", "the machine is badly overloaded", {
      evidence,
      cause: likely("programs that compute or wait for a disk, far more than processors"),
      fix: there("ps -eo pcpu,stat,args --sort=-pcpu | head"),
    }),
  ];
}

/** Busy machines have a few for each processor; at so many a login takes seconds. */
const mostLoad = 20;

function clock({ clock: seen }: Look): Finding[] {
  if (seen === undefined) return [skipped("health.clock", "the machine does not tell its time")];
  const { ahead, blur } = seen;
  const off = Math.max(0, Math.abs(ahead) - blur) / 1000;
  const evidence = [
    `its clock is ${(ahead / 1000).toFixed(1)} s ahead of ours, give or take ${(blur / 1000).toFixed(1)} s`,
  ];
  if (off < mostSkew) return [ok("health.clock", "its clock agrees with ours", { evidence })];
  return [
    warn("health.clock", `its clock is ${off.toFixed(0)} s ${ahead > 0 ? "ahead of" : "behind"} ours`, {
      evidence,
      cause: likely("time synchronisation is off there, or here; certificates, Kerberos and one-time codes fail by it"),
      fix: there("sudo timedatectl set-ntp true"),
    }),
  ];
}

/** Seconds. One-time codes live for thirty. */
const mostSkew = 10;

function modes({ account }: Look): Finding[] {
  const { passwd, paths, sshd } = account;
  if (passwd === undefined || paths.length === 0) return [];
  const bad = paths.find((path) => isTooOpen(path, passwd.uid));
  const evidence = paths.map(({ mode, uid, path }) => `${mode} ${uid} ${path}`);
  if (bad === undefined || sshd?.get("strictmodes")?.[0] === "no") {
    return [ok("health.home-modes", "home and authorized_keys are safe from others", { evidence })];
  }
  return [
    warn("health.home-modes", `${bad.path} can be written by others`, {
      evidence,
      cause: certain("with StrictModes (the default) sshd ignores authorized_keys behind it"),
      fix: there(`chmod go-w ${quote(bad.path)}`),
    }),
  ];
}

function mebi(bytes: number): string {
  return (bytes / 2 ** 20).toFixed(0);
}
