/** service: a systemd unit, running or not, and started at boot or not. */
import { z } from "zod";
import { AmiError } from "../errors.ts";
import type { UnitFact } from "../facts.ts";
import { defineResource, later, type Change, type Later, type World } from "../resource.ts";

const suffixes = [
  "service",
  "socket",
  "timer",
  "path",
  "target",
  "mount",
  "automount",
  "swap",
  "slice",
  "scope",
  "device",
];

export const resource = defineResource({
  type: "service",
  summary: "A systemd unit: running or stopped now, enabled or not at boot.",
  schema: z.strictObject({
    service: z
      .string()
      .refine((name) => !/@(\.[a-z]+)?$/.test(name), "this is a template; name an instance of it: getty@tty1")
      .refine((name) => isUnitName(unitName(name)), "not a unit name: letters, digits and : _ . - @ \\")
      .describe("Name of the unit; without a suffix `.service` is meant."),
    state: z
      .enum(["running", "stopped", "restarted", "reloaded"])
      .optional()
      .describe(
        "`restarted` and `reloaded` are done every time, so they belong in handlers (or need a `when`); both start what is not running.",
      ),
    enabled: z.boolean().optional().describe("Whether it starts at boot."),
  }),
  examples: [
    "- service: nginx\n  state: running\n  enabled: true",
    "- service: apt-daily.timer\n  state: stopped\n  enabled: false",
  ],
  check(wish, { guarded }) {
    if (wish.state === undefined && wish.enabled === undefined)
      return [{ path: ["service"], message: "say what is wished: state: running or stopped, enabled: true or false" }];
    if (isOnce(wish) && !guarded)
      return [
        {
          path: ["state"],
          message: `${wish.state ?? ""} would be done on every run: it belongs in a handler, or give it a \`when\``,
        },
      ];
    return [];
  },
  title: (wish) => `service ${shortName(wish.service)}`,
  /** A restart says nothing about what should be: it goes with another wish about the unit. */
  claims: (wish) => (isOnce(wish) && wish.enabled === undefined ? [] : [`unit:${shortName(wish.service)}`]),
  probes: (wish) => [{ kind: "unit", name: unitName(wish.service) }],
  plan(wish, facts, world) {
    const name = unitName(wish.service);
    const unit = present(name, wish, facts.get({ kind: "unit", name }), world);
    if (unit === undefined) return [];
    if ("later" in unit) return unit;
    if (
      unit.enabled.startsWith("masked") &&
      (wish.enabled === true || (wish.state !== undefined && wish.state !== "stopped"))
    ) {
      throw new AmiError("plan.refused", `${name} is masked: nothing may start it`, {
        hint: `if it should run, add before it:  - command: systemctl unmask ${name}`,
      });
    }
    return [...reload(name, unit, world), ...boot(name, wish.enabled, unit), ...run(name, wish.state, unit)];
  },
  alwaysRuns: isOnce,
});

interface Wish {
  readonly state?: "running" | "stopped" | "restarted" | "reloaded" | undefined;
  readonly enabled?: boolean | undefined;
}

function isOnce(wish: Wish): boolean {
  return wish.state === "restarted" || wish.state === "reloaded";
}

type Unit = Omit<Extract<UnitFact, { found: true }>, "manager" | "found">;

/** The unit as it is, or as earlier changes of the stage make it. undefined: it is not there and need not be. */
function present(name: string, wish: Wish, fact: UnitFact, world: World): Unit | Later | undefined {
  if (fact.manager === undefined) {
    throw new AmiError("plan.refused", "service: systemd does not run on this target", {
      hint: "for other ways to run a service use  - command:",
    });
  }
  if (fact.found) return fact;
  if (unitFiles(name).some((file) => world.provides(`path:${file}`)))
    return { active: "inactive", enabled: "disabled", needsReload: true };
  if (world.pendingPrograms) return later(`${name} may come with an earlier package or command`);
  const wantsIt = wish.enabled === true || (wish.state !== undefined && wish.state !== "stopped");
  if (!wantsIt) return undefined;
  throw new AmiError("plan.refused", `there is no unit ${name}`, {
    hint:
      fact.near === undefined
        ? "add the package, or the file in /etc/systemd/system, that brings it"
        : `did you mean ${fact.near}?`,
  });
}

/** What systemd has in memory is older than its files, or is about to be. */
function reload(name: string, unit: Unit, world: World): Change[] {
  const stale = unit.needsReload || [...unitFiles(name), ...dropIns(name)].some((path) => world.touches(path));
  return stale ? [{ summary: "daemon-reload", steps: [{ do: "daemon-reload" }] }] : [];
}

/** These start with something else, or are made anew at every boot; there is nothing to enable. */
const enabledStates = new Set(["enabled", "static", "alias", "indirect", "generated", "transient"]);

function boot(name: string, wished: boolean | undefined, { enabled }: Unit): Change[] {
  if (wished === true && !enabledStates.has(enabled))
    return [{ summary: "enable", steps: [{ do: "unit", action: "enable", name }] }];
  if (wished === false && enabled.startsWith("enabled"))
    return [{ summary: "disable", steps: [{ do: "unit", action: "disable", name }] }];
  return [];
}

function run(name: string, wished: Wish["state"], { active }: Unit): Change[] {
  const up = ["active", "reloading", "refreshing"].includes(active);
  switch (wished) {
    case "running":
      return up
        ? []
        : [
            {
              summary: active === "failed" ? "start (it had failed)" : "start",
              steps: [{ do: "unit", action: "start", name }],
              provides: [`unit:${shortName(name)}`],
            },
          ];
    case "stopped":
      return active === "inactive" || active === "failed"
        ? []
        : [{ summary: "stop", steps: [{ do: "unit", action: "stop", name }] }];
    case "restarted":
      return [{ summary: "restart", steps: [{ do: "unit", action: "restart", name }] }];
    case "reloaded":
      return [{ summary: up ? "reload" : "reload (starts it)", steps: [{ do: "unit", action: "reload", name }] }];
    case undefined:
      return [];
  }
}

/** Full name, as systemctl takes it. */
function unitName(name: string): string {
  return suffixes.includes(name.slice(name.lastIndexOf(".") + 1)) && name.includes(".") ? name : `${name}.service`;
}

/** One invalid name makes systemctl refuse all; a template (`getty@.service`) has no state of its own. */
export function isUnitName(name: string): boolean {
  const dot = name.lastIndexOf(".");
  const stem = name.slice(0, dot);
  return (
    dot > 0 &&
    name.length < 256 &&
    suffixes.includes(name.slice(dot + 1)) &&
    /^[A-Za-z0-9:_.\\][A-Za-z0-9:_.\\@-]*$/.test(stem) &&
    !stem.endsWith("@")
  );
}

function shortName(name: string): string {
  return unitName(name).replace(/\.service$/, "");
}

const folders = [
  "/etc/systemd/system",
  "/run/systemd/system",
  "/usr/local/lib/systemd/system",
  "/usr/lib/systemd/system",
  "/lib/systemd/system",
];

/** Where the unit's file may be: its own name, or that of its template. */
function unitFiles(name: string): string[] {
  const template = name.replace(/@.*(\.[a-z]+)$/, "@$1");
  return folders.flatMap((folder) => [...new Set([name, template])].map((file) => `${folder}/${file}`));
}

/** Folders of drop-ins, those for all units of the kind included. */
function dropIns(name: string): string[] {
  const kind = name.slice(name.lastIndexOf(".") + 1);
  return [...unitFiles(name), ...folders.map((folder) => `${folder}/${kind}`)].map((path) => `${path}.d`);
}
