import { beforeAll, describe, expect, it } from "vitest";
import {
  evaluateExpression,
  ExpressionError,
  loadLiquid,
  namesIn,
  namesInExpression,
  renderText,
  renderTyped,
} from "../../../../../src/core/provision/blueprint/liquid.ts";

beforeAll(loadLiquid);

const names = {
  port: 8080,
  on: true,
  off: false,
  nothing: null,
  empty_list: [],
  sites: ["alpha", "beta"],
  app: { name: "shop", env: { A: "1" } },
  text: "a b",
};

const thrown = (action: () => unknown): ExpressionError => {
  try {
    action();
  } catch (error) {
    if (error instanceof ExpressionError) return error;
    throw error;
  }
  throw new Error("nothing was thrown");
};

describe("text", () => {
  it.each([
    ["no expression { % }", "no expression { % }"],
    ["port={{ port }}", "port=8080"],
    ["{{ sites | join: ',' }}", "alpha,beta"],
    ["{% for s in sites %}{{ forloop.index }}:{{ s }} {% endfor %}", "1:alpha 2:beta "],
    ["{% if missing %}x{% else %}y{% endif %}", "y"],
    ["{{ missing | default: 5 }}", "5"],
    ["{{ app.nope | default: 'd' }}", "d"],
    ["{% raw %}{{ port }}{% endraw %}", "{{ port }}"],
    ["<{{ '<b> & \"q\"' }}>", '<<b> & "q">'],
    ["a\r\n{{ port }}\r\n", "a\r\n8080\r\n"],
    ["[{{ nothing }}]", "[]"],
    ["{{ app | json }}", '{"name":"shop","env":{"A":"1"}}'],
    ["{{ text | quote }} {{ sites | quote }}", "'a b' alpha beta"],
    ["{{ text | b64encode }} {{ 'YSBi' | b64decode }}", "YSBi a b"],
    ["{{ 'a' | sha256 }}", "ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb"],
    ["x:\n  {{ 'a\nb\n\nc' | indent: 2 }}", "x:\n  a\n  b\n\n  c"],
    ["{{ 'a\nb' | indent: 2, true }}", "  a\n  b"],
    ["{% assign x = port %}{{ x }}", "8080"],
    ["{% increment port %}", "0"],
  ])("%j becomes %j", (text, expected) => {
    expect(renderText(text, names)).toBe(expected);
  });

  it("does not change what it was given", () => {
    renderText("{% assign port = 1 %}{% increment port %}{% capture on %}x{% endcapture %}", names);
    expect(names.port).toBe(8080);
    expect(names.on).toBe(true);
  });

  it("renders a text with exactly one expression as text too", () => {
    expect(renderText("{{ port }}", names)).toBe("8080");
  });
});

describe("a lone expression", () => {
  it.each([
    ["{{ port }}", 8080],
    ["{{ on }}", true],
    ["{{ nothing }}", null],
    ["{{ sites }}", ["alpha", "beta"]],
    ["{{ app.env }}", { A: "1" }],
    ["{{ port | plus: 1 }}", 8081],
    [" {{ port }}", " 8080"],
    ["{{ port }}{{ port }}", "80808080"],
    ["plain", "plain"],
  ])("%j keeps its type: %j", (text, expected) => {
    expect(renderTyped(text, names)).toEqual(expected);
  });
});

describe("a bare expression", () => {
  it.each([
    ["port > 80", true],
    ['app.name == "shop" and port == 8080', true],
    ["not on", false],
    ["not (on and off) or off", true],
    ["off == false", true],
    ["sites contains 'beta'", true],
    ["sites.size == 2", true],
    ["empty_list == empty", true],
    ["missing | default: false", false],
    ["{{ port }}", 8080],
    ['"}}" == "}}"', true],
    ["port\n  > 80", true],
  ])("%j is %j", (expression, expected) => {
    expect(evaluateExpression(expression, names)).toEqual(expected);
  });
});

