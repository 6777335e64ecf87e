/** What all resources with a path share: its schema, mode and owner, and the rule about the parent directory. */
import { z } from "zod";
import { AmiError } from "../errors.ts";
import type { Facts, Probe, Stat } from "../facts.ts";
import { later, type Change, type Later, type Perms, type Step, type World } from "../resource.ts";

export const absolutePath = z
  .string()
  .refine((path) => path.startsWith("/"), "the path must be absolute (begin with /)")
  .refine((path) => !/\p{Cc}/u.test(path), "the path holds a control character")
  .transform((path) => normalize(path));

export const permFields = {
  mode: z
    .string({
      error: (issue) =>
        typeof issue.input === "number" ? 'quote the mode: "0644"' : 'the mode is a text of octal digits: "0644"',
    })
    .regex(/^0?[0-7]{3,4}$/, 'the mode is 3 or 4 octal digits: "0644"')
    .optional()
    .describe('Permission bits, quoted: `"0644"`. Without it an existing mode stays.'),
  owner: z
    .string()
    .regex(/^[^\s:]+$/, "a user name or number")
    .optional()
    .describe("User name or number that owns it. Without it the owner stays."),
  group: z
    .string()
    .regex(/^[^\s:]+$/, "a group name or number")
    .optional()
    .describe("Group name or number. Without it the group stays."),
};

/** No trailing slash, no doubled ones, no `.` and `..`: one path, one text. */
export function normalize(path: string): string {
  const parts: string[] = [];
  for (const part of path.split("/")) {
    if (part === "" || part === ".") continue;
    if (part === "..") parts.pop();
    else parts.push(part);
  }
  return `/${parts.join("/")}`;
}

export function parentOf(path: string): string {
  return normalize(`${path}/..`);
}

/** Probes of something that lives in a directory. */
export function pathProbes(path: string): Probe[] {
  return [{ kind: "stat", path }, ...(path === "/" ? [] : [{ kind: "stat", path: parentOf(path) } as const])];
}

/**
 * Throws `plan.refused` unless the parent is a directory or an earlier resource makes it one; `later` where an earlier
 * program (a package, a command) may bring it.
 */
export function needParent(path: string, facts: Facts, world: World): Later | undefined {
  const parent = parentOf(path);
  const stat = facts.get({ kind: "stat", path: parent });
  if (world.provides(`directory:${parent}`)) return undefined;
  if (world.removes(parent))
    throw new AmiError("plan.refused", `${path}: its parent ${parent} is removed by an earlier resource`, {
      hint: `leave one of the two out, or add between them:  - directory: ${parent}`,
    });
  if (isDirectory(stat)) return undefined;
  if (stat.state === "unknown") throw cannotSee(parent, stat.reason);
  if (stat.state === "present") throw new AmiError("plan.refused", `${path}: its parent ${parent} is not a directory`);
  if (world.pendingPrograms) return later(`${parent} may come with an earlier package or command`);
  throw new AmiError("plan.refused", `${path}: its parent ${parent} does not exist`, {
    hint: `add before it:  - directory: ${parent}`,
  });
}

/** Throws `plan.refused` when owner or group are names nobody there has; `later` where an earlier program may bring them. */
export function needOwner(wish: Perms, facts: Facts, world: World): Later | undefined {
  for (const kind of ["user", "group"] as const) {
    const name = kind === "user" ? wish.owner : wish.group;
    if (name === undefined || /^[0-9]+$/.test(name) || world.provides(`${kind}:${name}`)) continue;
    if ((kind === "user" ? facts.get({ kind: "user", name }) : facts.get({ kind: "group", name })) !== undefined)
      continue;
    if (world.pendingPrograms) return later(`the ${kind} ${name} may come with an earlier package or command`);
    throw new AmiError("plan.refused", `there is no ${kind} ${name}`, { hint: `add before it:  - ${kind}: ${name}` });
  }
  return undefined;
}

/** Probes of owner and group, where they are names. */
export function ownerProbes(wish: Perms): Probe[] {
  const named = (name: string | undefined): name is string => name !== undefined && !/^[0-9]+$/.test(name);
  return [
    ...(named(wish.owner) ? [{ kind: "user", name: wish.owner } as const] : []),
    ...(named(wish.group) ? [{ kind: "group", name: wish.group } as const] : []),
  ];
}

/** The plan for something that should not be and is not: nothing, unless an earlier program may still bring it. */
export function stayAbsent(path: string, world: World): readonly [] | Later {
  return world.pendingPrograms ? later(`${path} may come with an earlier package or command`) : [];
}

/** What is at `path` when its turn comes, or `plan.refused` when the target could not tell. */
export function mustSee(path: string, facts: Facts, world: World): Exclude<Stat, { state: "unknown" }> {
  if (world.removes(path)) return { state: "absent" };
  const stat = facts.get({ kind: "stat", path });
  if (stat.state === "unknown") throw cannotSee(path, stat.reason);
  return stat;
}

function cannotSee(path: string, reason: string): AmiError {
  return new AmiError("plan.refused", `${path} cannot be looked at: ${reason}`, {
    hint: "run it as a user who may, with --become or `become: true`",
  });
}

export function isDirectory(stat: Stat): boolean {
  return (
    stat.state === "present" && (stat.type === "directory" || (stat.type === "link" && stat.leadsTo === "directory"))
  );
}

/** Changes that bring mode and owner of something that exists to what is wished. */
export function permChanges(path: string, wish: Perms, stat: Extract<Stat, { state: "present" }>): Change[] {
  const changes: Change[] = [];
  const owner = ownerDiffers(wish, stat);
  if (owner !== undefined) {
    const step: Step = {
      do: "chown",
      path,
      ...(wish.owner === undefined ? {} : { owner: wish.owner }),
      ...(wish.group === undefined ? {} : { group: wish.group }),
    };
    changes.push({ summary: owner, steps: [step] });
  }
  if (wish.mode !== undefined && !sameMode(wish.mode, stat.mode)) {
    changes.push({
      summary: `mode ${showMode(stat.mode)} -> ${showMode(wish.mode)}`,
      steps: [{ do: "chmod", path, mode: wish.mode }],
    });
  } else if (owner !== undefined && wish.mode !== undefined && Number.parseInt(wish.mode, 8) > 0o777) {
    // chown takes setuid and setgid away.
    changes.push({ summary: `mode ${showMode(wish.mode)} again`, steps: [{ do: "chmod", path, mode: wish.mode }] });
  }
  return changes;
}

function ownerDiffers(wish: Perms, stat: Extract<Stat, { state: "present" }>): string | undefined {
  const owner = wish.owner !== undefined && wish.owner !== stat.owner && wish.owner !== String(stat.uid);
  const group = wish.group !== undefined && wish.group !== stat.group && wish.group !== String(stat.gid);
  if (!owner && !group) return undefined;
  return `owner ${stat.owner}:${stat.group} -> ${wish.owner ?? stat.owner}:${wish.group ?? stat.group}`;
}

export function sameMode(a: string, b: string): boolean {
  return Number.parseInt(a, 8) === Number.parseInt(b, 8);
}

export function showMode(mode: string): string {
  return Number.parseInt(mode, 8).toString(8).padStart(4, "0");
}
