import { mkdtemp, readFile, rm, symlink } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { loadResources } from "../../../src/core/resources/load.ts";
import { fileInput } from "../../../src/core/input.ts";
import { readInventory } from "../../../src/core/nodes/inventory.ts";
import { readTargetsFile } from "../../../src/core/nodes/targets-file.ts";
import { readBlueprint } from "../../../src/core/provision/blueprint/read.ts";
import { readVarsFile } from "../../../src/core/provision/blueprint/vars.ts";
import { readScript } from "../../../src/core/script.ts";
import { systemCode, whyUnreadable } from "../../../src/core/unreadable.ts";

let dir = "";
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), "ami-unreadable-"));
  await symlink("circle", join(dir, "circle"));
});
afterAll(() => rm(dir, { recursive: true, force: true }));

describe("why a file cannot be read", () => {
  it.each([
    ["gone", "ENOENT", "there is no such file"],
    ["circle", "ELOOP", "its links lead in a circle"],
    [".", "EISDIR", "it is a directory"],
    ["x".repeat(300), "ENAMETOOLONG", "its name is too long"],
  ])("%s", async (name, code, why) => {
    const error: unknown = await readFile(join(dir, name)).catch((thrown: unknown) => thrown);
    expect([systemCode(error), whyUnreadable(error)]).toEqual([code, why]);
  });

  it("keeps the words of what has no code, or one we do not know", () => {
    expect(whyUnreadable(new Error("torn"))).toBe("torn");
    expect(whyUnreadable(Object.assign(new Error("odd"), { code: "toString" }))).toBe("odd");
    expect(whyUnreadable("text")).toBe("text");
  });

  it.each<[string, (file: string) => Promise<unknown>]>([
    ["an input", fileInput],
    ["a script", (file) => readScript(file)],
    ["an inventory", (file) => readInventory(file)],
    ["a targets file", (file) => readTargetsFile(file)],
    ["a vars file", readVarsFile],
    [
      "a blueprint",
      async (file) => readBlueprint(file, { types: await loadResources(), vars: {}, varsFiles: [], hosts: [] }),
    ],
  ])("is told in words for %s", async (_what, read) => {
    await expect(read(join(dir, "gone"))).rejects.toThrow(/cannot be read: there is no such file$/);
  });
});
