/** command: a shell line, run when its guards say so. */
import { z } from "zod";
import { defineResource, type Change, type Guard } from "../resource.ts";
import { absolutePath } from "./path.ts";

export const resource = defineResource({
  type: "command",
  summary: "A shell line; guarded by `creates` or `unless`, otherwise it runs every time.",
  schema: z.strictObject({
    command: z.string().min(1).describe("Line for `sh`."),
    creates: absolutePath.optional().describe("Not run when this path exists."),
    unless: z
      .string()
      .min(1)
      .optional()
      .describe("Not run when this line for `sh` succeeds. It must not change anything: --check runs it too."),
    changed_when: z
      .string()
      .min(1)
      .optional()
      .describe("Expression over `stdout`, `stderr` and `exit`: whether the run counts as a change."),
    cwd: absolutePath.optional().describe("Directory to run in."),
    env: z
      .record(z.string().regex(/^[A-Za-z_][A-Za-z0-9_]*$/, "a variable name"), z.coerce.string())
      .optional()
      .describe("Environment variables."),
  }),
  examples: [
    "- command: make install\n  cwd: /usr/src/app\n  creates: /usr/local/bin/app",
    "- command: ufw allow 80/tcp\n  unless: ufw status | grep -q '^80/tcp'",
  ],
  title: (wish) => `command ${firstLine(wish.command)}`,
  claims: () => [],
  lines: ({ command, unless }) => [command, ...(unless === undefined ? [] : [unless])],
  probes: (wish) => [
    ...(wish.creates === undefined ? [] : [{ kind: "stat", path: wish.creates } as const]),
    ...(wish.unless === undefined
      ? []
      : [{ kind: "shell", line: wish.unless, ...(wish.cwd === undefined ? {} : { cwd: wish.cwd }) } as const]),
  ],
  plan(wish, facts, world) {
    if (
      wish.creates !== undefined &&
      ((facts.get({ kind: "stat", path: wish.creates }).state === "present" && !world.removes(wish.creates)) ||
        world.provides(`path:${wish.creates}`))
    )
      return [];
    const passes =
      wish.unless !== undefined &&
      facts.get({ kind: "shell", line: wish.unless, ...(wish.cwd === undefined ? {} : { cwd: wish.cwd }) }).code === 0;
    // An earlier change may turn the guard over: it is asked again right before the run.
    if (passes && !world.pending) return [];
    const guards = world.pending ? guardsOf(wish) : [];
    const change: Change = {
      summary: `run: ${firstLine(wish.command)}`,
      steps: [
        {
          do: "shell",
          line: wish.command,
          ...(wish.cwd === undefined ? {} : { cwd: wish.cwd }),
          ...(wish.env === undefined ? {} : { env: wish.env }),
        },
      ],
      ...(wish.creates === undefined ? {} : { provides: [`path:${wish.creates}`] }),
      ...(guards.length === 0 ? {} : { unless: guards }),
      ...(wish.changed_when?.trim() === "false" ? { quiet: true } : {}),
    };
    return [change];
  },
  alwaysRuns: (wish) => wish.creates === undefined && wish.unless === undefined,
});

function guardsOf(wish: {
  creates?: string | undefined;
  unless?: string | undefined;
  cwd?: string | undefined;
}): Guard[] {
  return [
    ...(wish.creates === undefined ? [] : [{ exists: wish.creates }]),
    ...(wish.unless === undefined
      ? []
      : [{ shell: wish.unless, ...(wish.cwd === undefined ? {} : { cwd: wish.cwd }) }]),
  ];
}

function firstLine(text: string): string {
  const line = text.trim().split("\n")[0] ?? "";
  return line.length < text.trim().length ? `${line} ...` : line;
}
