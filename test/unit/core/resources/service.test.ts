/** service: facts in, changes out. */
import { describe, expect, it } from "vitest";
import type { UnitFact } from "../../../../src/core/facts.ts";
import type { Change } from "../../../../src/core/resource.ts";
import { resource as service } from "../../../../src/core/resources/service.ts";
import { done, planOf, world, type Fact } from "./table.ts";

type Found = Extract<UnitFact, { found: true }>;

const unit = (name: string, more: Partial<Found> = {}): Fact => [{ kind: "unit", name }, state(more)];
const state = (more: Partial<Found> = {}): Found => ({
  manager: "systemd",
  found: true,
  active: "inactive",
  enabled: "disabled",
  needsReload: false,
  ...more,
});
const noUnit = (name: string, near?: string): Fact => [
  { kind: "unit", name },
  { manager: "systemd", found: false, near },
];

/** `action name` of each step. */
const words = (plan: ReturnType<typeof planOf>): string[] =>
  done(plan).flatMap((change) =>
    change.steps.map((step) => (step.do === "unit" ? `${step.action} ${step.name}` : step.do)),
  );

/** What the steps make of a unit. */
function after(before: Found, changes: readonly Change[]): Found {
  let now = before;
  for (const step of changes.flatMap((change) => change.steps)) {
    if (step.do === "daemon-reload") now = { ...now, needsReload: false };
    else if (step.do !== "unit") throw new Error(`no step of a service: ${step.do}`);
    else if (step.action === "stop") now = { ...now, active: "inactive" };
    else if (step.action === "enable") now = { ...now, enabled: "enabled" };
    else if (step.action === "disable") now = { ...now, enabled: "disabled" };
    else now = { ...now, active: "active" };
  }
  return now;
}

