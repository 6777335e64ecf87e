import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { AmiError, exitCodeOf } from "../../../../../src/core/errors.ts";
import { BlueprintError } from "../../../../../src/core/provision/blueprint/mistakes.ts";
import {
  readBlueprint,
  type ReadBlueprint,
  type ReadOptions,
} from "../../../../../src/core/provision/blueprint/read.ts";
import type { ResourceType } from "../../../../../src/core/resource.ts";
import { loadResources } from "../../../../../src/core/resources/load.ts";

const fixtures = resolve(import.meta.dirname, "../../../../fixtures/blueprints");

let types: ReadonlyMap<string, ResourceType>;
let dir: string;

beforeAll(async () => {
  types = await loadResources();
  dir = await mkdtemp(join(tmpdir(), "ami-node-read-"));
});
afterAll(() => rm(dir, { recursive: true, force: true }));

function read(file: string, options: Partial<ReadOptions> = {}): Promise<ReadBlueprint> {
  return readBlueprint(file, { types, vars: {}, varsFiles: [], hosts: [{ name: "web1", vars: {} }], ...options });
}

async function write(name: string, text: string | Buffer): Promise<string> {
  const path = join(dir, name);
  await mkdir(dirname(path), { recursive: true });
  await writeFile(path, text);
  return path;
}

/** The problems of a text, without the file name. */
async function problems(text: string, options: Partial<ReadOptions> = {}): Promise<string[]> {
  const path = await write("b.yaml", text);
  const error = await read(path, options).then(
    () => undefined,
    (e: unknown) => (e instanceof Error ? e : new Error(String(e))),
  );
  if (error === undefined) return [];
  if (!(error instanceof AmiError)) throw error;
  expect(error.code).toBe("blueprint.invalid");
  return error.message.split("\n").map((line) => line.replaceAll(`${dir}/`, ""));
}

describe("a blueprint with twenty different mistakes", () => {
  it("gets twenty errors with file, line and column, and exit code 64", async () => {
    const file = join(fixtures, "twenty-mistakes.yaml");
    const error = await read(file).catch((e: unknown) => e);
    expect(error).toBeInstanceOf(BlueprintError);
    if (!(error instanceof BlueprintError)) return;
    expect(exitCodeOf(error)).toBe(64);
    expect(error.message.split("\n").map((line) => line.replace(`${file}:`, ""))).toEqual([
      '3:1 var: unknown key "var", did you mean "vars"?',
      '7:3 the key "root" is here twice, first in line 6',
      '8:3 vars.greeting: undefined variable "nobody"',
      "10:3 vars.that: the vars need each other: that -> this -> that",
      '13:5 resources[0].pakage: unknown type "pakage", did you mean "package"?',
      "15:5 resources[1].file: the path must be absolute (begin with /)",
      '20:5 resources[2].mode: quote the mode: "0644"',
      '23:5 resources[3].contents: unknown key "contents", did you mean "content"?',
      "25:5 resources[4].directory: the path holds a control character",
      "29:5 resources[5].after: they wait for each other: first -> second -> first",
      "35:5 resources[7].link: path /srv/first is wanted by resources[5] (line 27) too",
      '38:5 resources[8].id: the id "second" is taken by resources[6] (line 31)',
      '44:14 resources[9].notify[0]: there is no handler "reload ngnix", did you mean "reload nginx"?',
      "47:5 resources[10].source: there is no file missing.conf beside the blueprint",
      '50:5 resources[11].source: templates/broken.liquid:4:1 unknown tag {% endfi %}, did you mean "endif"?',
      '53:5 resources[12].template: templates/undefined.liquid:2:11 undefined variable "rooot", did you mean "root"?',
      '56:5 resources[13].register: the name "port" is a var; choose another',
      "59:5 resources[14].when: after a value comes an operator (==, !=, <, >, and, or, contains) or | with a filter",
      '61:5 resources[15].each: must be a list or a mapping, not the text "alpha"',
      '65:35 handlers.reload nginx.state: must be running or stopped or restarted or reloaded, not "realoded", did you mean "reloaded"?',
    ]);
    expect(error.problems).toHaveLength(20);
    expect(error.problems[4]).toEqual({
      file,
      line: 13,
      column: 5,
      where: "resources[0].pakage",
      message: 'unknown type "pakage", did you mean "package"?',
    });
    const lines = (await readFile(file, "utf8")).split("\n");
    for (const { line, column } of error.problems)
      expect(lines[(line ?? 0) - 1]?.slice((column ?? 0) - 1)).toMatch(/^\S/);
  });
});

