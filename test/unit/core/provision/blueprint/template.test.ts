import { beforeAll, describe, expect, it } from "vitest";
import { AmiError } from "../../../../../src/core/errors.ts";
import { ExpressionError, loadLiquid } from "../../../../../src/core/provision/blueprint/liquid.ts";
import {
  environment,
  evaluate,
  isTrue,
  NotYet,
  renderValue,
  VarError,
  withLocals,
} from "../../../../../src/core/provision/blueprint/template.ts";
import { Secret } from "../../../../../src/core/secret.ts";
import type { Scope } from "../../../../../src/core/provision/wish.ts";
import { os, scopeOf } from "./scope.ts";

beforeAll(loadLiquid);

function render(text: unknown, scope: Scope, registers: string[] = []): unknown {
  return renderValue(text, environment(scope, registers));
}

function thrown(action: () => unknown): unknown {
  try {
    return action();
  } catch (error) {
    return error;
  }
}

describe("vars", () => {
  it("may use other vars and the host, in any order and depth", () => {
    const vars = {
      conf: "{{ app.dir }}/conf",
      app: { name: "shop", dir: "/srv/{{ app.name }}-{{ host.name }}", ports: [80, "{{ extra }}"] },
      extra: "{{ base | plus: 1 }}",
      base: 8080,
    };
    const scope = scopeOf(vars);
    expect(render("{{ conf }}", scope)).toBe("/srv/shop-web1/conf");
    expect(render("{{ app }}", scope)).toEqual({ name: "shop", dir: "/srv/shop-web1", ports: [80, 8081] });
    expect(render("{{ app.ports | join: ' ' }} {{ app.ports.size }} {{ app.ports[1] }}", scope)).toBe("80 8081 2 8081");
    expect(render("{% for p in app.ports %}{{ p }},{% endfor %}", scope)).toBe("80,8081,");
    expect(render("{{ app | json }}", scope)).toBe('{"name":"shop","dir":"/srv/shop-web1","ports":[80,8081]}');
  });

  it("are rendered once and only when used", () => {
    const scope = scopeOf({ broken: "{{ nowhere }}", fine: "ok", both: "{{ fine }}{{ fine }}" });
    expect(render("{{ both }}", scope)).toBe("okok");
  });

  it("are not rendered twice: what a var gives is not an expression", () => {
    const scope = scopeOf({ raw: "{% raw %}{{ port }}{% endraw %}", shown: "{{ raw }}" });
    expect(render("{{ shown }}", scope)).toBe("{{ port }}");
  });

  it("that need each other are an error that names the circle the same way from everywhere", () => {
    const scope = scopeOf({ c: "{{ a }}", a: "{{ b }}", b: "x{{ c }}", user: "{{ b }}" });
    for (const name of ["a", "b", "c", "user"]) {
      const error = thrown(() => render(`{{ ${name} }}`, scope));
      expect(error).toBeInstanceOf(VarError);
      expect(error).toMatchObject({ path: ["a"], message: "the vars need each other: a -> b -> c -> a" });
    }
  });

  it("with a mistake say which var it is in, also with default", () => {
    const scope = scopeOf({ outer: "{{ inner.x }}", inner: { x: "{{ nobody }}" } });
    for (const text of ["{{ outer }}", "{{ outer | default: 1 }}", "{% if outer %}{% endif %}"]) {
      expect(thrown(() => render(text, scope))).toMatchObject({
        path: ["inner", "x"],
        message: 'undefined variable "nobody"',
      });
    }
  });

  it("do not hide what `host` means", () => {
    expect(render("{{ host.name }}", scopeOf({ host: "other" }))).toBe("web1");
  });
});

