/** group: facts in, changes out. */
import { describe, expect, it } from "vitest";
import { toolProbe } from "../../../../src/core/resources/account.ts";
import { resource as group } from "../../../../src/core/resources/group.ts";
import { debian, done, planOf, world, type Fact } from "./table.ts";

const tools: Fact = [toolProbe, { code: 0 }];
const there = (name: string, gid = 1000, members: readonly string[] = []): Fact => [
  { kind: "group", name },
  { gid, members },
];
const argvs = (plan: ReturnType<typeof planOf>): unknown[] =>
  done(plan).flatMap((c) => c.steps.map((s) => (s.do === "account" ? s.argv : s)));

describe("group", () => {
  it.each([
    [{}, ["groupadd", "--", "app"]],
    [{ gid: 1500 }, ["groupadd", "--gid", "1500", "--", "app"]],
    [{ gid: 0, system: true }, ["groupadd", "--gid", "0", "--system", "--", "app"]],
  ])("a missing group with %j is made by %j", (wish, argv) => {
    const plan = planOf(group, { group: "app", ...wish }, [tools]);
    expect(argvs(plan)).toEqual([argv]);
    expect(plan).toMatchObject([{ provides: ["group:app"] }]);
  });

  it("second run changes nothing", () => {
    expect(planOf(group, { group: "app", gid: 1500, system: true }, [tools, there("app", 1500)])).toEqual([]);
    expect(planOf(group, { group: "app" }, [there("app", 7)])).toEqual([]);
    expect(planOf(group, { group: "app", state: "absent" }, [tools])).toEqual([]);
  });

  it("the number of an existing group is not changed", () => {
    expect(() => planOf(group, { group: "app", gid: 1500 }, [tools, there("app", 7)])).toThrow(
      expect.objectContaining({
        code: "plan.refused",
        message: "the group app has the number 7, not 1500",
        hint: expect.stringContaining("groupmod"),
      }),
    );
  });

  it("one that an earlier user of this stage brings is there; its number is known later", () => {
    const stage = world({ provides: ["group:app"] });
    expect(planOf(group, { group: "app" }, [tools], stage)).toEqual([]);
    expect(planOf(group, { group: "app", gid: 5 }, [tools], stage)).toEqual({
      later: "an earlier user makes the group app",
    });
  });

  it("behind a package it is made only when the package did not", () => {
    const [change] = done(planOf(group, { group: "app" }, [tools], world({ pendingPrograms: true })));
    expect(change?.steps).toEqual([
      { do: "account", argv: ["groupadd", "--", "app"], unless: ["getent", "group", "app"] },
    ]);
  });

  it("removing one with members asks first", () => {
    const [change] = done(
      planOf(group, { group: "app", state: "absent" }, [tools, there("app", 1000, ["ann", "bob"])]),
    );
    expect(change).toMatchObject({
      steps: [{ argv: ["groupdel", "--", "app"] }],
      destroys: "remove the group app with its members ann, bob",
    });
    expect(done(planOf(group, { group: "app", state: "absent" }, [tools, there("app")]))[0]).not.toHaveProperty(
      "destroys",
    );
  });

  it("removing one whose user goes first looks again whether it is still there", () => {
    const [change] = done(
      planOf(group, { group: "a.b", state: "absent" }, [tools, there("a.b")], world({ pending: true })),
    );
    expect(change?.unless).toEqual([{ shell: String.raw`! grep -q '^a\.b:' /etc/group` }]);
  });

  it("the group of root stays", () => {
    expect(() => planOf(group, { group: "root", state: "absent" }, [tools, there("root", 0)])).toThrow(
      "the system needs it",
    );
  });

  it("a target without groupadd is refused, unless an earlier package may bring it", () => {
    const alpine = { ...debian, distro: "alpine" };
    expect(() => planOf(group, { group: "app" }, [], world({ os: alpine }))).toThrow(
      expect.objectContaining({ code: "plan.refused", hint: expect.stringContaining("apk add shadow") }),
    );
    expect(planOf(group, { group: "app" }, [], world({ os: alpine, pendingPrograms: true }))).toHaveProperty("later");
  });

  it.each(["", "-g", "a:b", "a b", "1000", "x".repeat(33), "a,b"])("refuses %j as a name", (name) => {
    expect(group.schema.safeParse({ group: name }).success).toBe(false);
  });
});
