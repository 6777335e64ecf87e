/** user: facts in, changes out. */
import { describe, expect, it } from "vitest";
import type { UserFact } from "../../../../src/core/facts.ts";
import type { Change } from "../../../../src/core/resource.ts";
import { toolProbe } from "../../../../src/core/resources/account.ts";
import { resource as user } from "../../../../src/core/resources/user.ts";
import { debian, done, planOf, world, type Fact } from "./table.ts";

const tools: Fact = [toolProbe, { code: 0 }];
const group = (name: string, gid = 1000): Fact => [
  { kind: "group", name },
  { gid, members: [] },
];
const account = (more: Partial<UserFact> = {}): UserFact => ({
  uid: 1000,
  gid: 1000,
  comment: "",
  home: "/home/app",
  shell: "/bin/sh",
  group: "app",
  groups: [],
  ...more,
});
const there = (more: Partial<UserFact> = {}): Fact => [{ kind: "user", name: "app" }, account(more)];
const argvs = (plan: ReturnType<typeof planOf>): (readonly string[])[] =>
  done(plan).flatMap((c) => c.steps.map((s) => (s.do === "account" ? s.argv : [s.do])));

/** What useradd, usermod and userdel make of an account. */
function after(before: UserFact | undefined, changes: readonly Change[]): UserFact | undefined {
  let now = before;
  for (const step of changes.flatMap((change) => change.steps)) {
    if (step.do !== "account") throw new Error(`no step of a user: ${step.do}`);
    const [tool, ...words] = step.argv;
    if (tool === "userdel") return undefined;
    now ??= account();
    for (const [at, word] of words.entries()) {
      const value = words[at + 1] ?? "";
      if (word === "--uid") now = { ...now, uid: Number(value) };
      if (word === "--gid") now = { ...now, group: value };
      if (word === "--groups") {
        const old: readonly string[] = words.includes("--append") ? now.groups : [];
        now = { ...now, groups: [...new Set([...old, ...value.split(",").filter((g) => g !== "")])].toSorted() };
      }
      if (word === "--shell") now = { ...now, shell: value };
      if (word === "--home" || word === "--home-dir") now = { ...now, home: value };
      if (word === "--comment") now = { ...now, comment: value };
    }
  }
  return now;
}

