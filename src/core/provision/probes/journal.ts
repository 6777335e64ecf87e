/** journal: handlers which an interrupted run still owes. One file each, written before the change (see dialects/sh.ts). */
import { createHash } from "node:crypto";
import { quote } from "../../argv.ts";
import { stateFolder, type JournalEntry } from "../dialects/sh.ts";
import { defineProbe } from "./probe.ts";

/** Blueprint and handler as digests: short and safe in any file system. The name itself is in the file. */
export function journalEntry(blueprint: string, handler: string): JournalEntry {
  return { file: `${digest(blueprint)}.${digest(handler)}`, line: JSON.stringify(handler) };
}

export const probe = defineProbe({
  kind: "journal",
  sh(probes) {
    return probes
      .map(({ blueprint }, index) => {
        const files = `${stateFolder}/journal/${quote(`${digest(blueprint)}.`)}*`;
        return `for f in ${files}; do [ -f "$f" ] && IFS= read -r l <"$f" && printf '${index} %s\\n' "$l"; done`;
      })
      .join("\n");
  },
  /** A line that was cut (the disk was full) is of a change that never began. */
  parse(output, probes) {
    const lines = output.toString("utf8").split("\n");
    return probes.map((_, index) => ({
      handlers: lines.filter((line) => line.startsWith(`${index} "`)).flatMap((line) => readName(line)),
    }));
  },
});

function readName(line: string): string[] {
  try {
    const name: unknown = JSON.parse(line.slice(line.indexOf(" ")));
    return typeof name === "string" ? [name] : [];
  } catch (error) {
    if (error instanceof SyntaxError) return [];
    throw error;
  }
}

function digest(text: string): string {
  return createHash("sha256").update(text).digest("hex").slice(0, 40);
}
