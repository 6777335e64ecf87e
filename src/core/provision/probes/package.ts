/**
 * package: what dpkg has installed, in one `dpkg-query` for all names. Only when some are missing, two more programs
 * tell whether another package provides them and whether apt knows them.
 */
import type { PackageFact } from "../../facts.ts";
import { isPackageName } from "../../resources/package.ts";
import { defineProbe } from "./probe.ts";

export const probe = defineProbe({
  kind: "package",
  sh(probes) {
    const names = [...new Set(probes.map((p) => p.name))].filter(isPackageName).join(" ");
    return `if command -v dpkg-query >/dev/null && command -v apt-get >/dev/null; then
echo @apt
have=$(dpkg-query -W -f '\${Package}|\${db:Status-Status}|\${Architecture}|\${Version}\\n' -- dpkg ${names} 2>&1)
printf '%s\\n' "$have"
missing= patterns=
for n in ${names}; do case "
$have" in *"
\${n%%:*}|installed|"*) ;; *) missing="$missing $n" patterns="$patterns -e $n";; esac; done
if [ -n "$missing" ]; then
echo @provides
dpkg-query -W -f '\${db:Status-Status}|\${Package}|\${Version}|\${Provides}\\n' | grep -F $patterns
echo @known
apt-cache policy -- $missing
fi
fi`;
  },
  parse(output, probes) {
    const text = output.toString("utf8");
    if (text.trim() === "") return probes.map(() => ({ manager: undefined }));
    const { have, provided, known } = readAnswer(text);
    const native = have.find((row) => row.name === "dpkg")?.arch;
    if (native === undefined) throw new Error(`dpkg-query said: ${text.trim().split("\n")[1] ?? "nothing"}`);
    return probes.map(({ name }): PackageFact => {
      const [bare, arch = native] = name.split(":");
      const row = have.find((r) => r.name === bare && (r.arch === arch || r.arch === "all"));
      if (row !== undefined) return { manager: "apt", installed: true, version: row.version };
      const isKnown = known?.has(name);
      const provider = isKnown === true ? undefined : provided.find((p) => p.names.includes(name));
      if (provider !== undefined)
        return { manager: "apt", installed: true, version: provider.version, providedBy: provider.name };
      return { manager: "apt", installed: false, known: isKnown };
    });
  },
});

interface Installed {
  readonly name: string;
  readonly arch: string;
  readonly version: string;
}

interface Answer {
  readonly have: readonly Installed[];
  readonly provided: readonly { readonly name: string; readonly version: string; readonly names: readonly string[] }[];
  /** Names apt has a candidate for; undefined: not asked. */
  readonly known: ReadonlySet<string> | undefined;
}

/** Packages with pending triggers are configured; `config-files`, `unpacked` and the like are not installed. */
const installedStates = new Set(["installed", "triggers-awaited", "triggers-pending"]);

function readAnswer(text: string): Answer {
  const have: Installed[] = [];
  const provided: { name: string; version: string; names: string[] }[] = [];
  let known: Set<string> | undefined;
  let section = "";
  let asked = "";
  for (const line of text.split("\n")) {
    if (line.startsWith("@")) {
      section = line;
      if (section === "@known") known = new Set();
    } else if (section === "@apt") {
      const [name = "", state = "", arch = "", version = ""] = line.split("|");
      if (installedStates.has(state)) have.push({ name, arch, version });
    } else if (section === "@provides") {
      const [state = "", name = "", version = "", names = ""] = line.split("|");
      if (installedStates.has(state))
        provided.push({ name, version, names: names.split(",").map((one) => one.trim().split(" ")[0] ?? "") });
    } else if (section === "@known") {
      if (/^\S+:$/.test(line)) asked = line.slice(0, -1);
      const candidate = /^\s+Candidate: (\S+)/.exec(line)?.[1];
      if (candidate !== undefined && candidate !== "(none)") known?.add(asked);
    } else if (line !== "") throw new Error(`unexpected: ${line}`);
  }
  return { have, provided, known };
}
