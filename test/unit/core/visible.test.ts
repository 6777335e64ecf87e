import { expect, it } from "vitest";
import { visible } from "../../../src/core/visible.ts";

it.each([
  ["plain words, é and 漢字", "plain words, é and 漢字"],
  ["two\nlines\tand a tab\r\n", "two\nlines\tand a tab\n"],
  ["\x1b]0;title\x07", "\\x1b]0;title\\x07"],
  ["over\rwritten\b\x7f", "over\\x0dwritten\\x08\\x7f"],
  ["\x9b31m", "\\x9b31m"],
])("shows %j as %j", (words, shown) => {
  expect(visible(words)).toBe(shown);
});