describe("a generated blueprint", () => {
  it("is accepted as it is", async () => {
    const { blueprint } = await read(join(fixtures, "generated-30", "ami-node.yaml"));
    expect(blueprint.resources).toHaveLength(30);
    expect(blueprint.name).toBe("bench-30");
    expect([...blueprint.files.keys()].map((path) => path.slice(fixtures.length + 1))).toEqual([
      "generated-30/templates/t012.j2",
    ]);
  });
});

describe("the file", () => {
  it.each([
    ["", "b.yaml:1:1 the file is empty: it needs a list of resources"],
    ["# nothing\n", "b.yaml:1:1 the file is empty: it needs a list of resources"],
    ["- file: /x\n", "b.yaml:1:1 a blueprint is a mapping with name, vars, resources and handlers, not a list"],
    ["hello", 'b.yaml:1:1 a blueprint is a mapping with name, vars, resources and handlers, not the text "hello"'],
    ["name: x\n", "b.yaml:1:1 there are no resources: nothing would be done"],
    ["name: x\nresources:\n", "b.yaml:2:1 resources: there are no resources: nothing would be done"],
    ["name: x\nresources: []\n", "b.yaml:2:1 resources: there are no resources: nothing would be done"],
    ["name: x\nresources: {}\n", "b.yaml:2:1 resources: must be a list, not a mapping"],
    ["name: ../x\nresources: [{ command: id }]\n", "b.yaml:1:1 name: must not hold /"],
    ["resources:\n  - command: id\n  - hello\n", 'b.yaml:3:5 resources[1]: must be a mapping, not the text "hello"'],
    ["resources:\n  - command: id\nhandlers: [a]\n", "b.yaml:3:1 handlers: must be a mapping, not a list"],
    ["vars: { 2nd: 1 }\nresources: [{ command: id }]\n", "b.yaml:1:9 vars.2nd: must be a name"],
    [
      "vars: { host: 1 }\nresources: [{ command: id }]\n",
      'b.yaml:1:9 vars.host: the name "host" has a meaning of its own here',
    ],
    ["vars: [a]\nresources: [{ command: id }]\n", "b.yaml:1:1 vars: must be a mapping, not a list"],
    ["resources:\n  - command: [\n", "b.yaml:3:1 deficient indentation"],
    ["resources:\n  - file: {{ x }}\n", 'b.yaml:2:12 an expression must be quoted: "{{ ... }}"'],
  ])("%j: %s", async (text, problem) => {
    const [first] = await problems(text);
    expect(first).toContain(problem);
  });

  it("that is not there is named", async () => {
    await expect(read(join(dir, "nowhere.yaml"))).rejects.toMatchObject({
      code: "blueprint.invalid",
      message: expect.stringContaining("nowhere.yaml: the blueprint cannot be read"),
    });
  });

  it("gives its own name where there is none inside", async () => {
    const { blueprint } = await read(await write("site.yaml", "resources: [{ command: id }]"));
    expect(blueprint).toMatchObject({ name: "site", dir, file: join(dir, "site.yaml") });
  });
});

