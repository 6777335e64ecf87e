import { expect, it } from "vitest";
import { readWho } from "../../../src/platform/posix/who.ts";

it.each([
  [
    "coreutils",
    ["root     pts/0        2026-11-20 19:26 (192.0.2.7)"],
    [{ name: "root", terminal: "pts/0", since: "2026-11-20 19:26", from: "192.0.2.7" }],
  ],
  [
    "coreutils, at the machine",
    ["anna     tty1         2026-11-20 19:26"],
    [{ name: "anna", terminal: "tty1", since: "2026-11-20 19:26" }],
  ],
  [
    "coreutils in the C locale",
    ["root     pts/0        Nov 20 19:26 (gate.example.org)"],
    [{ name: "root", terminal: "pts/0", since: "Nov 20 19:26", from: "gate.example.org" }],
  ],
  [
    "an X display",
    ["anna     :0           2026-11-20 19:26 (:0)"],
    [{ name: "anna", terminal: ":0", since: "2026-11-20 19:26", from: ":0" }],
  ],
  [
    "busybox",
    ["USER\t\tTTY\t\tIDLE\tTIME\t\t HOST", "root\t\tpts/0\t\t00:01\tNov 20 19:26:13  192.0.2.7"],
    [{ name: "root", terminal: "pts/0", since: "Nov 20 19:26:13", from: "192.0.2.7" }],
  ],
  ["nobody", [], []],
])("%s", (_, lines, users) => {
  expect(readWho(lines)).toEqual(users);
});
