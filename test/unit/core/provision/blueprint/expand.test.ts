import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { AmiError } from "../../../../../src/core/errors.ts";
import { expandNode } from "../../../../../src/core/provision/blueprint/expand.ts";
import { readBlueprint } from "../../../../../src/core/provision/blueprint/read.ts";
import type { Blueprint, Expansion, Scope, Wish } from "../../../../../src/core/provision/wish.ts";
import { loadResources } from "../../../../../src/core/resources/load.ts";
import { Secret } from "../../../../../src/core/secret.ts";
import { os, scopeOf } from "./scope.ts";

let dir: string;
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), "ami-node-expand-"));
});
afterAll(() => rm(dir, { recursive: true, force: true }));

const reads =
  (vars: Record<string, unknown>) =>
  async (text: string): Promise<Blueprint> => {
    const file = join(dir, "b.yaml");
    await writeFile(file, text);
    return (
      await readBlueprint(file, {
        types: await loadResources(),
        vars: {},
        varsFiles: [],
        hosts: [{ name: "web1", vars }],
      })
    ).blueprint;
  };
const read = reads({});

function expand(blueprint: Blueprint, scope: Scope = scopeOf(blueprint.vars, os), index = 0): Expansion {
  const node = blueprint.resources[index];
  if (node === undefined) throw new Error("no such node");
  return expandNode(node, blueprint, scope);
}

function wishes(expansion: Expansion): readonly Wish[] {
  expect(expansion.state).toBe("ready");
  return expansion.state === "ready" ? expansion.wishes : [];
}

describe("a ready node", () => {
  it("gives a wish with defaults of the type, title and rendered handlers", async () => {
    const blueprint = await read(
      'vars: { app: shop }\nresources:\n  - file: "/srv/{{ app }}//x"\n    content: "{{ host.distro }}\\r\\n"\n    notify: ["restart {{ app }}"]\nhandlers:\n  restart shop: { command: id }\n',
    );
    expect(wishes(expand(blueprint))).toEqual([
      {
        key: "resources[0]",
        node: blueprint.resources[0],
        type: blueprint.resources[0]?.type,
        wish: { file: "/srv/shop/x", content: "debian\r\n", state: "present" },
        title: "file /srv/shop/x",
        notify: ["restart shop"],
        secret: false,
      },
    ]);
  });

  it("has the bodies of its files: rendered templates and bytes as they are", async () => {
    const bytes = Buffer.from([0, 255, 13, 10]);
    await writeFile(join(dir, "blob"), bytes);
    await writeFile(join(dir, "t.liquid"), "{% for s in sites %}{{ s }}={{ item.key }}{{ index }}\r\n{% endfor %}ü\n");
    const blueprint = await read(
      "vars: { sites: [a, b] }\nresources:\n  - { each: { x: 1, y: 2 }, file: '/{{ item.key }}', template: t.liquid }\n  - { file: /b, source: blob }\n  - { template: /t, source: '{{ \"bl\" | append: \"ob2\" }}' , when: false }\n",
    );
    const bodies = wishes(expand(blueprint)).map((wish) => wish.wish.loaded?.["template"]?.toString());
    expect(bodies).toEqual(["a=x0\r\nb=x0\r\nü\n", "a=y1\r\nb=y1\r\nü\n"]);
    expect(wishes(expand(blueprint, undefined, 1))[0]?.wish.loaded).toEqual({ source: bytes });
  });

  it("leaves what is asked after the run alone", async () => {
    const blueprint = await read("resources:\n  - { command: id, changed_when: stdout contains 'x' }\n");
    expect(wishes(expand(blueprint))[0]?.wish).toEqual({ command: "id", changed_when: "stdout contains 'x'" });
  });

  it("takes a number from an expression where a text is wanted, however deep", async () => {
    const blueprint = await read(
      "vars: { n: 5, list: [git, vim] }\nresources:\n  - { line: '{{ n }}', path: /x }\n  - { package: '{{ list }}' }\n  - { user: x, uid: '{{ n }}' }\n",
    );
    expect(wishes(expand(blueprint))[0]?.wish).toMatchObject({ line: "5" });
    expect(wishes(expand(blueprint, undefined, 1))[0]?.wish).toMatchObject({ package: ["git", "vim"] });
    expect(wishes(expand(blueprint, undefined, 2))[0]?.wish).toMatchObject({ uid: 5 });
  });
});