describe("a resource", () => {
  it.each([
    ["{}", "resources[0]: names no type: the types are command, directory,"],
    ["{ mode: '0644' }", 'resources[0].mode: unknown type "mode": the types are command, directory,'],
    ["{ zebra: 1 }", 'resources[0].zebra: unknown type "zebra": the types are command, directory,'],
    [
      "{ directory: /a, command: id }",
      "resources[0]: names several types (directory, command): write one resource for each",
    ],
    ["{ directory: /a, whn: true }", 'resources[0].whn: unknown key "whn", did you mean "when"?'],
    ["{ directory: }", "resources[0].directory: must be a text, not empty"],
    ["{ directory: 5 }", 'resources[0].directory: must be a text: quote it, "5"'],
    ["{ directory: /a, mode: 755 }", 'resources[0].mode: quote the mode: "0755"'],
    ["{ directory: /a, mode: 0o1777 }", 'resources[0].mode: quote the mode: "1777"'],
    ["{ directory: /a, mode: u+x }", "resources[0].mode: the mode is 3 or 4 octal digits"],
    ["{ service: nginx, enabled: yes }", 'resources[0].enabled: must be true or false, not the text "yes"'],
    ["{ package: [git, 5] }", 'resources[0].package[1]: must be a text: quote it, "5"'],
    ["{ package: { name: git } }", "resources[0].package: must be a text or a list"],
    ["{ command: id, timeout: -1 }", "resources[0].timeout: must be more than 0"],
    ["{ command: id, retries: 1.5 }", "resources[0].retries: "],
    ["{ command: id, register: 2x }", "resources[0].register: must be a name"],
    ['{ command: id, id: "{{ x }}" }', "resources[0].id: no expression can stand here"],
    ["{ command: id, tags: [a, 1] }", 'resources[0].tags[1]: must be a text: quote it, "1"'],
    ["{ command: id, become: 5 }", "resources[0].become: must be true or false or a text"],
    ["{ link: /a }", "resources[0].link: a link needs `target`"],
    ["{ file: /a, content: x, template: b.yaml }", "resources[0].template: "],
    ["{ command: id, after: a }", 'resources[0].after: there is no resource with the id "a"'],
    ["{ command: id, notify: a }", 'resources[0].notify: there is no handler "a"'],
    ['{ command: id, notify: "{{ host.name }}" }', 'resources[0].notify: there is no handler "web1"'],
    ["{ command: id, register: host }", 'resources[0].register: the name "host" has a meaning of its own here'],
    ["{ command: id, when: '' }", "resources[0].when: must not be empty"],
    ["{ command: id, when: host.oss == 'x' }", 'resources[0].when: host has no "oss", did you mean "os"?'],
    ["{ command: id, when: index > 1 }", 'resources[0].when: "index" is known only in a resource with each'],
    ["{ command: id, each: 5 }", "resources[0].each: must be a list or a mapping or a text"],
    ["{ command: id, each: '{{ host.name }}' }", 'resources[0].each: must be a list or a mapping, not the text "web1"'],
    [
      "{ command: id, changed_when: stdot == '' }",
      'resources[0].changed_when: undefined variable "stdot", did you mean "stdout"?',
    ],
    ["{ command: id, register: r, when: r.changed }", 'resources[0].when: "r" is the result of this resource itself'],
    ["{ command: 'docker ps --format {{.Names}}' }", "resources[0].command: braces meant for another program"],
    ['{ command: "a\\n{{ x }}" }', 'resources[0].command: undefined variable "x" (line 2 of the text)'],
    ["{ file: /a, template: /nowhere/x }", "resources[0].template: there is no file /nowhere/x beside the blueprint"],
    ["{ file: /a, source: . }", "resources[0].source: . is a directory, not a file"],
  ])("%s: %s", async (resource, problem) => {
    const found = await problems(`resources:\n  - ${resource}\n`);
    expect(found).toHaveLength(1);
    expect(found[0]).toContain(`b.yaml:2:`);
    expect(found[0]).toContain(problem);
  });

  it("may have the name of another type among its options", async () => {
    const { blueprint } = await read(
      await write(
        "templates.yaml",
        "resources:\n  - { mode: '0644', template: b.yaml, file: /a }\n  - { group: www, user: www }\n  - { source: b.yaml, group: root, template: /t }\n  - { group: www }\n",
      ),
    );
    expect(blueprint.resources.map((node) => node.type.type)).toEqual(["file", "user", "template", "group"]);
  });

  it("that is a handler has only the keys that make sense there", async () => {
    const found = await problems(
      "resources: [{ command: id, notify: h }]\nhandlers:\n  h: { command: id, after: x, register: y, id: z, tags: t, notify: h, when: true, become: true }\n  i: { comand: id }\n",
    );
    expect(found.map((line) => line.split(":").slice(1, 3).join(":"))).toEqual([
      "3:21 handlers.h.after",
      "3:31 handlers.h.register",
      "3:44 handlers.h.id",
      "3:51 handlers.h.tags",
      "3:60 handlers.h.notify",
      "4:8 handlers.i.comand",
    ]);
  });

  it("uses a result only after the one that registers it", async () => {
    const text = (after: string): string =>
      `resources:\n  - { command: echo, when: built.changed${after} }\n  - { command: make, register: built, id: make }\n`;
    expect(await problems(text(""))).toEqual([
      'b.yaml:2:22 resources[0].when: "built" is registered by resources[1], which comes later',
    ]);
    expect(await problems(text(", after: make"))).toEqual([]);
    expect(
      await problems("resources:\n  - { command: make, register: built }\n  - { command: x, when: built.chnged }\n"),
    ).toEqual(['b.yaml:3:19 resources[1].when: built has no "chnged", did you mean "changed"?']);
    expect(await problems("resources:\n  - { command: a, register: r }\n  - { command: b, register: r }\n")).toEqual([
      'b.yaml:3:19 resources[1].register: the name "r" is registered by resources[0] (line 2); choose another',
    ]);
  });
});

