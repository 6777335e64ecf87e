import { expect, test } from "vitest";
import { loginArgv, switchArgv } from "../../../../src/core/hosts/switch.ts";
import { Secret } from "../../../../src/core/secret.ts";

const password = new Secret("pw");

test.each([
  [{ user: "app", method: "sudo" }, ["sudo", "-n", "-H", "-u", "app", "--", "id", "-u"]],
  [{ user: "app", method: "sudo", password }, ["sudo", "-S", "-p", "PROMPT", "-H", "-u", "app", "--", "id", "-u"]],
  [{ user: "app", method: "doas" }, ["doas", "-n", "-u", "app", "--", "id", "-u"]],
  [{ user: "app", method: "doas", password }, ["doas", "-u", "app", "--", "id", "-u"]],
  [{ user: "app", method: "su" }, ["su", "-s", "/bin/sh", "-c", 'exec "$@"', "--", "app", "sh", "id", "-u"]],
] as const)("switch %#: no password is ever a word", (to, words) => {
  expect(switchArgv(to, ["id", "-u"], "PROMPT")).toEqual(words);
});

test.each([
  ["sudo", ["sudo", "-i", "-u", "app"], ["sudo", "-H", "-u", "app", "--", "top"]],
  ["su", ["su", "-", "app"], ["su", "-s", "/bin/sh", "-c", 'exec "$@"', "--", "app", "sh", "top"]],
  ["doas", ["doas", "-u", "app", "--", "sh", "-c", 'exec "${SHELL:-/bin/sh}" -l'], ["doas", "-u", "app", "--", "top"]],
] as const)("on a terminal %s may ask", (method, login, program) => {
  expect(loginArgv({ user: "app", method }, undefined)).toEqual(login);
  expect(loginArgv({ user: "app", method }, ["top"])).toEqual(program);
});
