import { spawnSync } from "node:child_process";
import { userInfo } from "node:os";
import { expect, it } from "vitest";
import { homeOf, localUser } from "../../../src/core/runtime-compat.ts";
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