describe("user", () => {
  it.each([
    [{}, ["useradd", "--create-home", "--user-group", "--", "app"]],
    [{ create_home: false, system: true }, ["useradd", "--no-create-home", "--system", "--user-group", "--", "app"]],
    [
      { uid: 1500, group: "web", groups: ["sudo", "adm"], shell: "/bin/bash", home: "/srv/app", comment: "The App" },
      // prettier-ignore
      ["useradd", "--create-home", "--uid", "1500", "--gid", "web", "--groups", "sudo,adm", "--shell", "/bin/bash", "--home-dir", "/srv/app", "--comment", "The App", "--", "app"],
    ],
  ])("a missing user with %j is made by %j", (wish, argv) => {
    expect(argvs(planOf(user, { user: "app", ...wish }, [tools, group("web"), group("sudo"), group("adm")]))).toEqual([
      argv,
    ]);
  });

  it("brings the user, its group and its home", () => {
    expect(planOf(user, { user: "app" }, [tools])).toMatchObject([
      { provides: ["user:app", "group:app", "path:/home/app", "directory:/home/app"] },
    ]);
    expect(planOf(user, { user: "app", create_home: false, group: "web" }, [tools, group("web")])).toMatchObject([
      { provides: ["user:app"] },
    ]);
  });

  it("takes a group of its own name that is there, or that an earlier resource makes", () => {
    expect(argvs(planOf(user, { user: "app" }, [tools, group("app")]))[0]).toContain("--gid");
    expect(argvs(planOf(user, { user: "app" }, [tools], world({ provides: ["group:app"] })))[0]).toContain("--gid");
  });

  it.each([
    [{ shell: "/bin/bash" }, {}, "shell /bin/sh -> /bin/bash", ["--shell", "/bin/bash"]],
    [{ comment: "App" }, {}, "comment (none) -> App", ["--comment", "App"]],
    [{ home: "/srv/app" }, {}, "home /home/app -> /srv/app (files stay where they are)", ["--home", "/srv/app"]],
    [{ group: "web" }, {}, "group app -> web", ["--gid", "web"]],
    [{ groups: ["sudo", "adm"] }, { groups: ["adm", "x"] }, "groups +sudo", ["--append", "--groups", "sudo"]],
    [{ groups: ["sudo", "adm"], append: false }, { groups: ["adm", "x"] }, "groups +sudo -x", ["--groups", "adm,sudo"]],
    [{ groups: [], append: false }, { groups: ["adm"] }, "groups -adm", ["--groups", ""]],
    [
      { groups: ["adm"], shell: "/bin/bash" },
      {},
      "groups +adm, shell /bin/sh -> /bin/bash",
      ["--append", "--groups", "adm", "--shell", "/bin/bash"],
    ],
  ])("%j of %j says %j", (wish, facts, summary, flags) => {
    const plan = planOf(user, { user: "app", ...wish }, [
      tools,
      there(facts),
      group("web"),
      group("sudo"),
      group("adm"),
    ]);
    expect(plan).toMatchObject([{ summary }]);
    expect(argvs(plan)).toEqual([["usermod", ...flags, "--", "app"]]);
  });

  it.each([
    [{}, {}],
    [{ groups: ["adm"] }, { groups: ["adm", "sudo"] }],
    [{ groups: ["adm", "app"], append: false }, { groups: ["adm"] }],
    [{ groups: [] }, { groups: ["adm"] }],
    [
      { create_home: false, system: true, uid: 1000, group: "app", home: "/home/app/", shell: "/bin/sh", comment: "" },
      {},
    ],
  ])("%j of %j is already so", (wish, facts) => {
    expect(planOf(user, { user: "app", ...wish }, [there(facts), group("app"), group("adm")])).toEqual([]);
  });

  it("second run changes nothing, whatever the user was", () => {
    const wishes: Record<string, unknown>[] = [
      {},
      { groups: ["adm", "sudo"], shell: "/bin/bash" },
      { groups: ["adm"], append: false, comment: "x", home: "/srv/app" },
      { group: "web", groups: ["web", "adm"], append: false },
      { groups: [], append: false, system: true, create_home: false },
      { state: "absent" },
    ];
    const starts = [
      undefined,
      account(),
      account({ group: "web", groups: ["adm"] }),
      account({ groups: ["sudo", "x"], shell: "/x", comment: "y" }),
    ];
    const groups = ["app", "web", "adm", "sudo"].map((name) => group(name));
    for (const wish of wishes) {
      for (const before of starts) {
        const table = (fact: UserFact | undefined): Fact[] => [tools, ...groups, [{ kind: "user", name: "app" }, fact]];
        const now = after(before, done(planOf(user, { user: "app", ...wish }, table(before))));
        expect(planOf(user, { user: "app", ...wish }, table(now)), JSON.stringify([wish, before])).toEqual([]);
      }
    }
  });

  it("the number of an existing user is not changed", () => {
    expect(() => planOf(user, { user: "app", uid: 7 }, [tools, there()])).toThrow(
      expect.objectContaining({
        code: "plan.refused",
        message: "the user app has the number 1000, not 7",
        hint: expect.stringContaining("usermod -u 7"),
      }),
    );
  });

  it.each([{ group: "web" }, { groups: ["adm", "web"] }])(
    "%j that is not there is refused and names what to add",
    (wish) => {
      for (const facts of [[tools], [tools, there()]]) {
        expect(() => planOf(user, { user: "app", ...wish }, [...facts, group("adm")])).toThrow(
          expect.objectContaining({ message: "user app: there is no group web", hint: "add before it:  - group: web" }),
        );
      }
      expect(
        done(planOf(user, { user: "app", ...wish }, [tools, group("adm")], world({ provides: ["group:web"] }))),
      ).toHaveLength(1);
      expect(
        planOf(user, { user: "app", ...wish }, [tools, group("adm")], world({ pendingPrograms: true })),
      ).toHaveProperty("later");
    },
  );

  it("behind a package the user is made only when the package did not, and brought to what is wished", () => {
    const plan = planOf(
      user,
      { user: "app", groups: ["adm"], shell: "/bin/bash" },
      [tools, group("adm")],
      world({ pendingPrograms: true }),
    );
    expect(done(plan)[0]?.steps).toEqual([
      { do: "account", argv: expect.arrayContaining(["useradd"]), unless: ["getent", "passwd", "app"] },
      { do: "account", argv: ["usermod", "--append", "--groups", "adm", "--shell", "/bin/bash", "--", "app"] },
    ]);
    expect(
      done(planOf(user, { user: "app", groups: [] }, [tools], world({ pendingPrograms: true })))[0]?.steps,
    ).toHaveLength(1);
  });

  it("removing asks first, and says whether the home goes, too", () => {
    expect(planOf(user, { user: "app", state: "absent" }, [tools, there()])).toMatchObject([
      { summary: "remove", steps: [{ argv: ["userdel", "--", "app"] }], destroys: "remove the user app" },
    ]);
    expect(planOf(user, { user: "app", state: "absent", remove_home: true }, [tools, there()])).toMatchObject([
      {
        summary: "remove with /home/app",
        steps: [{ argv: ["userdel", "--remove", "--", "app"] }],
        destroys: "remove the user app and /home/app",
      },
    ]);
    expect(planOf(user, { user: "app", state: "absent" }, [])).toEqual([]);
  });

  it("root and ourselves are not removed", () => {
    expect(() => planOf(user, { user: "app", state: "absent" }, [tools, there({ uid: 0 })])).toThrow("is root");
    expect(() =>
      planOf(user, { user: "app", state: "absent" }, [tools, there()], world({ os: { ...debian, user: "app" } })),
    ).toThrow("we are logged in as app");
  });

  it("a target without useradd is refused", () => {
    expect(() => planOf(user, { user: "app" })).toThrow("there is no useradd on this target (debian)");
    expect(() => planOf(user, { user: "app", shell: "/x" }, [there()])).toThrow("there is no useradd");
  });

  it("contradictions are mistakes of the blueprint", () => {
    const check = (wish: object): unknown =>
      user.check?.(user.schema.parse({ user: "app", ...wish }), { guarded: false });
    expect(check({ remove_home: true })).toMatchObject([{ path: ["remove_home"] }]);
    expect(check({ append: false })).toMatchObject([{ path: ["append"] }]);
    expect(check({ remove_home: true, state: "absent" })).toEqual([]);
  });

  it.each([
    { user: "-x" },
    { user: "0" },
    { user: "a:b" },
    { user: "a", uid: -1 },
    { user: "a", shell: "sh" },
    { user: "a", home: "/a:b" },
    { user: "a", comment: "a:b" },
    { user: "a", comment: "a\nb" },
    { user: "a", password: "x" },
  ])("refuses %j", (wish) => {
    expect(user.schema.safeParse(wish).success).toBe(false);
  });
});