describe("each", () => {
  it("repeats for the items of a list, with keys that say which", async () => {
    const blueprint = await read(
      "vars: { sites: [{ name: a }, { name: b }] }\nresources:\n  - { each: '{{ sites }}', directory: '/{{ index }}/{{ item.name }}' }\n",
    );
    expect(wishes(expand(blueprint)).map(({ key, title }) => `${key} ${title}`)).toEqual([
      "resources[0]#0 directory /0/a",
      "resources[0]#1 directory /1/b",
    ]);
  });

  it("renders expressions inside a written list", async () => {
    const blueprint = await read("resources:\n  - { each: ['{{ host.home }}/a', /b], directory: '{{ item }}' }\n");
    expect(wishes(expand(blueprint)).map(({ title }) => title)).toEqual(["directory /root/a", "directory /b"]);
    expect(expand(blueprint, scopeOf({}))).toEqual({ state: "facts" });
  });

  it("asks `when` once, or for every item when it uses item or index", async () => {
    const blueprint = await read(
      "vars: { all: [{ n: a, on: true }, { n: b, on: false }, { n: c, on: true }] }\nresources:\n  - { each: '{{ all }}', when: item.on and index > 0, directory: '/{{ item.n }}' }\n  - { each: '{{ all[7].x }}', when: false, directory: '/{{ item }}' }\n  - { each: '{{ all }}', when: item.n == 'z', directory: /z }\n  - { each: [], directory: /z }\n",
    );
    expect(wishes(expand(blueprint)).map(({ key, title }) => `${key} ${title}`)).toEqual([
      "resources[0]#2 directory /c",
    ]);
    expect(expand(blueprint, undefined, 1)).toEqual({ state: "skipped", reason: "when is not true: false" });
    expect(expand(blueprint, undefined, 2)).toEqual({
      state: "skipped",
      reason: "when is not true for any item: item.n == 'z'",
    });
    expect(expand(blueprint, undefined, 3)).toEqual({ state: "skipped", reason: "each is empty" });
  });
});

describe("a node that must wait", () => {
  it("waits for facts before results, wherever they are used", async () => {
    await writeFile(join(dir, "facts.liquid"), "{{ host.os }}");
    const blueprint = await read(
      "vars: { home: '{{ host.home }}' }\nresources:\n  - { command: make, register: made }\n  - { command: a, when: host.os == 'linux' }\n  - { file: /b, content: '{{ home }}' }\n  - { file: /c, template: facts.liquid }\n  - { command: '{{ made.stdout }}' }\n  - { command: '{{ made.stdout }}', cwd: '{{ home }}' }\n",
    );
    const known = scopeOf(blueprint.vars, os);
    const unknown = scopeOf(blueprint.vars);
    expect([1, 2, 3, 4, 5].map((i) => expand(blueprint, unknown, i))).toEqual([
      { state: "facts" },
      { state: "facts" },
      { state: "facts" },
      { state: "later", needs: "made" },
      { state: "facts" },
    ]);
    expect([1, 2, 3, 4, 5].map((i) => expand(blueprint, known, i).state)).toEqual([
      "ready",
      "ready",
      "ready",
      "later",
      "later",
    ]);
    const ran: Scope = {
      ...known,
      registered: new Map([
        ["made", { changed: true, skipped: false, failed: false, stdout: "ls {{ x }}", stderr: "", exit: 0 }],
      ]),
    };
    expect(wishes(expand(blueprint, ran, 5))[0]?.wish).toEqual({ command: "ls {{ x }}", cwd: "/root" });
  });

  it("is skipped at once when it would be anyway", async () => {
    const blueprint = await read("vars: { on: false }\nresources:\n  - { command: '{{ host.os }}', when: on }\n");
    expect(expand(blueprint, scopeOf(blueprint.vars))).toEqual({ state: "skipped", reason: "when is not true: on" });
  });
});

describe("mistakes that only show on the host", () => {
  it("come all at once with the place in the blueprint", async () => {
    const blueprint = await read(
      "vars: { bad: '{{ host.os | divided_by: missing.x }}', missing: {} }\nresources:\n  - command: id\n    when: host.distro == 'debian'\n  - file: '{{ host.os }}/x'\n    mode: '{{ host.uid }}'\n    content: '{{ bad }}'\n    template: '{{ host.distro }}.liquid'\n    notify: 'restart {{ host.os }}'\n",
    );
    expect(expand(blueprint).state).toBe("ready");
    let error: unknown;
    try {
      expand(blueprint, undefined, 1);
    } catch (e) {
      error = e;
    }
    expect(error).toBeInstanceOf(AmiError);
    if (!(error instanceof AmiError)) return;
    expect(error.code).toBe("blueprint.invalid");
    expect(error.message.split("\n").map((line) => line.replace(`${dir}/`, ""))).toEqual([
      'b.yaml:1:9 vars.bad: undefined variable "missing.x"',
      "b.yaml:5:5 resources[1].file: the path must be absolute (begin with /)",
      'b.yaml:6:5 resources[1].mode: quote the mode: "0000"',
      "b.yaml:8:5 resources[1].template: there is no file debian.liquid beside the blueprint",
      'b.yaml:9:5 resources[1].notify: there is no handler "restart linux"',
    ]);
  });
});

describe("a secret", () => {
  it("marks only the wishes it went into, and shows in no title", async () => {
    const blueprint = await reads({ password: "x", tokens: ["a"] })(
      "vars: { url: 'db://{{ password }}@h' }\nresources:\n  - { file: /a, content: '{{ url }}' }\n  - { file: /b, content: open }\n  - { command: 'login {{ password }}', creates: /c }\n  - { each: '{{ tokens }}', file: /t, content: '{{ item }}' }\n  - { file: /a2, content: '{{ url }}' }\n",
    );
    const scope = scopeOf({ ...blueprint.vars, password: new Secret("hunter2"), tokens: [new Secret("s3cret")] }, os);
    const all = [0, 1, 2, 3, 4].map((i) => wishes(expand(blueprint, scope, i))[0]);
    expect(all.map((wish) => wish?.secret)).toEqual([true, false, true, true, true]);
    expect(all[0]?.wish).toMatchObject({ content: "db://hunter2@h" });
    expect(all[2]?.title).toBe("command login ••••••");
    expect(all[2]?.wish).toMatchObject({ command: "login hunter2" });
  });
});
