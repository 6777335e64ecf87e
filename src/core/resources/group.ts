/** group: a group of the system. */
import { z } from "zod";
import { AmiError } from "../errors.ts";
import { quote } from "../argv.ts";
import type { ProbeOf } from "../facts.ts";
import { defineResource, later, type Change } from "../resource.ts";
import { accountId, accountName, needTools, toolProbe } from "./account.ts";

export const resource = defineResource({
  type: "group",
  summary: "A group of the system.",
  schema: z.strictObject({
    group: accountName.describe("Its name."),
    gid: accountId.optional().describe("Its number. That of an existing group is not changed."),
    system: z.boolean().default(false).describe("A new group gets a number from the range of the system's own groups."),
    state: z
      .enum(["present", "absent"])
      .default("present")
      .describe("`absent` removes it; asks first when it has members."),
  }),
  examples: ["- group: app", "- group: app\n  gid: 1500", "- group: oldapp\n  state: absent"],
  title: (wish) => `group ${wish.group}`,
  claims: (wish) => [`group:${wish.group}`],
  probes: (wish) => [
    { kind: "group", name: wish.group },
    toolProbe,
    ...(wish.state === "absent" ? [primaryProbe(wish.group)] : []),
  ],
  plan(wish, facts, world) {
    const name = wish.group;
    const group = facts.get({ kind: "group", name });
    if (wish.state === "absent") {
      if (group === undefined) return [];
      if (group.gid === 0)
        throw new AmiError("plan.refused", `the group ${name} has the number 0: the system needs it`);
      // An earlier change may remove the user.
      if (!world.pending && facts.get(primaryProbe(name)).code === 0)
        throw new AmiError("plan.refused", `the group ${name} is the primary group of a user`, {
          hint: "remove that user first, or give them another group:  - user: ...",
        });
      const wait = needTools("group", facts, world);
      if (wait !== undefined) return wait;
      const change: Change = {
        summary: "remove",
        steps: [{ do: "account", argv: ["groupdel", "--", name] }],
        ...(group.members.length === 0
          ? {}
          : { destroys: `remove the group ${name} with its members ${group.members.join(", ")}` }),
        // userdel takes the group of the same name along.
        ...(world.pending
          ? { unless: [{ shell: `! grep -q ${quote(`^${name.replaceAll(/[.$]/g, "\\$&")}:`)} /etc/group` }] }
          : {}),
      };
      return [change];
    }
    if (group !== undefined) {
      if (wish.gid === undefined || wish.gid === group.gid) return [];
      throw new AmiError("plan.refused", `the group ${name} has the number ${group.gid}, not ${wish.gid}`, {
        hint: `changing it would leave its files to nobody; leave gid out, or do it by hand: groupmod -g ${wish.gid} ${name}, then chgrp its files`,
      });
    }
    if (world.provides(`group:${name}`))
      return wish.gid === undefined ? [] : later(`an earlier user makes the group ${name}`);
    const wait = needTools("group", facts, world);
    if (wait !== undefined) return wait;
    return [
      {
        summary: wish.gid === undefined ? "create" : `create with gid ${wish.gid}`,
        steps: [
          {
            do: "account",
            argv: [
              "groupadd",
              ...(wish.gid === undefined ? [] : ["--gid", String(wish.gid)]),
              ...(wish.system ? ["--system"] : []),
              "--",
              name,
            ],
            ...(world.pendingPrograms ? { unless: ["getent", "group", name] } : {}),
          },
        ],
        provides: [`group:${name}`],
      },
    ];
  },
});

/** Succeeds when it is the primary group of somebody. */
function primaryProbe(name: string): ProbeOf<"shell"> {
  return {
    kind: "shell",
    line: `g=$({ getent group ${quote(name)} || grep ${quote(`^${name.replaceAll(/[.$]/g, "\\$&")}:`)} /etc/group; } | cut -d: -f3); [ -n "$g" ] && { getent passwd || cat /etc/passwd; } | cut -d: -f4 | grep -qx "$g"`,
  };
}
