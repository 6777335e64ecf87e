/** Every verb that changes targets says whose programs it runs there: the policy and the audit log go by it. */
import { expect, it } from "vitest";
import { commands } from "../../../src/commands/registry.ts";

it("is said by all", async () => {
  const loaded = await Promise.all(commands.map(({ load }) => load()));
  const silent = loaded.filter(
    ({ effect, targets, programs }) => effect !== "read" && targets !== "none" && programs === undefined,
  );
  expect(silent.map(({ name }) => name)).toEqual([]);
});
