/** sha256: digests of many files by one `sha256sum` (or `shasum`, or `openssl`). */
import { quoteArgv } from "../../argv.ts";
import { defineProbe } from "./probe.ts";
import { chunks } from "./stat.ts";

export const probe = defineProbe({
  kind: "sha256",
  sh(probes) {
    return chunks(probes.map((p) => p.path))
      .map(
        (paths) => `set -- ${quoteArgv(paths)}
for p do shift; [ ! -h "$p" ] && [ -f "$p" ] && [ -r "$p" ] && set -- "$@" "$p"; done
if [ $# -eq 0 ]; then :; elif command -v sha256sum >/dev/null; then sha256sum -- "$@"; elif command -v shasum >/dev/null; then shasum -a 256 -- "$@"; else openssl dgst -sha256 -r -- "$@"; fi`,
      )
      .join("\n");
  },
  parse(output, probes) {
    const digests = new Map<string, string>();
    for (const line of output.toString("utf8").split("\n")) {
      // A leading backslash says that the name is escaped (GNU coreutils).
      const entry = /^(\\?)([0-9a-f]{64}) [ *](.*)$/.exec(line);
      if (!entry) continue;
      const path = entry[3] ?? "";
      digests.set(entry[1] === "" ? path : path.replaceAll("\\\\", "\\"), entry[2] ?? "");
    }
    return probes.map(({ path }) => digests.get(path));
  },
});
