/** directory, file, template, link, line, command: facts in, changes out. */
import { createHash } from "node:crypto";
import { describe, expect, it } from "vitest";
import { resource as command } from "../../../../src/core/resources/command.ts";
import { resource as directory } from "../../../../src/core/resources/directory.ts";
import { resource as file } from "../../../../src/core/resources/file.ts";
import { resource as line } from "../../../../src/core/resources/line.ts";
import { resource as link } from "../../../../src/core/resources/link.ts";
import { resource as template } from "../../../../src/core/resources/template.ts";
import { normalize } from "../../../../src/core/resources/path.ts";
import { debian, dir, done, planOf, regular, stat, symlink, world, type Fact } from "./table.ts";

const sha = (path: string, text: string): Fact => [
  { kind: "sha256", path },
  createHash("sha256").update(text).digest("hex"),
];
const user = (name: string): Fact => [
  { kind: "user", name },
  { uid: 5, gid: 5, comment: "", home: "/home/x", shell: "/bin/sh", group: name, groups: [] },
];

describe("directory", () => {
  it("is made with its mode when absent, and gives its parents too", () => {
    const [change] = done(planOf(directory, { directory: "/srv/a/b/", mode: "0750" }));
    expect(change).toMatchObject({
      summary: "create",
      steps: [{ do: "mkdir", path: "/srv/a/b", mode: "0750" }],
      provides: ["path:/srv/a/b", "directory:/srv/a/b", "directory:/srv/a", "directory:/srv"],
    });
  });
  it("already so is nothing to do", () => {
    expect(planOf(directory, { directory: "/srv/a", mode: "0755" }, [stat("/srv/a", dir())])).toEqual([]);
    expect(planOf(directory, { directory: "/srv/a" }, [stat("/srv/a", dir({ mode: "1777" }))])).toEqual([]);
    expect(
      planOf(directory, { directory: "/srv/a", mode: "0700" }, [
        stat("/srv/a", symlink("b", { leadsTo: "directory" })),
      ]),
    ).toEqual([]);
  });
  it("only what differs is changed", () => {
    expect(
      planOf(directory, { directory: "/srv/a", mode: "0700", owner: "app" }, [stat("/srv/a", dir()), user("app")]),
    ).toEqual([
      { summary: "owner root:root -> app:root", steps: [{ do: "chown", path: "/srv/a", owner: "app" }] },
      { summary: "mode 0755 -> 0700", steps: [{ do: "chmod", path: "/srv/a", mode: "0700" }] },
    ]);
  });
  it("chown takes setgid away, so the mode is set again", () => {
    const changes = done(
      planOf(directory, { directory: "/srv/a", mode: "2755", owner: "5" }, [stat("/srv/a", dir({ mode: "2755" }))]),
    );
    expect(changes.flatMap((c) => c.steps.map((s) => s.do))).toEqual(["chown", "chmod"]);
  });
  it("a file in the way is refused", () => {
    expect(() => planOf(directory, { directory: "/srv/a" }, [stat("/srv/a", regular())])).toThrow(
      "/srv/a is in the way: it is a file",
    );
  });
  it("removing one that holds something asks first; an empty or absent one does not", () => {
    const full: Fact[] = [stat("/srv/a", dir()), [{ kind: "entries", path: "/srv/a" }, { empty: false }]];
    expect(planOf(directory, { directory: "/srv/a", state: "absent" }, full)).toMatchObject([
      { destroys: "remove /srv/a and everything in it" },
    ]);
    const [empty] = done(planOf(directory, { directory: "/srv/a", state: "absent" }, [stat("/srv/a", dir())]));
    expect(empty).not.toHaveProperty("destroys");
    expect(planOf(directory, { directory: "/srv/a", state: "absent" })).toEqual([]);
  });
});

