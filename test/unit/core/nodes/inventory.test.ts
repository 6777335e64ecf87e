import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { AmiError } from "../../../../src/core/errors.ts";
import { noInventory, parseInventory, readInventory } from "../../../../src/core/nodes/inventory.ts";

const full = `
nodes:
  web1: { address: "root@10.0.0.1:2222", groups: [web, prod], vars: { port: 8080 } }
  web2: 10.0.0.2
  edge1:
    address: edge.example.com
    groups: [edge]
  web3:
  me: { address: local, groups: [dev] }
groups:
  web: { vars: { tier: front, port: 80, size: 1 }, children: [edge] }
  edge: { vars: { tier: edge } }
  prod: { vars: { port: 443, size: 2 } }
  empty:
vars: { all: hosts, tier: none }
`;

describe("nodes.yaml", () => {
  it("gives names, addresses, groups and merged vars", async () => {
    const inventory = await parseInventory(full, "nodes.yaml");
    expect([...inventory.nodes.keys()]).toEqual(["web1", "web2", "edge1", "web3", "me"]);
    expect(inventory.nodes.get("web1")).toEqual({
      kind: "ssh",
      name: "web1",
      host: "10.0.0.1",
      user: "root",
      port: 2222,
      groups: ["web", "prod"],
      vars: { all: "hosts", tier: "front", port: 8080, size: 2 },
    });
    expect(inventory.nodes.get("web2")).toMatchObject({
      host: "10.0.0.2",
      groups: [],
      vars: { all: "hosts", tier: "none" },
    });
    expect(inventory.nodes.get("web3")).toMatchObject({ host: "web3", name: "web3" });
    expect(inventory.nodes.get("me")).toMatchObject({ kind: "local", name: "me", groups: ["dev"] });
  });

  it("puts a child's nodes into its parents, and the child's vars over theirs", async () => {
    const { nodes, groups } = await parseInventory(full, "nodes.yaml");
    expect(nodes.get("edge1")).toMatchObject({ groups: ["web", "edge"], vars: { tier: "edge", port: 80, size: 1 } });
    expect(Object.fromEntries(groups)).toEqual({
      web: ["web1", "edge1"],
      edge: ["edge1"],
      prod: ["web1"],
      dev: ["me"],
      empty: [],
    });
  });

  it("lets a later group win over an earlier one, and grandparents lose to all", async () => {
    const text = `
nodes: { n: { groups: [b, a] } }
groups:
  a: { vars: { x: a } }
  b: { vars: { x: b, y: b } }
  top: { vars: { x: top, y: top, z: top }, children: [mid] }
  mid: { vars: { z: mid }, children: [b, a] }
`;
    const { nodes } = await parseInventory(text, "n.yaml");
    expect(nodes.get("n")).toMatchObject({ groups: ["top", "mid", "b", "a"], vars: { x: "a", y: "b", z: "mid" } });
  });

  it.each(["", "# nothing\n", "nodes:\n", "nodes: {}\ngroups:\nvars:\n"])("may be empty: %j", async (text) => {
    expect(await parseInventory(text, "n.yaml")).toEqual({ ...noInventory, file: "n.yaml" });
  });

  it("says every mistake with its place", async () => {
    const text = `nodes:
  web1: { adress: 10.0.0.1 }
  web2: { address: "web 2" }
  web3: [10.0.0.3]
  "we b": x
  local: y
  web4: { groups: web }
  web5: { user: root }
  web6: docker://box
  web7: { vars: { "1x": 1 }, groups: [all] }
  web8: { address: 12 }
  web8: again
groups:
  web: { children: [egde, prod] }
  edge: {}
  prod: { children: [web], nodes: [web1] }
vars: [1]
extra: 1
`;
    const error = await parseInventory(text, "nodes.yaml").catch((reason: unknown) => reason);
    if (!(error instanceof AmiError)) throw new Error("no AmiError");
    expect(error.code).toBe("config.invalid");
    expect(error.message.split("\n")).toEqual([
      'nodes.yaml:2:11 nodes.web1.adress: unknown key, did you mean "address"?',
      "nodes.yaml:4:9 nodes.web3: must be an address or a mapping with address, groups, vars",
      "nodes.yaml:5:3 nodes.we b: must be a name: letters, digits, _ . and -",
      "nodes.yaml:6:3 nodes.local: local is this machine; give the node another name",
      "nodes.yaml:7:19 nodes.web4.groups: must be a list, not a text",
      "nodes.yaml:8:11 nodes.web5.user: is no key of its own: write address: user@host:port",
      "nodes.yaml:10:19 nodes.web7.vars.1x: must be a name: letters, digits, _ and -, not beginning with a digit",
      "nodes.yaml:10:39 nodes.web7.groups[0]: all holds every node already; give the group another name",
      'nodes.yaml:12:3 the key "web8" is here twice, first in line 11',
      "nodes.yaml:16:28 groups.prod.nodes: unknown key",
      "nodes.yaml:17:7 vars: must be a mapping, not a list",
      "nodes.yaml:18:1 extra: unknown key",
    ]);
    expect(error.hint).toContain("NAME: ADDRESS");
  });

  it("says what only makes no sense as a whole with its place too", async () => {
    const text = `nodes:
  web2: { address: "web 2", groups: [edge] }
  web6: docker://box
  web9: "-oX"
groups:
  web: { children: [egde, prod] }
  prod: { children: [web] }
`;
    const error = await parseInventory(text, "nodes.yaml").catch((reason: unknown) => reason);
    if (!(error instanceof AmiError)) throw new Error("no AmiError");
    expect(error.message.split("\n")).toEqual([
      'nodes.yaml:2:20 nodes.web2.address: "web 2": it holds characters that no host or user name has',
      'nodes.yaml:3:9 nodes.web6: "docker://box": the scheme docker:// is not known here',
      'nodes.yaml:4:9 nodes.web9: "-oX": it holds characters that no host or user name has',
      'nodes.yaml:6:21 groups.web.children[0]: there is no group "egde", did you mean "edge"?',
      "nodes.yaml:6:27 groups.web.children[1]: prod contains web already: a circle",
      "nodes.yaml:7:22 groups.prod.children[0]: web contains prod already: a circle",
    ]);
  });

  it.each(["[1]", "text", "nodes: [a]", "nodes: text"])("is a mapping of mappings, not %j", async (text) => {
    await expect(parseInventory(text, "n.yaml")).rejects.toMatchObject({
      code: "config.invalid",
      message: expect.stringContaining("must be a mapping"),
    });
  });

  it("that is no YAML is refused with its place", async () => {
    await expect(parseInventory("nodes: {a: [}\n", "n.yaml")).rejects.toMatchObject({
      code: "config.invalid",
      message: expect.stringMatching(/^n\.yaml:1:\d+ /),
    });
  });
});

describe("reading it", () => {
  let dir = "";
  beforeAll(async () => {
    dir = await mkdtemp(join(tmpdir(), "ami-nodes-"));
  });
  afterAll(() => rm(dir, { recursive: true, force: true }));

  it("from a file", async () => {
    const file = join(dir, "nodes.yaml");
    await writeFile(file, full);
    const inventory = await readInventory(file);
    expect(inventory.file).toBe(file);
    expect(inventory.nodes.size).toBe(5);
  });

  it("that is missing is a mistake, or nothing when it need not be there", async () => {
    const file = join(dir, "nowhere.yaml");
    await expect(readInventory(file)).rejects.toMatchObject({
      code: "config.invalid",
      message: expect.stringContaining(file),
    });
    expect(await readInventory(file, { optional: true })).toBe(noInventory);
  });

  it("that cannot be read is a mistake even when it need not be there", async () => {
    await expect(readInventory(dir, { optional: true })).rejects.toMatchObject({ code: "config.invalid" });
  });
});
