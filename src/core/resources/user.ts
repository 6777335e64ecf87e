/** user: an account of the system. */
import { z } from "zod";
import { AmiError } from "../errors.ts";
import type { Facts, ProbeOf, UserFact } from "../facts.ts";
import { defineResource, later, type Change, type Later, type Plan, type Step, type World } from "../resource.ts";
import { accountId, accountName, needTools, toolProbe } from "./account.ts";
import { absolutePath } from "./path.ts";

const entryPath = absolutePath.refine(
  (path) => !path.includes(":"),
  "the path holds a colon, which ends a field of /etc/passwd",
);

const schema = z.strictObject({
  user: accountName.describe("Its name."),
  uid: accountId.optional().describe("Its number. That of an existing user is not changed."),
  group: accountName
    .optional()
    .describe("Primary group; it must exist. Without it a new user gets a group of the same name."),
  groups: z.array(accountName).optional().describe("Supplementary groups; they must exist."),
  append: z
    .boolean()
    .default(true)
    .describe("`false`: the user leaves all supplementary groups that are not in `groups`."),
  shell: entryPath.optional().describe("Login shell."),
  home: entryPath.optional().describe("Home directory. When it changes, files stay where they are."),
  comment: z
    .string()
    .refine(
      (text) => !text.includes(":") && !Array.from(text).some((c) => c < " " || c === "\x7f"),
      "no colon and no control characters",
    )
    .optional()
    .describe("Full name or purpose."),
  system: z.boolean().default(false).describe("A new user gets a number from the range of the system's own users."),
  create_home: z.boolean().default(true).describe("A new user gets a home directory with the files of /etc/skel."),
  remove_home: z.boolean().default(false).describe("With `state: absent`: the home directory and mail go, too."),
  state: z.enum(["present", "absent"]).default("present").describe("`absent` removes the user; asks first."),
});

type Wish = z.output<typeof schema>;

export const resource = defineResource({
  type: "user",
  summary: "An account of the system: its groups, shell and home. Passwords are not touched.",
  schema,
  examples: [
    "- user: deploy\n  groups: [sudo]\n  shell: /bin/bash",
    "- user: app\n  system: true\n  group: app\n  home: /srv/app\n  create_home: false",
    "- user: olduser\n  state: absent\n  remove_home: true",
  ],
  check(wish) {
    const mistakes: { path: string[]; message: string }[] = [];
    if (wish.remove_home && wish.state !== "absent")
      mistakes.push({ path: ["remove_home"], message: "remove_home needs state: absent" });
    if (!wish.append && wish.groups === undefined)
      mistakes.push({ path: ["append"], message: "append: false needs groups" });
    return mistakes;
  },
  title: (wish) => `user ${wish.user}`,
  claims: (wish) => [`user:${wish.user}`],
  probes: (wish) => [
    { kind: "user", name: wish.user },
    ...(wish.state === "absent"
      ? []
      : [...new Set([wish.group ?? wish.user, ...(wish.groups ?? [])])].map(
          (name) => ({ kind: "group", name }) as const,
        )),
    ...(wish.state === "present" && wish.uid !== undefined ? [uidProbe(wish.uid)] : []),
    toolProbe,
  ],
  plan(wish, facts, world) {
    const user = facts.get({ kind: "user", name: wish.user });
    if (wish.state === "absent") return user === undefined ? [] : planAbsent(wish, user, facts, world);
    const wait = needGroups(
      [...(wish.group === undefined ? [] : [wish.group]), ...(wish.groups ?? [])],
      wish.user,
      facts,
      world,
    );
    if (wait !== undefined) return wait;
    return user === undefined ? planNew(wish, facts, world) : planChanged(wish, user, facts, world);
  },
});

function planNew(wish: Wish, facts: Facts, world: World): Plan {
  if (world.provides(`user:${wish.user}`)) return later(`the user ${wish.user} comes with an earlier resource`);
  // An earlier change may set the number free.
  if (wish.uid !== undefined && !world.pending && facts.get(uidProbe(wish.uid)).code === 0)
    throw new AmiError("plan.refused", `user ${wish.user}: the number ${wish.uid} is another user's`, {
      hint: "give another uid, or leave it out",
    });
  const wait = needTools("user", facts, world);
  if (wait !== undefined) return wait;
  // useradd refuses to make the user's own group when there is one of that name.
  const group = wish.group ?? (isThere(wish.user, facts, world) ? wish.user : undefined);
  const argv = [
    "useradd",
    wish.create_home ? "--create-home" : "--no-create-home",
    ...(wish.system ? ["--system"] : []),
    ...(wish.uid === undefined ? [] : ["--uid", String(wish.uid)]),
    ...(group === undefined ? ["--user-group"] : ["--gid", group]),
    ...(wish.groups === undefined || wish.groups.length === 0 ? [] : ["--groups", wish.groups.join(",")]),
    ...(wish.shell === undefined ? [] : ["--shell", wish.shell]),
    ...(wish.home === undefined ? [] : ["--home-dir", wish.home]),
    ...(wish.comment === undefined ? [] : ["--comment", wish.comment]),
    "--",
    wish.user,
  ];
  const home = wish.home ?? `/home/${wish.user}`;
  return [
    {
      summary: "create",
      // A package may have made the user meanwhile, but not as it is wished.
      steps: world.pendingPrograms
        ? [{ do: "account", argv, unless: ["getent", "passwd", wish.user] }, ...adjust(wish)]
        : [{ do: "account", argv }],
      provides: [
        `user:${wish.user}`,
        ...(group === undefined ? [`group:${wish.user}`] : []),
        ...(wish.create_home ? [`path:${home}`, `directory:${home}`] : []),
      ],
    },
  ];
}

