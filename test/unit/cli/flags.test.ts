import { describe, expect, it } from "vitest";
import { z } from "zod";
import { wordsOf } from "../../../src/cli/declared.ts";
import { flagSays, flagTerm, kebab, positionalSays, positionalTerm } from "../../../src/cli/flags.ts";
import { copy, inside } from "./command.ts";

describe("a declaration as words of a command line", () => {
  it("names its positional words", () => {
    expect(wordsOf(copy).positionals.map((word) => `${positionalTerm(word)} ${positionalSays(word)}`)).toEqual([
      "<FILE> what to copy",
      "[BOX...] where to",
    ]);
  });

  it("names its flags with value, choices, default, repetition and need", () => {
    expect(wordsOf(copy).flags.map((flag) => `${flagTerm(flag)} | ${flagSays(flag)}`)).toEqual([
      "-C, --check | change nothing",
      "--no-backup | keep the old file",
      "--copies N | how many (default 1)",
      "--level TEXT | how hard to try (one of low, high)",
      "-x, --skip TEXT | leave out (repeatable)",
      "--ports N | ports to use (repeatable)",
      "--env NAME=VALUE | a variable (repeatable)",
      "--run-as TEXT | whom to be",
      "--token TEXT | who asks (required)",
    ]);
  });

  it("refuses a list that is not the last word", () => {
    const wrong = { ...copy, args: { positional: ["places", "file"] } };
    expect(() => wordsOf(wrong)).toThrow("only the last positional input may be a list");
  });

  it("sees through defaults, transformations and unions", () => {
    const input = z.strictObject({
      deep: z.array(z.enum(["a", "b"])).optional(),
      late: z.string().transform(Number),
      either: z.union([z.string(), z.number()]).optional(),
      piped: z.string().default("x").pipe(z.string()),
    });
    const kinds = wordsOf({ ...inside, input, args: {} }).flags.map(({ long, kind, choices, required, fallback }) => [
      long,
      kind,
      choices,
      required,
      fallback,
    ]);
    expect(kinds).toEqual([
      ["deep", "list", ["a", "b"], false, undefined],
      ["late", "value", [], true, undefined],
      ["either", "value", [], false, undefined],
      ["piped", "value", [], false, "x"],
    ]);
  });

  it.each([
    ["blueprint", "blueprint"],
    ["varsFile", "vars-file"],
    ["k8sName", "k8s-name"],
  ])("writes %s as --%s", (field, flag) => {
    expect(kebab(field)).toBe(flag);
  });
});