describe("mistakes", () => {
  it.each([
    ["x\n  {{ prot }}", 'undefined variable "prot", did you mean "port"?', 2, 6],
    ["{{ app.nmae }}", 'undefined variable "app.nmae", did you mean "app.name"?', 1, 4],
    ["{{ toString }}", 'undefined variable "toString"', 1, 4],
    ["{{ app.constructor }}", 'undefined variable "app.constructor"', 1, 4],
    ["{{ port | plsu: 1 }}", 'unknown filter "plsu", did you mean "plus"?', 1, 1],
    ["a\n{% endfi %}", 'unknown tag {% endfi %}, did you mean "endif"?', 2, 1],
    ["{% if port %}x", "not closed", 1, 1],
    ["{{ port", "not closed", 1, 1],
    ["{{ port port }}", 'unexpected "port"', 1, 9],
    ["{{ port == }}", 'a value is missing after "=="', 1, 9],
    ["{{ == port }}", 'unexpected "=="', 1, 4],
    ["{% if port port %}{% endif %}", 'unexpected "port"', 1, 12],
    ["{% if (port ==) %}{% endif %}", 'a value is missing after "=="', 1, 13],
    ["{{ port, on }}", 'unexpected ", on"', 1, 1],
    ["{{ port | }}", "a filter is missing after |", 1, 1],
    ["{{ port = 1 }}", "after a value comes an operator", 1, undefined],
    ["{{ }}", "invalid value expression", 1, 4],
    ["{{.Names}}", "{% raw %}", 1, undefined],
    ["{{ sites }} ", 'this is a list; print it with | join: " " or | json', 1, undefined],
    ["{{ app }} ", "this is a mapping; print it with | json", 1, undefined],
    ["{% include 'x' %}", "{% include %} is not available", 1, 1],
    ["{% render 'x' %}", "{% render %} is not available", 1, 1],
    ["{% layout 'x' %}", "{% layout %} is not available", 1, 1],
    ["{% for x in missing %}{% endfor %}", 'undefined variable "missing"', 1, 13],
  ])("%j: %s", (text, message, line, column) => {
    const error = thrown(() => renderText(text, names));
    expect(error.message).toContain(message);
    expect(error.line).toBe(line);
    if (column !== undefined) expect(error.column).toBe(column);
  });

  it.each([
    ["", "the expression is empty", 1],
    ["port >", 'a value is missing after ">"', 6],
    ["prot > 80", 'undefined variable "prot", did you mean "port"?', 1],
    ["a {{ port }}", "one expression is wanted here", 1],
    ["port }} and on", "one expression is wanted here", 1],
    ["{% if on %}", "not closed", 1],
  ])("in the bare expression %j: %s", (expression, message, column) => {
    const error = thrown(() => evaluateExpression(expression, names));
    expect(error.message).toContain(message);
    expect([error.line, error.column]).toEqual([1, column]);
  });

  it("of size end instead of filling memory", () => {
    expect(thrown(() => renderText("{% for i in (1..1000000000) %}x{% endfor %}", {})).message).toMatch(/memory/);
  });

  it("thrown by what a name stands for come out as they are", () => {
    const boom = new (class extends ExpressionError {})("boom");
    const trap = {
      get trap(): never {
        throw boom;
      },
    };
    for (const text of ["{{ trap }}", "{{ trap | default: 1 }}", "{% if trap %}{% endif %}"])
      expect(() => renderText(text, trap)).toThrow(boom);
  });
});

describe("the names of a text", () => {
  it("are those it does not make itself, with their place", () => {
    const text =
      "{{ a.b[c.d].e }}\n{% for i in xs %}{{ i }}{{ forloop.index }}{% endfor %}{% assign q = 1 %}{{ q }}{{ list[0].x }}";
    expect(namesIn(text).map(({ path, line, column, whole }) => [path.join("."), line, column, whole])).toEqual([
      ["a.b", 1, 4, false],
      ["c.d", 1, 8, true],
      ["xs", 2, 13, true],
      ["list.0.x", 2, (text.split("\n")[1] ?? "").indexOf("list") + 1, true],
    ]);
  });

  it("say where they may be undefined", () => {
    const text =
      "{% if a %}{{ b }}{% elsif c %}{% endif %}{{ d | default: e }}{% unless (f | default: 1) == g %}{% endunless %}{{ h | upcase }}";
    const lenient = namesIn(text).map((use) => [use.path[0], use.lenient]);
    expect(Object.fromEntries(lenient)).toEqual({
      a: true,
      b: false,
      c: true,
      d: true,
      e: false,
      f: true,
      g: true,
      h: false,
    });
  });

  it("of a bare expression count columns from its start", () => {
    expect(
      namesInExpression("port > 80 and host.os == 'x'").map(({ path, column }) => [path.join("."), column]),
    ).toEqual([
      ["port", 1],
      ["host.os", 15],
    ]);
    expect(namesInExpression("{{ port }}").map(({ column }) => column)).toEqual([4]);
  });
});
