/** unit: the state of all systemd units in one `systemctl show`; names near those that do not exist in one more. */
import { quote, quoteArgv } from "../../argv.ts";
import type { UnitFact } from "../../facts.ts";
import { nearest } from "../../nearest.ts";
import { isUnitName } from "../../resources/service.ts";
import { defineProbe } from "./probe.ts";

export const probe = defineProbe({
  kind: "unit",
  sh(probes) {
    const names = probes.map((p) => p.name).filter(isUnitName);
    if (names.length === 0) return `${booted} && echo @systemd`;
    const alike = [...new Set(names.map((name) => `${name.slice(0, 1)}*${name.slice(name.lastIndexOf("."))}`))];
    return `if ${booted}; then
echo @systemd
units=$(systemctl show --no-pager -p Id,Names,LoadState,ActiveState,UnitFileState,NeedDaemonReload -- ${quoteArgv(names)})
printf '%s\\n' "$units"
case $units in *LoadState=not-found*) echo; echo @near; systemctl list-unit-files --no-legend --no-pager -- ${alike.map(quote).join(" ")};; esac
fi`;
  },
  parse(output, probes) {
    const text = output.toString("utf8");
    if (text.trim() === "") return probes.map(() => ({ manager: undefined }));
    if (!text.startsWith("@systemd\n")) throw new Error(`unexpected: ${text.split("\n")[0] ?? ""}`);
    const [shown = "", listed = ""] = text.slice("@systemd\n".length).split("@near\n");
    const blocks = shown.split("\n\n").map(readBlock);
    const files = listed.split("\n").flatMap((line) => line.split(" ")[0] ?? []);
    return probes.map(({ name }): UnitFact => {
      if (!isUnitName(name)) return { manager: "systemd", found: false };
      const block = blocks.find((b) => b["Id"] === name || b["Names"]?.split(" ").includes(name));
      if (block === undefined) throw new Error(`systemctl said nothing about ${name}`);
      const active = block["ActiveState"] ?? "";
      // A running unit whose file was removed is not found either, but there is something to stop.
      if (block["LoadState"] === "not-found" && (active === "inactive" || active === "failed")) {
        return { manager: "systemd", found: false, near: nearest(name, files) };
      }
      return {
        manager: "systemd",
        found: true,
        active,
        enabled: block["UnitFileState"] ?? "",
        needsReload: block["NeedDaemonReload"] === "yes",
      };
    });
  },
});

/** systemctl may be there without systemd: in most containers. */
const booted = "[ -d /run/systemd/system ] && command -v systemctl >/dev/null";

/** `Key=value` lines. */
function readBlock(text: string): Record<string, string> {
  const pairs = text.split("\n").flatMap((line) => {
    const at = line.indexOf("=");
    return at < 0 ? [] : [[line.slice(0, at), line.slice(at + 1)] as const];
  });
  return Object.fromEntries(pairs);
}