describe("names", () => {
  it("may be missing where the text asks", async () => {
    const fine = [
      "when: 'tls | default: false'",
      "content: '{% if tls %}{{ tls.cert }}{% endif %}'",
      "content: '{{ tls | default: 1 }}'",
      "content: '{% for x in (1..3) %}{{ x }}{{ forloop.index }}{% endfor %}'",
      "content: '{% assign y = 1 %}{{ y }}'",
      "content: '{% raw %}{{ tls }}{% endraw %}'",
    ];
    for (const line of fine) expect(await problems(`resources:\n  - file: /a\n    ${line}\n`)).toEqual([]);
  });

  it("are known when any host has them, and missed on those that have not", async () => {
    const text = "resources:\n  - file: /a\n    content: '{{ zone }}'\n";
    const hosts = [
      { name: "a", vars: { zone: "x" } },
      { name: "b", vars: {} },
      { name: "c", vars: { other: 1 } },
    ];
    expect(await problems(text, { hosts: hosts.slice(0, 1) })).toEqual([]);
    expect(await problems(text, { hosts })).toEqual([
      'b.yaml:3:5 resources[0].content: undefined variable "zone" (on b, c)',
    ]);
    expect(await problems(text, { hosts: [] })).toEqual(['b.yaml:3:5 resources[0].content: undefined variable "zone"']);
    expect(await problems(`${text}    when: host.name == "a"\n`, { hosts })).toEqual([]);
  });

  it("come from --var over --vars-file over inventory over the blueprint", async () => {
    const one = await write("one.yaml", "b: file1\nc: file1\nd: file1\n");
    const two = await write("two.yaml", '{ "c": "file2", "d": "file2" }');
    const file = await write(
      "levels.yaml",
      "vars: { a: own, b: own, c: own, d: own }\nresources: [{ line: '{{ a }} {{ b }} {{ c }} {{ d }}', path: /x }]\n",
    );
    const { blueprint, vars } = await read(file, { varsFiles: [one, two], vars: { d: "flag" } });
    expect(blueprint.vars).toEqual({ a: "own", b: "own", c: "own", d: "own" });
    expect(vars).toEqual({ b: "file1", c: "file2", d: "flag" });
  });

  it("with mistakes are told where they were given", async () => {
    const vars = await write("vars.yaml", "port: '{{ prt }}'\n");
    const text =
      "vars: { own: '{{ x | nofilter }}' }\nresources: [{ line: '{{ port }}', path: /x }, { line: '{{ flag }}', path: /x }, { line: '{{ inv }}', path: /x }]\n";
    const found = await problems(text, {
      varsFiles: [vars],
      vars: { flag: "{{ gone }}" },
      hosts: [{ name: "web1", vars: { inv: "{{ unheard }}" } }],
    });
    expect(found).toEqual([
      'b.yaml:1:9 vars.own: unknown filter "nofilter"',
      'vars.yaml:1:1 port: undefined variable "prt", did you mean "port"?',
      '--var flag: undefined variable "gone"',
      'inventory inv: undefined variable "unheard"',
    ]);
  });

  it("of a vars file that is no mapping, not YAML or not there are refused", async () => {
    const file = await write("fine.yaml", "resources: [{ command: id }]");
    for (const [text, message] of [
      ["- a", "must be a mapping of names to values, not a list"],
      ["a: [", "unexpected end"],
      ["a: 1\na: 2", "here twice"],
    ] as const) {
      const bad = await write("bad.yaml", text);
      await expect(read(file, { varsFiles: [bad] })).rejects.toMatchObject({
        code: "blueprint.invalid",
        message: expect.stringContaining(message),
      });
    }
    await expect(read(file, { varsFiles: [join(dir, "gone.yaml")] })).rejects.toMatchObject({
      message: expect.stringContaining("gone.yaml: the vars file cannot be read"),
    });
    await expect(read(file, { varsFiles: [await write("empty.yaml", "")] })).resolves.toMatchObject({ vars: {} });
  });

  it("that need each other are told once, item by item where they are lists and mappings", async () => {
    const own =
      "vars:\n  app: { dir: '/srv/{{ app.name }}', name: x }\n  list: ['{{ list[1] }}', a]\nresources: [{ directory: '{{ app.dir }}' }]\n";
    expect(await problems(own)).toEqual([]);
    const round =
      "vars:\n  app: { dir: '{{ app.name }}', name: '{{ other }}' }\n  other: '{{ app.dir }}'\nresources: [{ line: '{{ app.dir }}{{ other }}', path: /x }]\n";
    expect(await problems(round)).toEqual([
      "b.yaml:2:10 vars.app.dir: the vars need each other: app.dir -> app.name -> other -> app.dir",
    ]);
    const facts = "vars: { a: '{{ host.os }}{{ b }}', b: '{{ a }}' }\nresources: [{ line: '{{ a }}', path: /x }]\n";
    expect(await problems(facts)).toEqual(["b.yaml:1:9 vars.a: the vars need each other: a -> b -> a"]);
  });
});

