/** directory: a directory with its mode and owner; parents are made when missing. */
import { z } from "zod";
import { AmiError } from "../errors.ts";
import { defineResource, type Perms } from "../resource.ts";
import {
  absolutePath,
  isDirectory,
  mustSee,
  needOwner,
  ownerProbes,
  permChanges,
  permFields,
  stayAbsent,
} from "./path.ts";

export const resource = defineResource({
  type: "directory",
  summary: "A directory; missing parents are made with mode 0755.",
  schema: z.strictObject({
    directory: absolutePath.describe("Absolute path."),
    ...permFields,
    state: z
      .enum(["present", "absent"])
      .default("present")
      .describe("`absent` removes it with everything in it; asks first unless it is empty."),
  }),
  examples: ['- directory: /srv/app\n  mode: "0750"\n  owner: app'],
  title: (wish) => `directory ${wish.directory}`,
  claims: (wish) => [`path:${wish.directory}`],
  probes: (wish) => [
    { kind: "stat", path: wish.directory },
    ...ownerProbes(wish),
    ...(wish.state === "absent" ? [{ kind: "entries", path: wish.directory } as const] : []),
  ],
  plan(wish, facts, world) {
    const path = wish.directory;
    const stat = mustSee(path, facts, world);
    if (wish.state === "absent") {
      if (stat.state === "absent") return stayAbsent(path, world);
      if (stat.type !== "directory")
        throw new AmiError("plan.refused", `${path} is not a directory but a ${stat.type}`);
      const { empty } = facts.get({ kind: "entries", path });
      return [
        {
          summary: empty ? "remove" : "remove with all it holds",
          steps: [{ do: "remove", path, recursive: true }],
          ...(empty ? {} : { destroys: `remove ${path} and everything in it` }),
        },
      ];
    }
    const wanted: Perms = perms(wish);
    const wait = needOwner(wanted, facts, world);
    if (wait !== undefined) return wait;
    if (stat.state === "absent") {
      // An earlier directory of this stage may have made it as a parent: making it again is harmless, its mode is set by the step.
      if (world.provides(`path:${path}`) && !world.provides(`directory:${path}`))
        throw new AmiError("plan.refused", `${path} is made as something else by an earlier resource`);
      return [
        {
          summary: "create",
          steps: [
            { do: "mkdir", path, ...wanted },
            ...modeAgain(path, wanted, world.provides(`directory:${path}`) || world.pendingPrograms),
          ],
          provides: [`path:${path}`, ...withParents(path)],
        },
      ];
    }
    if (!isDirectory(stat))
      throw new AmiError("plan.refused", `${path} is in the way: it is a ${stat.type}`, {
        hint: "remove or rename it first",
      });
    // A link to a directory is taken as it is; its own mode says nothing.
    return stat.type === "link" ? [] : permChanges(path, wanted, stat);
  },
});

function perms(wish: Perms): Perms {
  return {
    ...(wish.mode === undefined ? {} : { mode: wish.mode }),
    ...(wish.owner === undefined ? {} : { owner: wish.owner }),
    ...(wish.group === undefined ? {} : { group: wish.group }),
  };
}

/** `mkdir -p -m` leaves an existing directory's mode alone, and chown takes setgid away. */
function modeAgain(path: string, wanted: Perms, mayExist: boolean): { do: "chmod"; path: string; mode: string }[] {
  if (wanted.mode === undefined) return [];
  return mayExist || Number.parseInt(wanted.mode, 8) > 0o777 ? [{ do: "chmod", path, mode: wanted.mode }] : [];
}

function withParents(path: string): string[] {
  const all: string[] = [];
  for (let at = path; at !== ""; at = at.slice(0, at.lastIndexOf("/"))) all.push(`directory:${at}`);
  return all;
}
