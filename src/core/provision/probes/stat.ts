/** stat: type, mode, owner, size and link target of many paths in one `stat` (GNU, busybox or BSD) and one `readlink`. */
import type { Stat } from "../../facts.ts";
import { quoteArgv } from "../../argv.ts";
import { defineProbe } from "./probe.ts";

export const probe = defineProbe({
  kind: "stat",
  sh(probes) {
    return chunks(probes.map((p) => p.path))
      .map((paths) => fragment(paths))
      .join("\n");
  },
  parse(output, probes) {
    const found = new Map<string, Stat>();
    const links = new Map<string, "file" | "directory" | "other" | undefined>();
    const complaints: string[] = [];
    for (const line of output.toString("utf8").split("\n")) {
      const link = /^@link ([dfon]) (.*)$/.exec(line);
      if (link) {
        links.set(link[2] ?? "", linkTypes[link[1] ?? ""]);
        continue;
      }
      const target = /^@to ([^\0]*)\0(.*)$/.exec(line);
      if (target) {
        const stat = found.get(target[1] ?? "");
        if (stat?.state === "present") found.set(target[1] ?? "", { ...stat, target: target[2] ?? "" });
        continue;
      }
      const entry = /^([0-9a-fA-F]+) (\d+) (\d+) (\d+) ([^:]*):([^:]*):(\/.*)$/.exec(line);
      if (entry) found.set(entry[7] ?? "", readEntry(entry));
      else if (line !== "") complaints.push(line);
    }
    // stat complains in the order in which it was asked; how it writes a path is not the same everywhere.
    const missed = probes.filter(({ path }) => !found.has(path)).map(({ path }) => path);
    const complaintOf = new Map(missed.length === complaints.length ? missed.map((p, i) => [p, complaints[i]]) : []);
    return probes.map(({ path }) => {
      const stat = found.get(path);
      if (stat === undefined) return missing(path, complaints, complaintOf.get(path));
      if (stat.state !== "present" || stat.type !== "link") return stat;
      const leadsTo = links.get(path);
      return leadsTo === undefined ? stat : { ...stat, leadsTo };
    });
  },
});

const linkTypes: Record<string, "file" | "directory" | "other"> = { d: "directory", f: "file", o: "other" };

/**
 * busybox `readlink` takes one path only (1.35: prints its usage and fails), GNU takes many; paths and targets are
 * joined by the shell so that a line says whose target it is. tr turns \001 into NUL: shells cannot print NUL from a
 * variable, and no other byte is safe as a border.
 */
function fragment(paths: readonly string[]): string {
  return `set -- ${quoteArgv(paths)}
if stat -c %a / >/dev/null 2>&1; then stat -c '%f %u %g %s %U:%G:%n' -- "$@" 2>&1; else stat -f '%Xp %u %g %z %Su:%Sg:%N' -- "$@" 2>&1; fi
for p do shift; if [ -h "$p" ]; then t=n; [ -e "$p" ] && t=o; [ -f "$p" ] && t=f; [ -d "$p" ] && t=d; printf '@link %s %s\\n' $t "$p"; set -- "$@" "$p"; fi; done
if [ $# -gt 0 ]; then { readlink -- "$@" || for p do readlink -- "$p" || echo; done; } | while IFS= read -r t; do printf '@to %s\\000%s\\n' "$1" "$t"; shift; done; fi`;
}

function readEntry(entry: RegExpExecArray): Stat {
  const raw = Number.parseInt(entry[1] ?? "0", 16);
  const [uid, gid] = [Number(entry[2]), Number(entry[3])];
  return {
    state: "present",
    type: types[raw & 0o170000] ?? "other",
    mode: (raw & 0o7777).toString(8),
    uid,
    gid,
    owner: name(entry[5], uid),
    group: name(entry[6], gid),
    size: Number(entry[4]),
  };
}

const types: Record<number, "file" | "directory" | "link"> = {
  0o100000: "file",
  0o040000: "directory",
  0o120000: "link",
};

/** GNU says UNKNOWN, busybox UNKNOWN or the number, BSD the number. */
function name(word: string | undefined, id: number): string {
  return word === undefined || word === "UNKNOWN" ? String(id) : word;
}

/** Absent only when stat said so; anything else it complained about leaves the answer open. */
function missing(path: string, complaints: readonly string[], counted: string | undefined): Stat {
  const own = counted ?? complaints.find((line) => line.includes(`'${path}'`) || line.includes(` ${path}:`));
  const reason = own ?? complaints.find((line) => !/(No such file or directory|Not a directory)$/.test(line));
  if (reason === undefined || /(No such file or directory|Not a directory)$/.test(reason)) return { state: "absent" };
  return { state: "unknown", reason: reason.replace(/^stat: /, "") };
}

/** Far below every system's limit of argument bytes. */
export function chunks<T>(items: readonly T[], size = 500): T[][] {
  const out: T[][] = [];
  for (let i = 0; i < items.length; i += size) out.push(items.slice(i, i + size));
  return out;
}
