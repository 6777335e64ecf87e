import { readdir, readFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { z } from "zod";
import { blueprintJsonSchema, typeOfKeys } from "../../../../../src/core/provision/blueprint/schema.ts";
import type { ResourceType } from "../../../../../src/core/resource.ts";
import { loadResources } from "../../../../../src/core/resources/load.ts";
import { parseYaml } from "../../../../../src/core/yaml.ts";

let types: ReadonlyMap<string, ResourceType>;
beforeAll(async () => {
  types = await loadResources();
});

describe("the type of a resource", () => {
  it.each([
    [["file", "mode"], "file"],
    [["template", "content", "file"], "file"],
    [["source", "template"], "template"],
    [["group", "user"], "user"],
    [["user", "group", "when"], "user"],
    [["group", "gid"], "group"],
    [["group", "owner", "directory"], "directory"],
    [["file", "template", "group"], "file"],
  ])("of the keys %j is %s", (keys, type) => {
    expect(typeOfKeys(keys, types)).toMatchObject({ type });
  });

  it.each([
    [["package", "service"], "names several types (package, service): write one resource for each"],
    [["file", "directory", "group"], "names several types (file, directory, group): write one resource for each"],
    [["serivce", "state"], 'unknown type "serivce", did you mean "service"?'],
    [["when", "Package"], 'unknown type "Package", did you mean "package"?'],
    [["when", "tags"], "names no type: the types are command, directory"],
    [["xylophone"], 'unknown type "xylophone": the types are command, directory'],
    [["__proto__"], 'unknown type "__proto__"'],
  ])("of the keys %j is none: %s", (keys, message) => {
    expect(typeOfKeys(keys, types)).toMatchObject({ message: expect.stringContaining(message) });
  });
});

describe("the JSON Schema", () => {
  const dir = resolve(import.meta.dirname, "../../../../../blueprints");
  const schema = (): z.ZodType => z.fromJSONSchema(blueprintJsonSchema([...types.values()]));

  it("is the same for the same types in any order", () => {
    const all = [...types.values()];
    expect(JSON.stringify(blueprintJsonSchema(all.toReversed()))).toBe(JSON.stringify(blueprintJsonSchema(all)));
  });

  it("accepts the ready blueprints", async () => {
    const files = (await readdir(dir)).filter((name) => name.endsWith(".yaml"));
    expect(files).toEqual(expect.arrayContaining(["dev.yaml", "hello.yaml", "web.yaml"]));
    for (const file of files) {
      const { value } = await parseYaml(await readFile(join(dir, file), "utf8"), file);
      expect(schema().safeParse(value).error, file).toBeUndefined();
    }
  });

  it.each([
    ["resources: [{ file: /a, state: '{{ x }}', mode: '{{ m }}', when: a == 1 }]", true],
    [
      "resources: [{ service: nginx, enabled: '{{ on }}', state: running }]\nhandlers: { h: { command: id, become: true } }",
      true,
    ],
    ["resources: [{ file: /a, state: gone }]", false],
    ["resources: [{ file: /a, mode: 644 }]", false],
    ["resources: [{ file: /a, whn: true }]", false],
    ["resources: [{ mode: '0644' }]", false],
    ["resources: [{ command: id, retries: many }]", false],
    ["resources: [{ command: id }]\nhandlers: { h: { command: id, after: x } }", false],
    ["resources: [{ command: id }]\nvar: {}", false],
    ["name: x", false],
  ])("of %j says %s", async (text, valid) => {
    expect(schema().safeParse((await parseYaml(text, "x")).value).success).toBe(valid);
  });
});
