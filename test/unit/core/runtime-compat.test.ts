import { spawnSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { closeSync, mkdtempSync, openSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir, userInfo } from "node:os";
import { join } from "node:path";
import { buffer } from "node:stream/consumers";
import { expect, it } from "vitest";
import { homeOf, localUser, readerOf } from "../../../src/core/runtime-compat.ts";
import { where } from "../../servers/engines.ts";

it("the local user is the one the system knows by our user id", () => {
  const { username, homedir } = userInfo();
  expect(localUser()).toEqual({ name: username, home: homedir });
  expect(homeOf(username)).toBe(homedir);
  expect(homeOf("no-such-user-here")).toBeUndefined();
});

const bun = where("bun");
it.runIf(bun !== undefined)("Bun says the same, whatever the environment says", () => {
  const module = new URL("../../../src/core/runtime-compat.ts", import.meta.url).href;
  const program = `const { localUser } = await import(${JSON.stringify(module)}); console.log(JSON.stringify(localUser()));`;
  const env = { PATH: process.env.PATH, USER: "somebody-else", HOME: "/nowhere" };
  const said = spawnSync(bun ?? "bun", ["--eval", program], { env, encoding: "utf8" });
  expect(JSON.parse(said.stdout)).toEqual(localUser());
});

it("a descriptor is read to its end, and left open", async () => {
  const dir = mkdtempSync(join(tmpdir(), "ami-reader-"));
  const bytes = randomBytes(300_000);
  writeFileSync(join(dir, "bytes"), bytes);
  const fd = openSync(join(dir, "bytes"), "r");
  try {
    expect((await buffer(readerOf(fd))).equals(bytes)).toBe(true);
    closeSync(fd);
    await expect(buffer(readerOf(fd))).rejects.toThrow(/EBADF/);
  } finally {
    rmSync(dir, { recursive: true });
  }
});
