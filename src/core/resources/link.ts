/** link: a symbolic link and where it points. */
import { z } from "zod";
import { AmiError } from "../errors.ts";
import { defineResource } from "../resource.ts";
import { absolutePath, mustSee, needParent, pathProbes, stayAbsent } from "./path.ts";

export const resource = defineResource({
  type: "link",
  summary: "A symbolic link.",
  schema: z.strictObject({
    link: absolutePath.describe("Absolute path of the link itself."),
    target: z
      .string()
      .min(1)
      .optional()
      .describe("What it points to, written into the link as it is; it need not exist."),
    force: z.boolean().default(false).describe("Replace a regular file that is in the way."),
    state: z.enum(["present", "absent"]).default("present").describe("`absent` removes the link."),
  }),
  examples: ["- link: /etc/nginx/sites-enabled/app.conf\n  target: ../sites-available/app.conf"],
  check: (wish) =>
    wish.state === "present" && wish.target === undefined
      ? [{ path: ["link"], message: "a link needs `target`, what it points to" }]
      : [],
  title: (wish) => `link ${wish.link}`,
  claims: (wish) => [`path:${wish.link}`],
  probes: (wish) => pathProbes(wish.link),
  plan(wish, facts, world) {
    const path = wish.link;
    const stat = mustSee(path, facts, world);
    if (wish.state === "absent") {
      if (stat.state === "absent") return stayAbsent(path, world);
      if (stat.type !== "link")
        throw new AmiError("plan.refused", `${path} is not a link but a ${stat.type}`, {
          hint: "use `file` or `directory` with state: absent",
        });
      return [{ summary: `remove (-> ${stat.target ?? "?"})`, steps: [{ do: "remove", path, recursive: false }] }];
    }
    const target = wish.target ?? "";
    const change = (summary: string) => [
      { summary, steps: [{ do: "symlink", path, target } as const], provides: [`path:${path}`] },
    ];
    if (stat.state === "absent") {
      return needParent(path, facts, world) ?? change(`create -> ${target}`);
    }
    if (stat.type === "link") return stat.target === target ? [] : change(`${stat.target ?? "?"} -> ${target}`);
    if (stat.type === "file" && wish.force) return change(`replace the file by a link -> ${target}`);
    throw new AmiError("plan.refused", `${path} is in the way: it is a ${stat.type}`, {
      hint: stat.type === "file" ? "remove it, or say force: true to replace it" : "remove or rename it first",
    });
  },
});
