/** user: account and groups of users, from `getent` (which also asks directories) or the files where there is none. */
import { quote, quoteArgv } from "../../argv.ts";
import type { GroupFact, UserFact } from "../../facts.ts";
import { defineProbe } from "./probe.ts";

export const probe = defineProbe({
  kind: "user",
  sh(probes) {
    // One list of all groups tells the primary and supplementary groups of all users.
    return `${entriesOf("passwd", askable(probes))}\necho @groups\ngetent group || cat /etc/group`;
  },
  parse(output, probes) {
    const [users = "", groupLines = ""] = output.toString("utf8").split(/^@groups\n/m);
    const groups = readGroups(groupLines);
    // Entries of NIS (`+::::::`) and comments have no numbers.
    const accounts = users
      .split("\n")
      .map((line) => line.split(":"))
      .filter(([, , uid = "", gid = ""]) => /^[0-9]+$/.test(uid) && /^[0-9]+$/.test(gid));
    return probes.map(({ name }): UserFact | undefined => {
      const entry = accounts.find((fields) => fields[0] === name && fields.length >= 7);
      if (entry === undefined) return undefined;
      const [, , uid, gid, comment = "", home = "", shell = ""] = entry;
      const primary = groups.find((g) => g.gid === Number(gid))?.name ?? String(gid);
      const member = groups.filter((g) => g.name !== primary && g.members.includes(name)).map((g) => g.name);
      return {
        uid: Number(uid),
        gid: Number(gid),
        comment,
        home,
        shell,
        group: primary,
        groups: [...new Set(member)].toSorted(),
      };
    });
  },
});

/** Names that can be asked for: no options, no numbers (which would mean ids), nothing that ends an entry. */
export function askable(probes: readonly { readonly name: string }[]): string[] {
  return [...new Set(probes.map((p) => p.name))].filter(
    (name) => /^[^-:\s][^:\n]*$/.test(name) && !/^[0-9]+$/.test(name),
  );
}

/** busybox has no getent, and musl's takes fewer words: the file is read as well, and what comes first counts. */
export function entriesOf(database: "passwd" | "group", names: readonly string[]): string {
  if (names.length === 0) return ":";
  const lines = names.map((name) => `-e ${quote(`^${name.replaceAll(/[.[\]*^$\\]/g, "\\$&")}:`)}`).join(" ");
  return `getent ${database} ${quoteArgv(names)}\ngrep ${lines} /etc/${database}`;
}

/** Lines of /etc/group; of several entries with one name the first counts, as it does for the system. */
export function readGroups(text: string): (GroupFact & { readonly name: string })[] {
  return text.split("\n").flatMap((line) => {
    const [name = "", , gid, members = ""] = line.split(":");
    if (!/^[0-9]+$/.test(gid ?? "")) return [];
    return [
      {
        name,
        gid: Number(gid),
        members: members
          .split(",")
          .filter((m) => m !== "")
          .toSorted(),
      },
    ];
  });
}