/** Succeeds when somebody has the number. */
function uidProbe(uid: number): ProbeOf<"shell"> {
  return { kind: "shell", line: `getent passwd ${uid} || grep '^[^:]*:[^:]*:${uid}:' /etc/passwd` };
}

function adjust(wish: Wish): Step[] {
  const flags = [
    ...(wish.group === undefined ? [] : ["--gid", wish.group]),
    ...(wish.groups === undefined || (wish.append && wish.groups.length === 0)
      ? []
      : [...(wish.append ? ["--append"] : []), "--groups", wish.groups.join(",")]),
    ...(wish.shell === undefined ? [] : ["--shell", wish.shell]),
    ...(wish.home === undefined ? [] : ["--home", wish.home]),
    ...(wish.comment === undefined ? [] : ["--comment", wish.comment]),
  ];
  return flags.length === 0 ? [] : [{ do: "account", argv: ["usermod", ...flags, "--", wish.user] }];
}

/** Only what differs, in one usermod. */
function planChanged(wish: Wish, user: UserFact, facts: Facts, world: World): Plan {
  if (wish.uid !== undefined && wish.uid !== user.uid) {
    throw new AmiError("plan.refused", `the user ${wish.user} has the number ${user.uid}, not ${wish.uid}`, {
      hint: `changing it would leave files outside the home to nobody; leave uid out, or do it by hand: usermod -u ${wish.uid} ${wish.user}, then chown the files`,
    });
  }
  const differences: { text: string; flags: readonly string[] }[] = [];
  const compare = (name: string, flag: string, is: string, wished: string | undefined, note = ""): void => {
    if (wished !== undefined && wished !== is)
      differences.push({ text: `${name} ${is === "" ? "(none)" : is} -> ${wished}${note}`, flags: [flag, wished] });
  };
  compare("group", "--gid", user.group, wish.group);
  const groups = groupChange(wish, user);
  if (groups !== undefined) differences.push(groups);
  compare("shell", "--shell", user.shell, wish.shell);
  compare("home", "--home", user.home, wish.home, " (files stay where they are)");
  compare("comment", "--comment", user.comment, wish.comment);
  if (differences.length === 0) return [];
  const wait = needTools("user", facts, world);
  if (wait !== undefined) return wait;
  const argv = ["usermod", ...differences.flatMap((d) => d.flags), "--", wish.user];
  return [{ summary: differences.map((d) => d.text).join(", "), steps: [{ do: "account", argv }] }];
}

/** The primary group may be named among the supplementary ones; it is one already. */
function groupChange(wish: Wish, user: UserFact): { text: string; flags: readonly string[] } | undefined {
  if (wish.groups === undefined) return undefined;
  const primary = wish.group ?? user.group;
  const wished = [...new Set(wish.groups)].filter((name) => name !== primary).toSorted();
  const joins = wished.filter((name) => !user.groups.includes(name));
  const leaves = wish.append ? [] : user.groups.filter((name) => name !== primary && !wished.includes(name));
  if (joins.length + leaves.length === 0) return undefined;
  return {
    text: `groups ${[...joins.map((name) => `+${name}`), ...leaves.map((name) => `-${name}`)].join(" ")}`,
    flags: wish.append ? ["--append", "--groups", joins.join(",")] : ["--groups", wished.join(",")],
  };
}

function planAbsent(wish: Wish, user: UserFact, facts: Facts, world: World): Plan {
  if (user.uid === 0)
    throw new AmiError("plan.refused", `the user ${wish.user} is root (uid 0)`, {
      hint: "take state: absent out of the blueprint",
    });
  if (wish.user === world.os.user)
    throw new AmiError("plan.refused", `we are logged in as ${wish.user}`, {
      hint: "log in as another user to remove this one",
    });
  const wait = needTools("user", facts, world);
  if (wait !== undefined) return wait;
  const withHome = wish.remove_home ? ` and ${user.home}` : "";
  const change: Change = {
    summary: `remove${wish.remove_home ? ` with ${user.home}` : ""}`,
    steps: [{ do: "account", argv: ["userdel", ...(wish.remove_home ? ["--remove"] : []), "--", wish.user] }],
    destroys: `remove the user ${wish.user}${withHome}`,
  };
  return [change];
}

function needGroups(names: readonly string[], user: string, facts: Facts, world: World): Later | undefined {
  for (const name of names) {
    if (isThere(name, facts, world)) continue;
    if (world.pendingPrograms) return later(`the group ${name} may come with an earlier package or command`);
    throw new AmiError("plan.refused", `user ${user}: there is no group ${name}`, {
      hint: `add before it:  - group: ${name}`,
    });
  }
  return undefined;
}

function isThere(group: string, facts: Facts, world: World): boolean {
  return facts.get({ kind: "group", name: group }) !== undefined || world.provides(`group:${group}`);
}
