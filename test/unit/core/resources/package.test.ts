/** package: facts in, changes out. */
import { describe, expect, it } from "vitest";
import type { PackageFact } from "../../../../src/core/facts.ts";
import { resource as pkg } from "../../../../src/core/resources/package.ts";
import { debian, done, planOf, world, type Fact } from "./table.ts";

const fact = (name: string, answer: PackageFact): Fact => [{ kind: "package", name }, answer];
const installed = (name: string): Fact => fact(name, { manager: "apt", installed: true, version: "1.0" });
const missing = (name: string, known: boolean | undefined = true): Fact =>
  fact(name, { manager: "apt", installed: false, known });

describe("package", () => {
  it("installs what is missing, all names of a list as one", () => {
    const plan = planOf(pkg, { package: ["curl", "git", "nginx"] }, [
      missing("curl"),
      installed("git"),
      missing("nginx"),
    ]);
    expect(plan).toEqual([
      {
        summary: "install curl, nginx",
        steps: [{ do: "apt", action: "install", names: ["curl", "nginx"] }],
        provides: ["package:curl", "package:nginx"],
        batch: { key: "apt-install", names: ["curl", "nginx"] },
      },
    ]);
  });

  it("says when apt does not know a name yet, and only then", () => {
    const summary = (known: boolean | undefined): string | undefined =>
      done(planOf(pkg, { package: "nignx" }, [missing("nignx", known)]))[0]?.summary;
    expect(summary(false)).toContain("nignx: not in the package lists there");
    expect(summary(true)).toBe("install nignx");
    expect(summary(undefined)).toBe("install nignx");
  });

  it("second run changes nothing: what was installed is not installed again, what was removed not removed", () => {
    for (const [state, before, after] of [
      ["present", missing, installed],
      ["absent", installed, missing],
    ] as const) {
      const wish = { package: ["a1", "b2"], state };
      expect(done(planOf(pkg, wish, [before("a1"), before("b2")]))).toHaveLength(1);
      expect(planOf(pkg, wish, [after("a1"), after("b2")])).toEqual([]);
    }
  });

  it("a name that another package provides is there", () => {
    const awk = fact("awk", { manager: "apt", installed: true, version: "1.3", providedBy: "mawk" });
    expect(planOf(pkg, { package: "awk" }, [awk])).toEqual([]);
  });

  it("a name that another package provides cannot be removed", () => {
    const awk = fact("awk", { manager: "apt", installed: true, version: "1.3", providedBy: "mawk" });
    expect(() => planOf(pkg, { package: "awk", state: "absent" }, [awk])).toThrow(
      "awk is no package but a name that mawk provides",
    );
  });

  it("asks before it removes, and removes only what is there", () => {
    const [change] = done(planOf(pkg, { package: ["a1", "b2"], state: "absent" }, [installed("a1"), missing("b2")]));
    expect(change).toMatchObject({
      summary: "remove a1",
      steps: [{ do: "apt", action: "remove", names: ["a1"] }],
      destroys: "remove the package a1",
      batch: { key: "apt-remove", names: ["a1"] },
    });
  });

  it("a target without apt is refused with its name", () => {
    const alpine = world({ os: { ...debian, distro: "alpine" } });
    expect(() => planOf(pkg, { package: "curl" }, [], alpine)).toThrow(
      expect.objectContaining({ code: "plan.refused", message: expect.stringContaining("alpine") }),
    );
  });

  it("a name given twice counts once", () => {
    const wish = pkg.schema.parse({ package: ["curl", "curl"] });
    expect(pkg.claims(wish)).toEqual(["package:curl"]);
    expect(pkg.probes(wish)).toEqual([{ kind: "package", name: "curl" }]);
    expect(pkg.title(wish)).toBe("package curl");
  });

  it.each(["g++", "libc6:i386", "r-base", "python3.11", "0ad", "libstdc++6"])("takes %s as a name", (name) => {
    expect(pkg.schema.safeParse({ package: name }).success).toBe(true);
  });

  it.each([
    ["nginx-", "not a package name"],
    ["-y", "not a package name"],
    ["nginx=1.2", "versions and releases"],
    ["nginx/stable", "versions and releases"],
    ["ng*", "not a package name"],
    ["curl git", "write a list"],
    ["Nginx", "lower case"],
    ["a;b", "not a package name"],
    ["", "not a package name"],
  ])("refuses %j, which apt would take for something else", (name, words) => {
    const result = pkg.schema.safeParse({ package: [name] });
    expect(JSON.stringify(result.error?.issues)).toContain(words);
  });
});

it.each(["sl:any", "cowsay:native"])("%s is no package of its own", (name) => {
  expect(() => pkg.schema.parse({ package: name })).toThrow("the machine's own architecture is meant");
});
