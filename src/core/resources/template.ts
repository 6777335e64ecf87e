/** template: a file whose content is a rendered file beside the blueprint. */
import { z } from "zod";
import { defineResource } from "../resource.ts";
import { fileProbes, planAbsent, planFile } from "./file.ts";
import { absolutePath, permFields } from "./path.ts";

export const resource = defineResource({
  type: "template",
  summary: "A file rendered from a template beside the blueprint; short for `file` with `template`.",
  schema: z.strictObject({
    template: absolutePath.describe("Absolute path of the file to make."),
    source: z.string().min(1).optional().describe("Template beside the blueprint (liquid)."),
    ...permFields,
    state: z.enum(["present", "absent"]).default("present").describe("`absent` removes it."),
  }),
  examples: ['- template: /etc/app.conf\n  source: app.conf.liquid\n  mode: "0640"'],
  check(wish) {
    if (wish.state === "present" && wish.source === undefined)
      return [{ path: ["template"], message: "a template needs `source`, the file to render" }];
    if (wish.state === "absent" && wish.source !== undefined)
      return [{ path: ["source"], message: "a file with state: absent has no content" }];
    return [];
  },
  sources: [{ field: "source", render: true }],
  title: (wish) => `template ${wish.template}`,
  claims: (wish) => [`path:${wish.template}`],
  probes: (wish) => fileProbes(wish.template, wish, wish.state === "present"),
  plan(wish, facts, world) {
    if (wish.state === "absent") return planAbsent(wish.template, facts, world);
    const loaded = (wish as { loaded?: Readonly<Record<string, Buffer>> }).loaded ?? {};
    return planFile(wish.template, loaded["source"], wish, facts, world);
  },
});
