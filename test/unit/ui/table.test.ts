import { describe, expect, it } from "vitest";
import { cut, table, width } from "../../../src/ui/table.ts";

describe("width", () => {
  it.each([
    ["", 0],
    ["abc", 3],
    ["héllo", 5],
    ["e\u0301", 1],
    ["日本", 4],
    ["ｗｉｄｅ", 8],
    ["한국", 4],
    ["🎉", 2],
    ["👩‍👩‍👧", 2],
    ["❤️", 2],
    ["✔", 1],
    ["a\u200bb", 2],
    ["\u001b[31mred\u001b[39m", 3],
  ])("of %j is %i cells", (text, cells) => {
    expect(width(text)).toBe(cells);
  });
});

describe("a table", () => {
  it("lines its columns up by what is seen", () => {
    const lines = table(
      [{ title: "name" }, { title: "n", align: "right" }, { title: "says" }],
      [
        ["日本", "1", "x"],
        ["\u001b[31mab\u001b[39m", "100", ""],
      ],
    );
    expect(lines).toEqual(["name    n  says", "日本    1  x", "\u001b[31mab\u001b[39m    100"]);
  });

  it("is cut to the terminal, its head painted afterwards", () => {
    const lines = table([{ title: "host" }, { title: "text" }], [["web1", "long text"]], {
      columns: 10,
      head: (text) => `<${text}>`,
    });
    expect(lines).toEqual(["<host  text>", "web1  lon…"]);
  });

  it("without rows is its head", () => {
    expect(table([{ title: "a" }, { title: "b" }], [])).toEqual(["a  b"]);
  });
});

it.each([
  ["short", 10, "short"],
  ["exactly10!", 10, "exactly10!"],
  ["longer than that", 10, "longer th…"],
  ["日本語日本語", 7, "日本語…"],
  ["日本語日本語", 8, "日本語…"],
  ["anything", undefined, "anything"],
])("%j cut to %s is %j", (text, columns, result) => {
  expect(cut(text, columns)).toBe(result);
});