describe("service", () => {
  it.each([
    [{ state: "running" }, {}, ["start nginx.service"]],
    [{ state: "running" }, { active: "failed" }, ["start nginx.service"]],
    [{ state: "running" }, { active: "activating" }, ["start nginx.service"]],
    [{ state: "running" }, { active: "active" }, []],
    [{ state: "running" }, { active: "reloading" }, []],
    [{ state: "stopped" }, { active: "active" }, ["stop nginx.service"]],
    [{ state: "stopped" }, { active: "activating" }, ["stop nginx.service"]],
    [{ state: "stopped" }, {}, []],
    [{ state: "stopped" }, { active: "failed" }, []],
    [{ enabled: true }, {}, ["enable nginx.service"]],
    [{ enabled: true }, { enabled: "enabled-runtime" }, ["enable nginx.service"]],
    [{ enabled: true }, { enabled: "linked" }, ["enable nginx.service"]],
    [{ enabled: true }, { enabled: "enabled" }, []],
    [{ enabled: true }, { enabled: "static" }, []],
    [{ enabled: true }, { enabled: "alias" }, []],
    [{ enabled: true }, { enabled: "generated" }, []],
    [{ enabled: true }, { enabled: "indirect" }, []],
    [{ enabled: false }, { enabled: "enabled" }, ["disable nginx.service"]],
    [{ enabled: false }, { enabled: "enabled-runtime" }, ["disable nginx.service"]],
    [{ enabled: false }, { enabled: "static" }, []],
    [{ enabled: false }, { enabled: "masked" }, []],
    [{ enabled: false, state: "stopped" }, { enabled: "masked", active: "active" }, ["stop nginx.service"]],
    [{ enabled: true, state: "running" }, {}, ["enable nginx.service", "start nginx.service"]],
    [
      { enabled: true, state: "running" },
      { needsReload: true },
      ["daemon-reload", "enable nginx.service", "start nginx.service"],
    ],
    [{ state: "running" }, { active: "active", needsReload: true }, ["daemon-reload"]],
    [{ state: "restarted" }, { active: "active" }, ["restart nginx.service"]],
    [{ state: "reloaded" }, { active: "active", needsReload: true }, ["daemon-reload", "reload nginx.service"]],
  ] as const)("%j of %j does %j", (wish, facts, steps) => {
    expect(words(planOf(service, { service: "nginx", ...wish }, [unit("nginx.service", facts)]))).toEqual(steps);
  });

  it("second run changes nothing, whatever the unit was", () => {
    for (const active of ["active", "inactive", "failed", "activating", "deactivating", "reloading"]) {
      for (const enabled of [
        "enabled",
        "disabled",
        "static",
        "enabled-runtime",
        "linked",
        "indirect",
        "generated",
        "alias",
        "",
      ]) {
        for (const wish of [
          { state: "running", enabled: true },
          { state: "stopped", enabled: false },
          { state: "running" },
          { enabled: false },
        ]) {
          const before = state({ active, enabled, needsReload: true });
          const whole = { service: "x.socket", ...wish };
          const now = after(before, done(planOf(service, whole, [[{ kind: "unit", name: "x.socket" }, before]])));
          expect(
            planOf(service, whole, [[{ kind: "unit", name: "x.socket" }, now]]),
            JSON.stringify([wish, before]),
          ).toEqual([]);
        }
      }
    }
  });

  it("a masked unit is not started, and the hint says how to unmask it", () => {
    const masked = [unit("nginx.service", { enabled: "masked" })];
    for (const wish of [{ state: "running" }, { enabled: true }, { state: "restarted" }]) {
      expect(() => planOf(service, { service: "nginx", ...wish }, masked)).toThrow(
        expect.objectContaining({
          code: "plan.refused",
          hint: expect.stringContaining("systemctl unmask nginx.service"),
        }),
      );
    }
  });

  it("a unit that is not there is refused with the one that was probably meant", () => {
    const typo = (wish: object): unknown =>
      planOf(service, { service: "ngnix", ...wish }, [noUnit("ngnix.service", "nginx.service")]);
    expect(() => typo({ state: "running" })).toThrow(
      expect.objectContaining({ code: "plan.refused", hint: "did you mean nginx.service?" }),
    );
    expect(() => typo({ enabled: true })).toThrow("there is no unit ngnix.service");
    expect(() => typo({ state: "restarted" })).toThrow("there is no unit ngnix.service");
  });

  it("a unit that is not there neither runs nor starts at boot", () => {
    expect(planOf(service, { service: "gone", state: "stopped", enabled: false }, [noUnit("gone.service")])).toEqual(
      [],
    );
  });

  it("a unit that a package or command may bring waits for it", () => {
    const there = world({ pending: true, pendingPrograms: true });
    for (const wish of [{ state: "running" }, { state: "stopped", enabled: false }]) {
      expect(planOf(service, { service: "nginx", ...wish }, [noUnit("nginx.service")], there)).toEqual({
        later: "nginx.service may come with an earlier package or command",
      });
    }
  });

  it("a unit whose file is written in this stage is planned as it will be", () => {
    const file = "/etc/systemd/system/app.service";
    const there = world({ provides: [`path:${file}`], touches: [file] });
    expect(
      words(planOf(service, { service: "app", state: "running", enabled: true }, [noUnit("app.service")], there)),
    ).toEqual(["daemon-reload", "enable app.service", "start app.service"]);
  });

  it.each([
    ["app", "/etc/systemd/system/app.service"],
    ["app", "/etc/systemd/system/app.service.d"],
    ["app", "/etc/systemd/system/service.d"],
    ["app@one", "/etc/systemd/system/app@.service"],
    ["app@one", "/lib/systemd/system/app@.service.d"],
    ["app.timer", "/run/systemd/system/timer.d"],
  ])("%s is read again when %s is touched in this stage", (name, path) => {
    const full = name.includes(".") ? name : `${name}.service`;
    const running = [unit(full, { active: "active" })];
    expect(words(planOf(service, { service: name, state: "running" }, running, world({ touches: [path] })))).toEqual([
      "daemon-reload",
    ]);
    expect(
      words(
        planOf(
          service,
          { service: name, state: "running" },
          running,
          world({ touches: ["/etc/systemd/system/other.service"] }),
        ),
      ),
    ).toEqual([]);
  });

  it("a target without systemd is refused", () => {
    expect(() => planOf(service, { service: "nginx", state: "running" })).toThrow(
      "systemd does not run on this target",
    );
  });

  it("restarting is done every time and claims nothing, so it goes with a wish about the same unit", () => {
    const restart = service.schema.parse({ service: "nginx", state: "restarted" });
    const running = service.schema.parse({ service: "nginx.service", state: "running" });
    expect([service.alwaysRuns?.(restart), service.alwaysRuns?.(running)]).toEqual([true, false]);
    expect([service.claims(restart), service.claims(running)]).toEqual([[], ["unit:nginx"]]);
  });

  it.each([
    [{}, true, ["service"]],
    [{ enabled: false }, false, undefined],
    [{ state: "running" }, false, undefined],
    [{ state: "restarted" }, false, ["state"]],
    [{ state: "reloaded", enabled: true }, false, ["state"]],
    [{ state: "reloaded" }, true, undefined],
  ])("%j with guarded: %j has a mistake at %j", (wish, guarded, path) => {
    const mistakes = service.check?.(service.schema.parse({ service: "nginx", ...wish }), { guarded });
    expect(mistakes?.map((m) => m.path)).toEqual(path === undefined ? [] : [path]);
  });

  it.each([
    "nginx",
    "getty@tty1",
    "apt-daily.timer",
    "a.b",
    String.raw`dev-disk\x2dby.device`,
    "dbus-org.freedesktop.login1",
  ])("takes %s as a unit", (name) => {
    expect(service.schema.safeParse({ service: name }).success).toBe(true);
  });

  it.each(["", "-x", "ssh*", "a b", "getty@", "getty@.service", "a/b", "n[g]inx", "x".repeat(300)])(
    "refuses %j as a unit",
    (name) => {
      expect(service.schema.safeParse({ service: name }).success).toBe(false);
    },
  );
});
