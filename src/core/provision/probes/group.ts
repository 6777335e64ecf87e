/** group: id and members of groups, from whatever the target takes its groups from. */
import { defineProbe } from "./probe.ts";
import { askable, entriesOf, readGroups } from "./user.ts";

export const probe = defineProbe({
  kind: "group",
  sh(probes) {
    return entriesOf("group", askable(probes));
  },
  parse(output, probes) {
    const groups = readGroups(output.toString("utf8"));
    return probes.map(({ name }) => {
      const group = groups.find((g) => g.name === name);
      return group && { gid: group.gid, members: group.members };
    });
  },
});
