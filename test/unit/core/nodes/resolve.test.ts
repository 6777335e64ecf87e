import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Readable } from "node:stream";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { AmiError } from "../../../../src/core/errors.ts";
import { type Inventory, noInventory, parseInventory } from "../../../../src/core/nodes/inventory.ts";
import { expandRanges } from "../../../../src/core/names.ts";
import { resolveTargets, selectTargets } from "../../../../src/core/nodes/resolve.ts";

let inventory: Inventory = noInventory;
beforeAll(async () => {
  inventory = await parseInventory(
    `
nodes:
  web1: { address: "root@10.0.0.1:2222", groups: [web, prod], vars: { port: 8080 } }
  web2: { address: 10.0.0.2, groups: [web] }
  web3: { groups: [web] }
  web10: { groups: [web] }
  db1: { address: db.example.com, groups: [prod] }
  twin: { address: 10.0.0.2 }
  me: { address: local, groups: [prod] }
groups:
  empty:
vars: { region: north }
`,
    "nodes.yaml",
  );
});

const names = (...words: string[]): string[] => selectTargets(words, inventory).map((target) => target.name);

function failure(...words: string[]): AmiError {
  try {
    selectTargets(words, inventory);
  } catch (error) {
    if (error instanceof AmiError) return error;
    throw error;
  }
  throw new Error(`${words.join(" ")} was taken`);
}

describe("words", () => {
  it.each([
    ["web1", ["web1"]],
    ["web2,web1", ["web2", "web1"]],
    [" web2 , web1 ,", ["web2", "web1"]],
    ["web*", ["web1", "web2", "web3", "web10"]],
    ["web?", ["web1", "web2", "web3"]],
    ["*1", ["web1", "db1"]],
    ["web[1-3]", ["web1", "web2", "web3"]],
    ["@prod", ["web1", "db1", "me"]],
    ["@all", ["web1", "web2", "web3", "web10", "db1", "twin", "me"]],
    ["web*,!web3", ["web1", "web2", "web10"]],
    ["!web3,web*", ["web1", "web2", "web10"]],
    ["@all,!@web,!twin", ["db1", "me"]],
    ["@web,!web[2-3]", ["web1", "web10"]],
    ["web1,other.example.com,!10.0.0.1", ["other.example.com"]],
    ["@all,!*", undefined],
    ["db1,web*,db1,@prod", ["db1", "web1", "web2", "web3", "web10", "me"]],
    ["host-a,host-b,host-a", ["host-a", "host-b"]],
    ["local,web1,local", ["local", "web1"]],
    ["web2,twin", ["web2", "twin"]],
    ["new[08-11].example.com", ["new08.example.com", "new09.example.com", "new10.example.com", "new11.example.com"]],
    ["[2001:db8::1]:22,2001:db8::2", ["[2001:db8::1]:22", "2001:db8::2"]],
  ])("%s", (word, expected) => {
    if (expected === undefined) expect(failure(word).code).toBe("usage.target");
    else expect(names(word)).toEqual(expected);
  });

  it("none give none", () => {
    expect(names()).toEqual([]);
    expect(names(" , ")).toEqual([]);
  });

  it("in several places work like one list", () => {
    expect(names("web1", "web2,!web1", "db1")).toEqual(["web2", "db1"]);
  });
});

describe("what a word gives", () => {
  it("is the node of the inventory, whole", () => {
    expect(selectTargets(["web1"], inventory)).toEqual([
      {
        kind: "ssh",
        name: "web1",
        host: "10.0.0.1",
        user: "root",
        port: 2222,
        groups: ["web", "prod"],
        vars: { region: "north", port: 8080 },
      },
    ]);
  });

  it("is an ssh host or alias when the inventory does not know it, with the vars of all", () => {
    expect(selectTargets(["me2@other:2200"], inventory)).toEqual([
      {
        kind: "ssh",
        name: "me2@other:2200",
        host: "other",
        user: "me2",
        port: 2200,
        groups: [],
        vars: { region: "north" },
      },
    ]);
    expect(selectTargets(["local"], inventory)).toEqual([{ kind: "local", name: "local", vars: { region: "north" } }]);
    expect(selectTargets(["web1"], noInventory)).toEqual([
      { kind: "ssh", name: "web1", host: "web1", groups: [], vars: {} },
    ]);
  });

  it("takes user and port of the word over those of the inventory, also for patterns and ranges", () => {
    expect(selectTargets(["deploy@web1"], inventory)).toMatchObject([
      { name: "web1", host: "10.0.0.1", user: "deploy", port: 2222 },
    ]);
    expect(selectTargets(["web1:22"], inventory)).toMatchObject([{ name: "web1", user: "root", port: 22 }]);
    expect(selectTargets(["deploy@web?:23,!web3"], inventory)).toMatchObject([
      { name: "web1", user: "deploy", port: 23 },
      { name: "web2", user: "deploy", port: 23 },
    ]);
    expect(selectTargets(["deploy@web[1-2]"], inventory)).toMatchObject([{ user: "deploy" }, { user: "deploy" }]);
  });

  it("never has one name twice: the second is called as it was written", () => {
    expect(names("web1,deploy@web1,web1:22,root@web1")).toEqual(["web1", "deploy@web1", "web1:22"]);
  });
});

