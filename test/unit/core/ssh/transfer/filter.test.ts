import { expect, it } from "vitest";
import { createFilter } from "../../../../../src/core/ssh/transfer/filter.ts";

const files = ["a.o", "a.c", "build/x.c", "src/a.o", "src/deep/b.c", "src/build"];

it.each([
  [[], [], files],
  [[], ["*.o"], ["a.c", "build/x.c", "src/deep/b.c", "src/build"]],
  [[], ["build/"], ["a.o", "a.c", "src/a.o", "src/deep/b.c", "src/build"]],
  [[], ["build"], ["a.o", "a.c", "src/a.o", "src/deep/b.c"]],
  [[], ["/src"], ["a.o", "a.c", "build/x.c"]],
  [[], ["src/*.o"], ["a.o", "a.c", "build/x.c", "src/deep/b.c", "src/build"]],
  [[], ["src/**/b.c"], ["a.o", "a.c", "build/x.c", "src/a.o", "src/build"]],
  [[], ["**/deep"], ["a.o", "a.c", "build/x.c", "src/a.o", "src/build"]],
  [[], ["[!a].?"], ["a.o", "a.c", "src/a.o", "src/build"]],
  [["*.c"], [], ["a.c", "build/x.c", "src/deep/b.c"]],
  [["src/a.o"], ["*.o"], ["a.c", "build/x.c", "src/a.o", "src/deep/b.c", "src/build"]],
] as const)("--include %j --exclude %j", (include, exclude, expected) => {
  const filter = createFilter({ include, exclude });
  const isTaken = (file: string): boolean => {
    const parts = file.split("/");
    return parts.every((_, at) => filter.wants(parts.slice(0, at + 1).join("/"), at < parts.length - 1));
  };
  expect(files.filter(isTaken)).toEqual(expected);
});

it("tells the other end only names without wildcards, and none that may be included again", () => {
  expect(createFilter({ include: [], exclude: ["node_modules", "*.o", "a/b", "x/"] }).names).toEqual(["node_modules"]);
  expect(createFilter({ include: ["a"], exclude: ["node_modules"] }).names).toEqual([]);
});
