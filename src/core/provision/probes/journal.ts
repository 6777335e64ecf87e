/** journal: handlers which an interrupted run still owes. One empty file each, made before the change (see dialects/sh.ts). */
import { quote } from "../../argv.ts";
import { stateFolder } from "../dialects/sh.ts";
import { defineProbe } from "./probe.ts";

/** Name of the journal file of one handler: blueprint and handler, each safe in any file system. */
export function journalName(blueprint: string, handler: string): string {
  return `${hex(blueprint)}.${hex(handler)}`;
}

export const probe = defineProbe({
  kind: "journal",
  sh(probes) {
    return probes
      .map(
        ({ blueprint }) =>
          `for f in ${stateFolder}/journal/${quote(`${hex(blueprint)}.`)}*; do [ -f "$f" ] && printf '%s\\n' "\${f##*/}"; done`,
      )
      .join("\n");
  },
  parse(output, probes) {
    const names = output.toString("latin1").split("\n");
    return probes.map(({ blueprint }) => {
      const prefix = `${hex(blueprint)}.`;
      return {
        handlers: names
          .filter((n) => n.startsWith(prefix))
          .map((n) => Buffer.from(n.slice(prefix.length), "hex").toString("utf8")),
      };
    });
  },
});

function hex(text: string): string {
  return Buffer.from(text, "utf8").toString("hex");
}