describe("file", () => {
  it("is written when absent", () => {
    expect(planOf(file, { file: "/etc/x", content: "a\n" })).toMatchObject([
      {
        summary: "create",
        steps: [{ do: "write", path: "/etc/x", body: Buffer.from("a\n"), mode: "0644" }],
        diff: { path: "/etc/x", after: Buffer.from("a\n") },
      },
    ]);
  });
  it("equal content and mode is nothing to do", () => {
    expect(
      planOf(file, { file: "/etc/x", content: "a\n", mode: "0644" }, [stat("/etc/x", regular()), sha("/etc/x", "a\n")]),
    ).toEqual([]);
  });
  it("new content keeps the old mode and owner when none is wished", () => {
    const facts = [
      stat("/etc/x", regular({ mode: "600", uid: 7, gid: 8, owner: "u", group: "g" })),
      sha("/etc/x", "old"),
    ];
    expect(planOf(file, { file: "/etc/x", content: "new" }, facts)).toMatchObject([
      { summary: "content", steps: [{ do: "write", mode: "600", owner: "7", group: "8" }] },
    ]);
  });
  it("a user who is not root does not chown what is theirs", () => {
    const facts = [stat("/srv/x", regular({ uid: 1000, gid: 1000 })), sha("/srv/x", "old")];
    const me = world({ os: { ...debian, uid: 1000 } });
    const [change] = done(planOf(file, { file: "/srv/x", content: "new" }, facts, me));
    expect(change?.steps[0]).not.toHaveProperty("owner");
    // The group of a new file may be another: that of a setgid directory, or the user's own.
    expect(change?.steps[0]).toHaveProperty("group", "1000");
  });
  it("only the mode differs: only the mode is changed", () => {
    expect(
      planOf(file, { file: "/etc/x", content: "a", mode: "0600" }, [stat("/etc/x", regular()), sha("/etc/x", "a")]),
    ).toEqual([{ summary: "mode 0644 -> 0600", steps: [{ do: "chmod", path: "/etc/x", mode: "0600" }] }]);
  });
  it("content and mode together are one write, and both are said", () => {
    const changes = done(
      planOf(file, { file: "/etc/x", content: "b", mode: "0600" }, [stat("/etc/x", regular()), sha("/etc/x", "a")]),
    );
    expect(changes.map((c) => c.summary)).toEqual(["content", "mode 0644 -> 0600"]);
    expect(changes.flatMap((c) => c.steps)).toHaveLength(1);
  });
  it("a missing parent is an error that names the directory to add", () => {
    expect(() => planOf(file, { file: "/opt/app/x", content: "a" })).toThrow(
      "/opt/app/x: its parent /opt/app does not exist",
    );
    expect(
      planOf(file, { file: "/opt/app/x", content: "a" }, [], world({ provides: ["directory:/opt/app"] })),
    ).toHaveLength(1);
    expect(planOf(file, { file: "/opt/app/x", content: "a" }, [], world({ pendingPrograms: true }))).toHaveProperty(
      "later",
    );
  });
  it("what cannot be seen is never taken for absent", () => {
    expect(() =>
      planOf(file, { file: "/srv/x", content: "a" }, [
        stat("/srv/x", { state: "unknown", reason: "Permission denied" }),
      ]),
    ).toThrow("/srv/x cannot be looked at: Permission denied");
    expect(() => planOf(file, { file: "/srv/x", content: "a" }, [stat("/srv/x", regular())])).toThrow(
      "may not be read",
    );
  });
  it("a link at its place is replaced, a directory is refused", () => {
    expect(planOf(file, { file: "/etc/x", content: "a" }, [stat("/etc/x", symlink("y"))])).toMatchObject([
      { summary: "replace the link" },
    ]);
    expect(() => planOf(file, { file: "/etc/x", content: "a" }, [stat("/etc/x", dir())])).toThrow("in the way");
  });
  it("an owner nobody knows is refused, unless an earlier resource makes them", () => {
    expect(() => planOf(file, { file: "/etc/x", content: "a", owner: "app" })).toThrow("there is no user app");
    expect(
      planOf(file, { file: "/etc/x", content: "a", owner: "app" }, [], world({ provides: ["user:app"] })),
    ).toHaveLength(1);
  });
  it("absent removes it, never a directory", () => {
    expect(planOf(file, { file: "/etc/x", state: "absent" }, [stat("/etc/x", regular())])).toMatchObject([
      { summary: "remove" },
    ]);
    expect(planOf(file, { file: "/etc/x", state: "absent" })).toEqual([]);
    expect(() => planOf(file, { file: "/etc/x", state: "absent" }, [stat("/etc/x", dir())])).toThrow("is a directory");
  });
  it("absent waits for an earlier program that may bring it", () => {
    const busy = world({ pendingPrograms: true });
    expect(planOf(file, { file: "/etc/x", state: "absent" }, [], busy)).toHaveProperty("later");
    expect(planOf(link, { link: "/etc/x", state: "absent" }, [], busy)).toHaveProperty("later");
    expect(planOf(directory, { directory: "/etc/x", state: "absent" }, [], busy)).toHaveProperty("later");
    expect(planOf(line, { line: "a", path: "/etc/x", state: "absent" }, [], busy)).toHaveProperty("later");
  });
  it("takes one body only", () => {
    expect(
      file.check?.(file.schema.parse({ file: "/x", content: "a", source: "b" }), { guarded: false }),
    ).toMatchObject([{ message: "give only one of content, source" }]);
    expect(
      file.check?.(file.schema.parse({ file: "/x", content: "a", state: "absent" }), { guarded: false }),
    ).toHaveLength(1);
  });
  it.each([
    [{ file: "etc/x" }, "absolute"],
    [{ file: "/etc/a\nb" }, "control character"],
    [{ file: "/x", mode: 644 }, 'quote the mode: "0644"'],
    [{ file: "/x", mode: "999" }, "octal"],
    [{ file: "/x", owner: "a b" }, "user name"],
    [{ file: "/x", nope: 1 }, "nope"],
  ])("refuses %j", (wish, words) => {
    expect(JSON.stringify(file.schema.safeParse(wish).error?.issues)).toContain(JSON.stringify(words).slice(1, -1));
  });
});