describe("values that depend on the host", () => {
  it("are checked before contact as far as they are known", async () => {
    const text = `vars: { root: srv, m: 0o644 }
resources:
  - directory: "{{ root }}/x"
  - directory: "{{ host.home }}/x"
    mode: "{{ m }}"
  - file: "/a/{{ host.os }}"
    state: absnt
  - each: "{{ host.like }}"
    file: "{{ item }}"
    mode: "9999"
`;
    expect(await problems(text)).toEqual([
      "b.yaml:3:5 resources[0].directory: the path must be absolute (begin with /)",
      'b.yaml:5:5 resources[1].mode: quote the mode: "0420"',
      'b.yaml:7:5 resources[2].state: must be present or absent, not "absnt", did you mean "absent"?',
      'b.yaml:10:5 resources[3].mode: the mode is 3 or 4 octal digits: "0644"',
    ]);
  });

  it("may be numbers where a text is wanted: an expression gave them", async () => {
    expect(
      await problems(
        "vars: { port: 80, on: true }\nresources: [{ line: '{{ port }}', path: /x }, { file: /y, content: '{{ on }}' }]\n",
      ),
    ).toEqual([]);
  });
});

describe("two resources with one claim", () => {
  it("are told with both places, after rendering, for every host", async () => {
    const text = `vars: { where: /etc/app.conf }
resources:
  - file: "{{ where }}"
    content: "{{ host.os }}"
  - link: /etc//app.conf
    target: x
  - file: /etc/{{ host.name }}.conf
  - file: /etc/web2.conf
  - each: [a, b]
    directory: /same
  - { line: one, path: /l }
  - { line: two, path: /l }
`;
    const hosts = [
      { name: "web1", vars: {} },
      { name: "web2", vars: {} },
    ];
    expect(await problems(text, { hosts })).toEqual([
      "b.yaml:5:5 resources[1].link: path /etc/app.conf is wanted by resources[0] (line 3) too",
      "b.yaml:8:5 resources[3].file: path /etc/web2.conf is wanted by resources[2] (line 7) too (on web2)",
      "b.yaml:10:5 resources[4].directory: two items of each want path /same",
    ]);
  });

  it("are fine where only one of them can be wished, and for handlers", async () => {
    const text = `resources:
  - { file: /a, when: host.name == "x" }
  - { file: /a, when: host.name != "x" }
  - { service: nginx, state: running, notify: reload }
handlers:
  reload: { service: nginx, state: reloaded }
`;
    expect(await problems(text)).toEqual([]);
  });
});

