import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, it } from "vitest";
import { readText } from "../../../../../src/core/provision/blueprint/text.ts";
import { readVarsFile } from "../../../../../src/core/provision/blueprint/vars.ts";

const dir = mkdtempSync(join(tmpdir(), "ami-text-"));
afterAll(() => rmSync(dir, { recursive: true, force: true }));
const file = join(dir, "f.yaml");

it("gives the text as it is", async () => {
  writeFileSync(file, "schön \ufffd ✓\n");
  expect(await readText(file, "blueprint")).toBe("schön \ufffd ✓\n");
});
it("says where a byte is no UTF-8", async () => {
  writeFileSync(file, Buffer.concat([Buffer.from("ü: 1\nname: "), Buffer.from([0xfc]), Buffer.from("x\n")]));
  await expect(readText(file, "blueprint")).rejects.toThrow(`${file}:2:7 the blueprint is not UTF-8 text`);
});
it("a vars file takes no names that expressions could not use", async () => {
  writeFileSync(file, "ok: 1\n9x: 2\n");
  await expect(readVarsFile(file)).rejects.toThrow(`${file}:2:1 "9x" is no name for a var`);
});
