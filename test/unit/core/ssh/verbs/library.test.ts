/** Holds what the verbs rely on of ssh2-sftp-client against the installed package. */
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { expect, it } from "vitest";

const require = createRequire(import.meta.url);
const main = require.resolve("ssh2-sftp-client");

it("it is the pinned version, and speaks through whatever session it is given", async () => {
  const own: unknown = JSON.parse(readFileSync("package.json", "utf8"));
  const installed: unknown = JSON.parse(readFileSync(join(dirname(main), "../package.json"), "utf8"));
  expect(installed).toMatchObject({ version: "12.1.1" });
  expect(own).toMatchObject({ devDependencies: { "ssh2-sftp-client": "12.1.1" } });
  const { default: Client } = await import("ssh2-sftp-client");
  const said: unknown[][] = [];
  const calls = ["realpath", "unlink", "rmdir", "rename", "ext_openssh_rename", "chmod", "readdir", "stat", "lstat"];
  const stats = { mode: 0o40755, uid: 0, gid: 0, size: 0, atime: 0, mtime: 0 };
  const kinds = ["isDirectory", "isFile", "isBlockDevice", "isCharacterDevice", "isSymbolicLink", "isFIFO", "isSocket"];
  const answer = { ...stats, ...Object.fromEntries(kinds.map((kind) => [kind, () => kind === "isDirectory"])) };
  const session = Object.fromEntries(
    calls.map((name) => [
      name,
      (...words: unknown[]) => {
        said.push([name, ...words.slice(0, -1)]);
        const done = words.at(-1) as (error: undefined, value: unknown) => void;
        done(undefined, name === "readdir" ? [] : name === "realpath" ? words[0] : answer);
      },
    ]),
  );
  const client = new Client("test", { error: () => undefined, end: () => undefined, close: () => undefined });
  client.sftp = session as never;
  await client.realPath("/r");
  await client.list("/d");
  await client.stat("/s");
  await client.lstat("/l");
  await client.delete("/f");
  await client.rmdir("/e");
  await client.rename("/a", "/b");
  await client.posixRename("/a", "/b");
  await client.chmod("/c", 0o644);
  expect(said.map(([name]) => name)).toEqual([
    "realpath",
    "readdir",
    "stat",
    "lstat",
    "unlink",
    "lstat",
    "rmdir",
    "rename",
    "ext_openssh_rename",
    "chmod",
  ]);
});
