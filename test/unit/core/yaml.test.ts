import { describe, expect, it } from "vitest";
import { AmiError } from "../../../src/core/errors.ts";
import { parseYaml, type YamlProblem } from "../../../src/core/yaml.ts";

const text = `# a comment
name: web
vars: { port: 8080, "two words": [x, 'y'] }
base: &base
  mode: 0644
  owner: root
resources:
  - file: &f /etc/x
    <<: *base
  -
    line: |
      first
  - *f
empty:
list: 
  - 1
  -

`;

describe("positions", () => {
  it.each([
    [["name"], "key", 2, 1],
    [["name"], "value", 2, 7],
    [["vars", "port"], "key", 3, 9],
    [["vars", "two words"], "key", 3, 21],
    [["vars", "two words", 1], "key", 3, 38],
    [["resources"], "key", 7, 1],
    [["resources", 0], "key", 8, 5],
    [["resources", 0, "file"], "value", 8, 14],
    [["resources", 0, "owner"], "key", 6, 3],
    [["resources", 1, "line"], "key", 11, 5],
    [["resources", 1, "nothing", "deeper"], "key", 11, 5],
    [["empty"], "value", 14, 1],
    [["list", 1], "key", 15, 1],
    [["nothing"], "key", 2, 1],
    [[], "key", 2, 1],
  ] as const)("%j by %s stands at %i:%i", async (path, what, line, column) => {
    const yaml = await parseYaml(text, "x.yaml");
    expect(yaml.at(path, what)).toEqual({ line, column });
  });

  it.each(["\n", "\r\n", "\r"])("count lines that end in %j", async (newline) => {
    const yaml = await parseYaml(text.replaceAll("\n", newline), "x.yaml");
    expect(yaml.at(["resources", 1, "line"])).toEqual({ line: 11, column: 5 });
  });

  it("do not count a byte order mark", async () => {
    const yaml = await parseYaml("\ufeffa: 1\n", "x.yaml");
    expect(yaml.at(["a"])).toEqual({ line: 1, column: 1 });
  });

  it("come with what was typed", async () => {
    const yaml = await parseYaml(text, "x.yaml");
    expect(yaml.typed(["base", "mode"])).toBe("0644");
    expect(yaml.typed(["resources", 0, "mode"])).toBe("0644");
    expect(yaml.typed(["vars", "two words", 1])).toBeUndefined();
    expect(yaml.typed(["nothing"])).toBeUndefined();
  });
});

describe("values", () => {
  it("follow YAML 1.2 core, aliases and merges", async () => {
    const { value } = await parseYaml(text, "x.yaml");
    expect(value).toEqual({
      name: "web",
      vars: { port: 8080, "two words": ["x", "y"] },
      base: { mode: 644, owner: "root" },
      resources: [{ file: "/etc/x", mode: 644, owner: "root" }, { line: "first\n" }, "/etc/x"],
      empty: null,
      list: [1, null],
    });
    expect((await parseYaml("a: yes\nb: 0o17\nc: 1.50\nd: ~", "x")).value).toEqual({
      a: "yes",
      b: 15,
      c: 1.5,
      d: null,
    });
  });

  it.each(["", "# only a comment\n", "\n\n"])("are undefined without a document: %j", async (empty) => {
    const yaml = await parseYaml(empty, "x.yaml");
    expect(yaml.value).toBeUndefined();
    expect(yaml.at(["a"])).toEqual({ line: 1, column: 1 });
  });

  it("keep a key called __proto__ harmless", async () => {
    const { value } = await parseYaml("__proto__: { a: 1 }\nb: 2", "x.yaml");
    expect(Object.keys(value as object)).toEqual(["__proto__", "b"]);
    expect(({} as { a?: number }).a).toBeUndefined();
  });
});

describe("mistakes", () => {
  it.each([
    ["a: 1\n  b: 2\n", "x.yaml:2:4 bad indentation"],
    ["a: b\n\tc: d", "x.yaml:2:1 tab characters"],
    ["a: [1", "x.yaml:1:6 unexpected end"],
    ["a: {{ x }}", 'x.yaml:1:5 an expression must be quoted: "{{ ... }}"'],
    ["a:\n  - {{ x }}", 'x.yaml:2:6 an expression must be quoted: "{{ ... }}"'],
    ["a: {{ x }}/b", 'an expression must be quoted: "{{ ... }}"'],
    ["a: @x", "must be quoted"],
    ["a: b: c", 'a value that holds ": " must be quoted'],
    ["? [a]\n: b", "x.yaml:1:3 a key must be a text"],
    ["a: 1\n---\nb: 2\n", "x.yaml:3:1 a second document starts here"],
    ["a: *nobody", "x.yaml:1:4 no anchor &nobody comes before this alias"],
    ["a: &a [1, *a]", "x.yaml:1:11 the alias *a stands inside what it names"],
    ["a: !made-up x", "x.yaml:1:4 unknown scalar tag"],
    ["a: 1\nb: 2\na: 3\n", 'x.yaml:3:1 the key "a" is here twice, first in line 1'],
    ["a: \0", "null byte"],
  ])("%j is refused", async (bad, message) => {
    const error = await parseYaml(bad, "x.yaml").catch((e: unknown) => e);
    expect(error).toBeInstanceOf(AmiError);
    expect(error).toMatchObject({ code: "config.invalid", message: expect.stringContaining(message) });
  });

  it("have the code the caller asks for", async () => {
    await expect(parseYaml("a: [", "x", { code: "blueprint.invalid" })).rejects.toMatchObject({
      code: "blueprint.invalid",
    });
  });

  it("that are duplicate keys are all told, or handed to the caller", async () => {
    const twice = "a: 1\na: 2\nb: { c: 1, c: 2 }\n";
    await expect(parseYaml(twice, "x")).rejects.toMatchObject({
      message: expect.stringMatching(/^x:2:1 .*\nx:3:12 .*$/),
    });
    const problems: YamlProblem[] = [];
    const { value } = await parseYaml(twice, "x", { problems });
    expect(problems.map((p) => [p.line, p.column])).toEqual([
      [2, 1],
      [3, 12],
    ]);
    expect(value).toEqual({ a: 2, b: { c: 2 } });
  });

  it("of the billion laughs kind end at once", async () => {
    const lines = ["l0: &l0 [lol, lol, lol, lol, lol, lol, lol, lol, lol]"];
    for (let i = 1; i < 12; i++)
      lines.push(`l${i}: &l${i} [${Array.from({ length: 9 }, () => `*l${i - 1}`).join(", ")}]`);
    const started = performance.now();
    await expect(parseYaml(lines.join("\n"), "x.yaml")).rejects.toMatchObject({
      message: expect.stringContaining("more than 200000 values"),
    });
    expect(performance.now() - started).toBeLessThan(2000);
  });

  it("of nesting, plain or by aliases, end at once", async () => {
    await expect(parseYaml("[".repeat(5000), "x")).rejects.toBeInstanceOf(AmiError);
    const chain = ["a0: &a0 [1]"];
    for (let i = 1; i < 200; i++) chain.push(`a${i}: &a${i} [*a${i - 1}]`);
    await expect(parseYaml(chain.join("\n"), "x")).rejects.toMatchObject({
      message: expect.stringContaining("nested deeper"),
    });
  });
});
