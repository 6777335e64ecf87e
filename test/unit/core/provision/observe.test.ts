import { expect, it } from "vitest";
import { observe } from "../../../../src/core/provision/observe.ts";
import type { Session } from "../../../../src/core/provision/session.ts";

it("a probe that was not answered is an error, not an answer", async () => {
  const session = {
    host: { name: "h" },
    nonce: "n",
    run: async (_program: string, _until: unknown, onFrame: (frame: unknown) => void) => {
      onFrame({ word: "end", args: [], body: Buffer.alloc(0) });
      return Promise.resolve();
    },
  } as unknown as Session;
  await expect(observe(session, [{ kind: "stat", path: "/" }], { os: false })).rejects.toThrow(
    "the target did not answer the stat probe",
  );
});