describe("template", () => {
  it("is a file with what was rendered", () => {
    expect(
      planOf(template, { template: "/etc/x", source: "x.liquid", mode: "0600", loaded: { source: Buffer.from("hi") } }),
    ).toMatchObject([{ steps: [{ do: "write", body: Buffer.from("hi"), mode: "0600" }] }]);
  });
  it("needs a source", () => {
    expect(template.check?.(template.schema.parse({ template: "/x" }), { guarded: false })).toHaveLength(1);
  });
});

describe("link", () => {
  it.each([
    ["absent", { state: "absent" } as const, ["create -> y"]],
    ["already so", symlink("y"), []],
    ["elsewhere", symlink("z"), ["z -> y"]],
  ])("%s", (_name, there, summaries) => {
    expect(done(planOf(link, { link: "/etc/x", target: "y" }, [stat("/etc/x", there)])).map((c) => c.summary)).toEqual(
      summaries,
    );
  });
  it("replaces a file only when told to, a directory never", () => {
    expect(() => planOf(link, { link: "/etc/x", target: "y" }, [stat("/etc/x", regular())])).toThrow("in the way");
    expect(planOf(link, { link: "/etc/x", target: "y", force: true }, [stat("/etc/x", regular())])).toHaveLength(1);
    expect(() => planOf(link, { link: "/etc/x", target: "y", force: true }, [stat("/etc/x", dir())])).toThrow(
      "in the way",
    );
  });
  it("absent removes links only", () => {
    expect(planOf(link, { link: "/etc/x", state: "absent" }, [stat("/etc/x", symlink("y"))])).toHaveLength(1);
    expect(() => planOf(link, { link: "/etc/x", state: "absent" }, [stat("/etc/x", regular())])).toThrow("not a link");
  });
});

describe("line", () => {
  const there = (present: boolean): Fact => [
    { kind: "line", path: "/etc/x", line: "a" },
    { present, readable: true },
  ];
  it("is added when missing, to a new file too", () => {
    expect(planOf(line, { line: "a", path: "/etc/x" }, [stat("/etc/x", regular()), there(false)])).toMatchObject([
      { steps: [{ do: "append", path: "/etc/x", line: "a" }] },
    ]);
    expect(planOf(line, { line: "a", path: "/etc/x" })).toHaveLength(1);
  });
  it("already there is nothing to do", () => {
    expect(planOf(line, { line: "a", path: "/etc/x" }, [stat("/etc/x", regular()), there(true)])).toEqual([]);
  });
  it("many lines share a new file: the second finds its parent in the first", () => {
    expect(planOf(line, { line: "b", path: "/opt/new/x" }, [], world({ provides: ["path:/opt/new/x"] }))).toHaveLength(
      1,
    );
  });
  it("waits for a resource that writes the whole file", () => {
    expect(planOf(line, { line: "a", path: "/etc/x" }, [], world({ provides: ["file:/etc/x"] }))).toHaveProperty(
      "later",
    );
  });
  it("absent removes it", () => {
    expect(
      planOf(line, { line: "a", path: "/etc/x", state: "absent" }, [stat("/etc/x", regular()), there(true)]),
    ).toMatchObject([{ steps: [{ do: "drop-line" }] }]);
    expect(
      planOf(line, { line: "a", path: "/etc/x", state: "absent" }, [stat("/etc/x", regular()), there(false)]),
    ).toEqual([]);
  });
  it("a file that may not be read is refused", () => {
    expect(() =>
      planOf(line, { line: "a", path: "/etc/x" }, [
        stat("/etc/x", regular()),
        [
          { kind: "line", path: "/etc/x", line: "a" },
          { present: false, readable: false },
        ],
      ]),
    ).toThrow("may not be read");
  });
});

describe("command", () => {
  it("without a guard it runs every time, and says so", () => {
    expect(planOf(command, { command: "make\nmore" })).toMatchObject([
      { summary: "run: make ...", steps: [{ do: "shell", line: "make\nmore" }] },
    ]);
    expect(command.alwaysRuns?.(command.schema.parse({ command: "x" }))).toBe(true);
  });
  it("creates: not when the path exists", () => {
    expect(planOf(command, { command: "x", creates: "/srv/x" }, [stat("/srv/x", regular())])).toEqual([]);
    expect(planOf(command, { command: "x", creates: "/srv/x" })).toMatchObject([{ provides: ["path:/srv/x"] }]);
  });
  it("unless: not when the line succeeds; asked again when an earlier change may turn it over", () => {
    const passes: Fact = [{ kind: "shell", line: "t" }, { code: 0 }];
    expect(planOf(command, { command: "x", unless: "t" }, [passes])).toEqual([]);
    expect(planOf(command, { command: "x", unless: "t" }, [passes], world({ pending: true }))).toMatchObject([
      { unless: [{ shell: "t" }] },
    ]);
    const [change] = done(planOf(command, { command: "x", unless: "t" }));
    expect(change).not.toHaveProperty("unless");
  });
});

it.each([
  ["/a/../b//c/./", "/b/c"],
  ["/", "/"],
  ["/..", "/"],
])("normalize %s", (path, plain) => {
  expect(normalize(path)).toBe(plain);
});
