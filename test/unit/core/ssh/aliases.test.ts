import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { sshAliases } from "../../../../src/core/ssh/config/aliases.ts";

let home: string;
beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), "ami-aliases-"));
  await mkdir(join(home, ".ssh", "conf.d"), { recursive: true });
});
afterEach(() => rm(home, { recursive: true, force: true }));

it("aliases are the plain names of Host lines, in the order written, included files too", async () => {
  await writeFile(
    join(home, ".ssh/config"),
    "Host web1 web2\n  User me\nInclude conf.d/*\nHost * !bad db?\nHost web1 last\n",
  );
  await writeFile(join(home, ".ssh/conf.d/a"), 'Host "with space" inner\nInclude ~/.ssh/config\n');
  expect(sshAliases(undefined, home)).toEqual(["web1", "web2", "with space", "inner", "last"]);
});

it("another file can be named", async () => {
  await writeFile(join(home, "other"), "Host only\n");
  expect(sshAliases(join(home, "other"), home)).toEqual(["only"]);
});

it("no file, no aliases", () => {
  expect(sshAliases(undefined, join(home, "nowhere"))).toEqual([]);
});
