import { expect, it } from "vitest";
import { isGlob, nameOf, readWord } from "../../../../../src/core/ssh/transfer/words.ts";

const there = (target: string, path: string): object => ({ at: "there", target, path });
const here = (path: string): object => ({ at: "here", path });

it.each([
  ["web1:/srv/app", there("web1", "/srv/app")],
  ["web1:", there("web1", "")],
  ["me@web1:a b", there("me@web1", "a b")],
  ["web1:a:b", there("web1", "a:b")],
  ["[2001:db8::1]:/x", there("[2001:db8::1]", "/x")],
  ["me@[::1]:x/[a]", there("me@[::1]", "x/[a]")],
  ["ssh://me@web1:2222/var/log", there("me@web1:2222", "var/log")],
  ["scp://web1//etc/hosts", there("web1", "/etc/hosts")],
  ["sftp://web1/~/x", there("web1", "~/x")],
  ["@web:/srv", there("@web", "/srv")],
  ["a,b:/srv", there("a,b", "/srv")],
  ["./a:b", here("./a:b")],
  ["/a:b", here("/a:b")],
  ["dir/a:b", here("dir/a:b")],
  ["file", here("file")],
  ["local:x", here("x")],
  ["[a]b", here("[a]b")],
])("%s", (word, expected) => {
  expect(readWord(word)).toEqual(expected);
});

it.each(["", ":x", "-oProxyCommand=x:y", "ssh:///x"])("refuses %j", (word) => {
  expect(() => readWord(word)).toThrow(expect.objectContaining({ code: "usage.input" }));
});

it("tells patterns from names, and names from what has none", () => {
  expect(["*.c", "a?", "[ab]", "a\\*", "a"].map(isGlob)).toEqual([true, true, true, false, false]);
  expect(["a/b", "a/b/", "a/.", ".", "..", "~", "/"].map(nameOf)).toEqual(["b", "b", "", "", "", "", ""]);
});
