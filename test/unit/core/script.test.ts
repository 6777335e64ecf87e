import { expect, it } from "vitest";
import { interpreterOf } from "../../../src/core/script.ts";

it.each([
  ["#!/bin/sh\necho", ["/bin/sh"]],
  ["#! /bin/bash -eu\n", ["/bin/bash", "-eu"]],
  ["#!/usr/bin/env -S python3 -u\n", ["/usr/bin/env", "-S python3 -u"]],
  ["#!/usr/bin/env python3\r\nprint()\r\n", ["/usr/bin/env", "python3"]],
  ["#!/bin/sh", ["/bin/sh"]],
  ["echo hi\n", ["sh"]],
  ["", ["sh"]],
  ["#!\necho", ["sh"]],
  ["\x7fELF\x02\x01\x01\0\0\0", []],
])("%j is run by %j", (text, words) => {
  expect(interpreterOf(Buffer.from(text))).toEqual(words);
});
