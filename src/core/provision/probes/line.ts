/** line: which whole lines a file holds; one `grep` for each file, however many lines are asked for. */
import { quote } from "../../argv.ts";
import type { ProbeOf } from "../../facts.ts";
import { defineProbe } from "./probe.ts";

export const probe = defineProbe({
  kind: "line",
  sh(probes) {
    return [...byPath(probes)]
      .map(([path, lines], index) => {
        const patterns = lines.map((line) => `-e ${quote(line)}`).join(" ");
        const p = quote(path);
        return `if [ -r ${p} ] || [ ! -e ${p} ]; then echo "@file ${index} ok"; else echo "@file ${index} unreadable"; fi
[ -f ${p} ] && grep -axF ${patterns} -- ${p} | sed 's/^/=/'`;
      })
      .join("\n");
  },
  parse(output, probes) {
    const paths = [...byPath(probes).keys()];
    const present = new Set<string>();
    const unreadable = new Set<string>();
    let path: string | undefined;
    for (const text of output.toString("utf8").split("\n")) {
      const head = /^@file (\d+) (ok|unreadable)$/.exec(text);
      if (head) {
        path = paths[Number(head[1])];
        if (head[2] === "unreadable" && path !== undefined) unreadable.add(path);
      } else if (text.startsWith("=") && path !== undefined) present.add(`${path}\0${text.slice(1)}`);
    }
    return probes.map((p) => ({ present: present.has(`${p.path}\0${p.line}`), readable: !unreadable.has(p.path) }));
  },
});

function byPath(probes: readonly ProbeOf<"line">[]): Map<string, string[]> {
  const groups = new Map<string, string[]>();
  for (const { path, line } of probes) {
    const lines = groups.get(path);
    if (lines) lines.push(line);
    else groups.set(path, [line]);
  }
  return groups;
}