describe("sources", () => {
  it("are loaded, binary safe, also those only an expression names", async () => {
    const bytes = Buffer.from([0, 255, 10, 13, 128]);
    await write("blob.bin", bytes);
    await write("sub/web1.txt", "{{ host.os }}\n");
    const file = await write(
      "sources.yaml",
      "resources:\n  - { file: /a, source: blob.bin }\n  - { file: /b, template: 'sub/{{ host.name }}.txt' }\n",
    );
    const { blueprint } = await read(file);
    expect(Object.fromEntries(blueprint.files)).toEqual({
      [join(dir, "blob.bin")]: bytes,
      [join(dir, "sub/web1.txt")]: Buffer.from("{{ host.os }}\n"),
    });
  });

  it("that are templates must be text", async () => {
    await write("latin1.txt", Buffer.from([0x67, 0xe4, 0x0a]));
    expect(await problems("resources: [{ file: /a, template: latin1.txt }]\n")).toEqual([
      "b.yaml:1:25 resources[0].template: latin1.txt is not UTF-8 text; a file of other bytes is copied with source",
    ]);
  });

  it("with a near name are suggested", async () => {
    await write("site.conf", "x");
    expect(await problems("resources: [{ file: /a, source: site.cnf }]\n")).toEqual([
      'b.yaml:1:25 resources[0].source: there is no file site.cnf beside the blueprint, did you mean "site.conf"?',
    ]);
  });
});

describe("tags", () => {
  const text = `resources:
  - { command: a, id: base }
  - { command: b, register: result }
  - { command: c, tags: web, after: base }
  - { command: "{{ through }}", tags: [db] }
  - { command: e }
vars: { through: "{{ result.stdout }}" }
handlers: { h: { command: x } }
`;
  it("select resources with what they need; handlers stay", async () => {
    const file = await write("tags.yaml", text);
    const chosen = async (tags: string[]): Promise<number[]> =>
      (await read(file, { tags })).blueprint.resources.map((node) => node.line);
    expect(await chosen([])).toEqual([2, 3, 4, 5, 6]);
    expect(await chosen(["web"])).toEqual([2, 4]);
    expect(await chosen(["db"])).toEqual([3, 5]);
    expect([...(await read(file, { tags: ["web"] })).blueprint.handlers.keys()]).toEqual(["h"]);
  });

  it("that nobody has are refused", async () => {
    const file = await write("tags.yaml", text);
    await expect(read(file, { tags: ["wbe"] })).rejects.toMatchObject({
      code: "usage.input",
      message: 'no resource has the tag "wbe", did you mean "web"?',
      hint: "the tags are: db, web",
    });
  });
});
