/** entries: is a directory empty? Globs of the shell itself, no program at all. */
import { quoteArgv } from "../../argv.ts";
import { defineProbe } from "./probe.ts";

export const probe = defineProbe({
  kind: "entries",
  sh(probes) {
    return `for d in ${quoteArgv(probes.map((p) => p.path))}; do
e=1
if [ -d "$d" ] && { [ ! -r "$d" ] || [ ! -x "$d" ]; }; then e=0; fi
for f in "$d"/* "$d"/.[!.]* "$d"/..?*; do if [ -e "$f" ] || [ -h "$f" ]; then e=0; break; fi; done
echo $e
done`;
  },
  /** What may not be looked into counts as not empty: then somebody is asked before it goes. */
  parse(output, probes) {
    const lines = output.toString("latin1").trim().split("\n");
    if (lines.length !== probes.length)
      throw new Error(`${probes.length} directories were asked for, ${lines.length} answered`);
    return lines.map((line) => ({ empty: line === "1" }));
  },
});
