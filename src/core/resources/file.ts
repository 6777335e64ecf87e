/** file: a regular file with content, mode and owner. */
import { createHash } from "node:crypto";
import { z } from "zod";
import { AmiError } from "../errors.ts";
import type { Facts } from "../facts.ts";
import { defineResource, type Change, type Perms, type Plan, type World } from "../resource.ts";
import {
  absolutePath,
  mustSee,
  needOwner,
  needParent,
  ownerProbes,
  pathProbes,
  permChanges,
  permFields,
  stayAbsent,
} from "./path.ts";

export const resource = defineResource({
  type: "file",
  summary: "A regular file: its content, mode and owner.",
  schema: z.strictObject({
    file: absolutePath.describe("Absolute path."),
    content: z.string().optional().describe("The whole content; expressions are rendered."),
    source: z.string().min(1).optional().describe("File beside the blueprint, copied byte for byte."),
    template: z.string().min(1).optional().describe("File beside the blueprint, rendered."),
    ...permFields,
    state: z.enum(["present", "absent"]).default("present").describe("`absent` removes it."),
  }),
  examples: [
    '- file: /etc/motd\n  content: "Welcome to {{ host.name }}\\n"\n  mode: "0644"',
    "- file: /etc/app.conf\n  template: app.conf.liquid\n  owner: app\n  notify: restart app",
    "- file: /etc/old.conf\n  state: absent",
  ],
  check(wish) {
    const bodies = (["content", "source", "template"] as const).filter((field) => wish[field] !== undefined);
    if (bodies.length > 1)
      return [{ path: [bodies[1] ?? "content"], message: `give only one of ${bodies.join(", ")}` }];
    if (wish.state === "absent" && bodies[0] !== undefined)
      return [{ path: [bodies[0]], message: "a file with state: absent has no content" }];
    return [];
  },
  sources: [
    { field: "source", render: false },
    { field: "template", render: true },
  ],
  title: (wish) => `file ${wish.file}`,
  claims: (wish) => [`path:${wish.file}`],
  probes: (wish) =>
    fileProbes(
      wish.file,
      wish,
      wish.state === "present" && (wish.content ?? wish.source ?? wish.template) !== undefined,
    ),
  plan(wish, facts, world) {
    if (wish.state === "absent") return planAbsent(wish.file, facts, world);
    const loaded = (wish as { loaded?: Readonly<Record<string, Buffer>> }).loaded ?? {};
    const body =
      wish.content === undefined ? (loaded["source"] ?? loaded["template"]) : Buffer.from(wish.content, "utf8");
    return planFile(wish.file, body, wish, facts, world);
  },
});

export function fileProbes(path: string, wish: Perms, withBody: boolean): ReturnType<typeof pathProbes> {
  return [...pathProbes(path), ...ownerProbes(wish), ...(withBody ? [{ kind: "sha256", path } as const] : [])];
}

/** `body` undefined: the content is left as it is; a missing file is made empty. */
export function planFile(path: string, body: Buffer | undefined, wish: Perms, facts: Facts, world: World): Plan {
  const stat = mustSee(path, facts, world);
  const wait = needOwner(wish, facts, world);
  if (wait !== undefined) return wait;
  if (stat.state === "present" && stat.type === "link" && body === undefined)
    throw new AmiError("plan.refused", `${path} is in the way: it is a link -> ${stat.target ?? "?"}`, {
      hint: "name the file it leads to, or give content: then a file takes its place",
    });
  if (stat.state === "absent" || stat.type === "link") {
    const waitParent = needParent(path, facts, world);
    if (waitParent !== undefined) return waitParent;
    if (stat.state === "absent" && world.provides(`directory:${path}`))
      throw new AmiError("plan.refused", `${path} is made as a directory by an earlier resource`);
    return [write(stat.state === "absent" ? "create" : "replace the link", path, body ?? Buffer.alloc(0), wish)];
  }
  if (stat.type !== "file")
    throw new AmiError("plan.refused", `${path} is in the way: it is a ${stat.type}`, {
      hint: "remove or rename it first",
    });
  if (body === undefined) return permChanges(path, wish, stat);
  const digest = facts.get({ kind: "sha256", path });
  if (digest === undefined) {
    throw new AmiError("plan.refused", `${path} may not be read, so it cannot be compared`, {
      hint: "run it as a user who may, with --become or `become: true`",
    });
  }
  if (digest === createHash("sha256").update(body).digest("hex")) return permChanges(path, wish, stat);
  // What is not wished stays as it is: the new file takes over mode and owner of the old one.
  const kept: Perms = {
    mode: wish.mode ?? stat.mode,
    owner: wish.owner ?? keep(stat.uid, world),
    group: wish.group ?? String(stat.gid),
  };
  return [
    write("content", path, body, kept),
    ...permChanges(path, wish, stat).map((change) => ({ summary: change.summary, steps: [] })),
  ];
}

/** A new file is ours anyway; asking for it again would only fail where we may not chown. */
function keep(uid: number, world: World): string | undefined {
  return uid === world.os.uid ? undefined : String(uid);
}

function write(summary: string, path: string, body: Buffer, perms: Perms): Change {
  return {
    summary,
    steps: [
      {
        do: "write",
        path,
        body,
        mode: perms.mode ?? "0644",
        ...(perms.owner === undefined ? {} : { owner: perms.owner }),
        ...(perms.group === undefined ? {} : { group: perms.group }),
      },
    ],
    diff: { path, after: body },
    provides: [`path:${path}`, `file:${path}`],
  };
}

export function planAbsent(path: string, facts: Facts, world: World): Plan {
  const stat = mustSee(path, facts, world);
  if (stat.state === "absent") return stayAbsent(path, world);
  if (stat.type === "directory")
    throw new AmiError("plan.refused", `${path} is a directory`, { hint: `write  - directory: ${path}` });
  return [
    {
      summary: "remove",
      steps: [{ do: "remove", path, recursive: false }],
      ...(stat.type === "file" ? { diff: { path, after: undefined } } : {}),
    },
  ];
}