describe("what is refused, with something to try", () => {
  it.each([
    ["wbe*", 'target "wbe*": no name of the inventory matches', "did you mean web1?"],
    ["zzz*", 'target "zzz*": no name of the inventory matches', "nodes.yaml has web1, web2"],
    ["@prdo", 'target "@prdo": there is no such group', "did you mean @prod?"],
    ["@zzz", 'target "@zzz": there is no such group', "@web, @prod"],
    ["@empty", 'target "@empty": no node is in it', "nodes.yaml has"],
    ["@", 'target "@": there is no such group', ""],
    ["!web1", 'target "!web1": nothing is named that it could be taken from', "write @all,!web1"],
    ["@web,!wbe3", 'target "!wbe3": it takes nothing out', "did you mean !web3?"],
    ["@web,!@prdo", "there is no such group", "did you mean @prod?"],
    ["web1,!web1", "no target is left of web1,!web1", "taken out again"],
    ["web[3-1]", "the range counts downwards", "web[1-3]"],
    ["web[1-99999]", "the range stands for more than 10000 names", ""],
    ["web[1-200][1-200]", "the range stands for more than 10000 names", ""],
    ["web[1,3]", "characters", ""],
    ["root@me", "me is this machine", "--become"],
    ["web1:0", 'target "web1:0": the port 0 is not 1-65535', ""],
    ["root@web*:99999", 'target "root@web1:99999": the port 99999 is not 1-65535', ""],
    ["web{1,2}", 'target "web{1": braces mean nothing here', "web[1-3] for a range"],
    ["@web:22", 'target "@web:22": a group takes no port', "write @web"],
    ["@all:22", 'target "@all:22": a group takes no port', "write @all"],
    ["@wbe:22", 'target "@wbe:22": there is no such group', ""],
    ["-x@web1", "characters", ""],
    ["@web*", "there is no such group", ""],
    ["docker://x", "the scheme docker:// is not known here", ""],
  ])("%s", (word, message, hint) => {
    const error = failure(word);
    expect(error.code).toBe("usage.target");
    expect(error.message).toContain(message);
    expect(error.hint).toContain(hint);
  });

  it("an exclusion that the inventory knows may take nothing out", () => {
    expect(names("db1,!web3")).toEqual(["db1"]);
  });

  it.each([[[""]], [["web1", " , "]]])("a word that names nothing, as in %j", async (words) => {
    await expect(resolveTargets(words, { inventory })).rejects.toMatchObject({
      code: "usage.target",
      message: "--target names nothing",
    });
  });

  it("says when there is no inventory to look in", () => {
    expect(() => selectTargets(["web*"], noInventory)).toThrow(
      expect.objectContaining({ hint: "there is no nodes.yaml to take names and groups from" }),
    );
    expect(() => selectTargets(["@all"], noInventory)).toThrow(AmiError);
  });
});

describe("ranges", () => {
  it.each([
    ["plain", ["plain"]],
    ["a[1-2]b[x-z]", ["a1bx", "a1by", "a1bz", "a2bx", "a2by", "a2bz"]],
    ["n[09-10]", ["n09", "n10"]],
    ["n[9-10]", ["n9", "n10"]],
    ["n[0-2]", ["n0", "n1", "n2"]],
    ["N[A-B]", ["NA", "NB"]],
    ["n[a-3]", ["n[a-3]"]],
    ["[2001:db8::1]", ["[2001:db8::1]"]],
  ])("%s", (word, expected) => {
    expect(expandRanges(word)).toEqual(expected);
  });
});

describe("a targets file", () => {
  let dir = "";
  beforeAll(async () => {
    dir = await mkdtemp(join(tmpdir(), "ami-targets-"));
  });
  afterAll(() => rm(dir, { recursive: true, force: true }));

  const list = async (text: string, ...words: string[]): Promise<string[]> => {
    const targetsFile = join(dir, "hosts.txt");
    await writeFile(targetsFile, text);
    return (await resolveTargets(words, { inventory, targetsFile })).map((target) => target.name);
  };

  it("has one target a line, comments and blanks aside", async () => {
    const text = "# fleet\r\nweb1\r\n\n  root@other:2222   # the odd one\nweb2,db1\n@prod\n\t!db1";
    expect(await list(text)).toEqual(["web1", "root@other:2222", "web2", "me"]);
  });

  it("comes after the words, without repeating them", async () => {
    expect(await list("web1\nweb2\n", "web2,host-b")).toEqual(["web2", "host-b", "web1"]);
  });

  it("may be standard input", async () => {
    const options = { inventory, targetsFile: "-", stdin: Readable.from(["web1\n", "we", "b2\n"]) };
    expect((await resolveTargets([], options)).map((target) => target.name)).toEqual(["web1", "web2"]);
  });

  it("is named with the line of a mistake", async () => {
    await expect(list("web1\n\nwbe*\n")).rejects.toMatchObject({
      code: "usage.target",
      message: `${join(dir, "hosts.txt")}:3: target "wbe*": no name of the inventory matches`,
    });
    await expect(list("web1\na;b\n")).rejects.toMatchObject({
      message: expect.stringContaining("hosts.txt:2: target"),
    });
  });

  it("that is missing or empty is refused", async () => {
    await expect(resolveTargets([], { inventory, targetsFile: join(dir, "gone") })).rejects.toMatchObject({
      code: "usage.target",
      message: expect.stringContaining("gone"),
    });
    await expect(list("# nothing yet\n")).rejects.toMatchObject({
      code: "usage.target",
      message: expect.stringContaining("holds no target"),
    });
  });
});