describe("what is not known yet", () => {
  it("is the facts of a host nobody has looked at, but not its name", () => {
    const scope = scopeOf({ where: "{{ host.home }}/x" });
    expect(render("{{ host.name }}", scope)).toBe("web1");
    for (const text of [
      "{{ host.os }}",
      "{{ where }}",
      "{{ host.os | default: 1 }}",
      "{% if host.uid %}{% endif %}",
      "{{ host | json }}",
    ]) {
      const error = thrown(() => render(text, scope));
      expect(error).toBeInstanceOf(NotYet);
      expect(error).toMatchObject({ needs: { state: "facts" } });
    }
    expect(render("{{ where }} {{ host.distro }} {{ host.like | join: ',' }}", { ...scope, os })).toBe(
      "/root/x debian linux,unix",
    );
  });

  it("is the result of a resource that has not run", () => {
    const scope = scopeOf({});
    expect(thrown(() => render("{{ built.stdout }}", scope, ["built"]))).toMatchObject({
      needs: { state: "later", needs: "built" },
    });
    const ran: Scope = {
      ...scope,
      registered: new Map([
        ["built", { changed: true, skipped: false, failed: false, stdout: "{{ x }}", stderr: "", exit: 0 }],
      ]),
    };
    expect(render("{{ built.stdout }} {{ built.changed }}", ran, ["built"])).toBe("{{ x }} true");
  });

  it("differs from what does not exist", () => {
    expect(thrown(() => render("{{ host.oss }}", scopeOf({}, os)))).toMatchObject({
      message: 'undefined variable "host.oss", did you mean "host.os"?',
    });
    expect(thrown(() => render("{{ built }}", scopeOf({})))).toBeInstanceOf(ExpressionError);
  });
});

describe("secrets", () => {
  it("render as their words and are remembered, also through other vars read before", () => {
    const scope = scopeOf({
      password: new Secret("hunter2"),
      url: "db://{{ password }}@x",
      list: [{ token: new Secret("t0ken") }],
      open: "x",
    });
    const env = environment(scope);
    expect(renderValue("{{ open }}", env)).toBe("x");
    expect([...env.secrets]).toEqual([]);
    expect(renderValue("{{ url }}", env)).toBe("db://hunter2@x");
    expect([...env.secrets]).toEqual(["hunter2"]);
    env.secrets.clear();
    expect(renderValue("{{ url | upcase }}", env)).toBe("DB://HUNTER2@X");
    expect([...env.secrets]).toEqual(["hunter2"]);
    expect(renderValue("{{ list[0].token }}", env)).toBe("t0ken");
    expect([...env.secrets]).toEqual(["hunter2", "t0ken"]);
    expect(renderValue(new Secret("direct"), env)).toBe("direct");
    expect(env.secrets.has("direct")).toBe(true);
  });
});

describe("values", () => {
  it("render however deep", () => {
    const value = { a: ["{{ n }}", { b: "x{{ n }}" }], c: 1, d: null };
    expect(render(value, scopeOf({ n: 2 }))).toEqual({ a: [2, { b: "x2" }], c: 1, d: null });
  });

  it("see item and index over everything else, vars do not", () => {
    const env = withLocals(environment(scopeOf({ item: "var", uses: "{{ item }}" })), {
      item: { name: "a" },
      index: 3,
    });
    expect(renderValue("{{ item.name }}{{ index }} {{ uses }}", env)).toBe("a3 var");
  });
});

describe("conditions", () => {
  const env = () =>
    environment(scopeOf({ yes: true, none: null, zero: 0, list: [], word: "debian", shaky: "false" }, os));
  it.each([
    [true, true],
    [false, false],
    ["yes", true],
    ["none", false],
    ["zero", true],
    ["list", true],
    ["word", true],
    ['host.distro == "debian" and not none', true],
    ['shaky == "true"', false],
  ])("%j is %j", (condition, expected) => {
    expect(isTrue(condition, env())).toBe(expected);
  });

  it("refuse a text that looks like true or false: it would be true either way", () => {
    expect(() => isTrue("shaky", env())).toThrow(
      'gives the text "false", which is neither true nor false: compare it, as in  shaky == "true"',
    );
  });
});

describe("evaluate", () => {
  it("sees the result of the run besides vars, facts and registered results", () => {
    const scope = scopeOf({ word: "done" }, os);
    expect(evaluate("stdout contains word and exit == 0", scope, { stdout: "all done", stderr: "", exit: 0 })).toBe(
      true,
    );
    expect(evaluate('stderr != ""', scope, { stdout: "", stderr: "", exit: 0 })).toBe(false);
  });

  it("throws an error for people", () => {
    const error = thrown(() => evaluate("stdot", scopeOf({}), { stdout: "" }));
    expect(error).toBeInstanceOf(AmiError);
    expect(error).toMatchObject({
      code: "blueprint.invalid",
      message: '"stdot": undefined variable "stdot", did you mean "stdout"?',
    });
  });
});
