/** The watch of one run: what a policy requires holds until its end, and no half of a secret is kept. */
import { expect, it } from "vitest";
import { z } from "zod";
import type { Entry } from "../../../../src/core/security/audit/line.ts";
import { type Watching, openWatch } from "../../../../src/core/security/watch.ts";

const doer = { target: { kind: "local", name: "here", vars: {} }, login: "me" } as const;
const run = { does: "run", argv: ["true"] } as const;

/** Its log takes one line. */
function open(auditRequired: boolean, line = "x"): { watch: Watching; written: Entry[] } {
  const written: Entry[] = [];
  const watch = openWatch({
    command: { name: "ssh execute", effect: "change", input: z.strictObject({ line: z.string() }) },
    input: { line },
    targets: ["here"],
    by: "me",
    policies: [{ rules: [], otherwise: "allow", auditRequired }],
    log: {
      async append(...entries) {
        if (written.length > 0) throw new Error("no room");
        written.push(...entries);
      },
      close: () => Promise.resolve(),
    },
    recordings: "/nowhere",
    mask: (text) => text.replaceAll("hunter2", "***"),
    note: () => undefined,
  });
  return { watch, written };
}

it.each([true, false])(
  "a log that breaks on the way ends what comes next, where it is required: %s",
  async (required) => {
    const { watch } = open(required);
    await watch.begin(["here"]);
    watch.judge(doer, run);
    watch.runs?.(doer, run.argv)({ exit: { code: 0 } });
    await new Promise((done) => setImmediate(done));
    const next = (): void => watch.judge(doer, run);
    if (required) expect(next).toThrow(expect.objectContaining({ code: "audit.failed" }));
    else expect(next).not.toThrow();
  },
);

it("a secret is masked before a long text is cut", async () => {
  const { watch, written } = open(false, `${"x".repeat(1996)}hunter2`);
  await watch.begin(["here"]);
  expect(JSON.stringify(written)).not.toContain("hunt");
});
