/** line: one whole line that a file holds, or does not hold. Many lines may share a path. */
import { z } from "zod";
import { AmiError } from "../errors.ts";
import { defineResource, later } from "../resource.ts";
import { absolutePath, isDirectory, mustSee, needParent, pathProbes } from "./path.ts";

export const resource = defineResource({
  type: "line",
  summary: "One line in a text file; added at the end when missing.",
  schema: z.strictObject({
    line: z
      .string()
      .refine((line) => !/[\n\r]/.test(line), "a line holds no line break")
      .describe("The whole line, compared byte for byte."),
    path: absolutePath.describe("The file; it is created (mode 0644) when missing."),
    state: z.enum(["present", "absent"]).default("present").describe("`absent` removes every equal line."),
  }),
  examples: ["- line: export EDITOR=vim\n  path: /etc/profile.d/editor.sh"],
  title: (wish) => `line ${wish.path}: ${wish.line}`,
  claims: (wish) => [`line:${wish.path}:${wish.line}`],
  probes: (wish) => [...pathProbes(wish.path), { kind: "line", path: wish.path, line: wish.line }],
  plan(wish, facts, world) {
    const { path, line } = wish;
    const stat = mustSee(path, facts, world);
    const { present, readable } = facts.get({ kind: "line", path, line });
    if (stat.state === "present" && isDirectory(stat)) throw new AmiError("plan.refused", `${path} is a directory`);
    if (!readable)
      throw new AmiError("plan.refused", `${path} may not be read`, {
        hint: "run it as a user who may, with --become or `become: true`",
      });
    // An earlier resource of this stage writes the whole file: what it will hold is in that resource, not in the facts.
    if (world.provides(`file:${path}`)) return { later: `${path} is written by an earlier resource` };
    if (wish.state === "absent" && stat.state === "absent" && world.pendingPrograms)
      return later(`${path} may come with an earlier package or command`);
    if (wish.state === "absent")
      return present
        ? [
            {
              summary: `remove line: ${line}`,
              steps: [{ do: "drop-line", path, line }],
              diff: { path, after: (before) => without(before, line) },
            },
          ]
        : [];
    if (present) return [];
    const wait =
      stat.state === "absent" && !world.provides(`path:${path}`) ? needParent(path, facts, world) : undefined;
    if (wait !== undefined) return wait;
    return [
      {
        summary: `add line: ${line}`,
        steps: [{ do: "append", path, line }],
        diff: { path, after: (before) => withLine(before, line) },
        provides: [`path:${path}`],
      },
    ];
  },
});

function withLine(before: Buffer, line: string): Buffer {
  const end = before.length === 0 || before.at(-1) === 10 ? "" : "\n";
  return Buffer.concat([before, Buffer.from(`${end}${line}\n`)]);
}

function without(before: Buffer, line: string): Buffer {
  const lines = before.toString("latin1").split("\n");
  return Buffer.from(lines.filter((one) => one !== Buffer.from(line).toString("latin1")).join("\n"), "latin1");
}
