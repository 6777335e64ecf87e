/** What plans of resources are tested with: facts as a table, a machine, and a world in which nothing is pending. */
import {
  createFacts,
  type Answers,
  type OsFacts,
  type Probe,
  type ProbeKind,
  type ProbeOf,
  type Stat,
} from "../../../../src/core/facts.ts";
import { type Change, type ResourceType, type World } from "../../../../src/core/resource.ts";

export const debian: OsFacts = {
  os: "linux",
  distro: "debian",
  version: "12",
  like: [],
  arch: "x64",
  kernel: "6.1.0",
  hostname: "h1",
  user: "root",
  uid: 0,
  home: "/root",
};

export function world(
  more: Partial<Omit<World, "provides" | "touches" | "removes">> & {
    provides?: readonly string[];
    touches?: readonly string[];
    removes?: readonly string[];
  } = {},
): World {
  const { provides = [], touches = [], removes = [], ...rest } = more;
  return {
    os: debian,
    pending: provides.length > 0,
    pendingPrograms: false,
    ...rest,
    provides: (what) => provides.includes(what),
    touches: (path) => touches.includes(path),
    removes: (path) => removes.includes(path),
  };
}

export type Fact = { [K in ProbeKind]: readonly [ProbeOf<K>, Answers[K]] }[ProbeKind];

/** Parses the wish as a blueprint would and plans it. Facts that are not in the table are absent things. */
export function planOf(
  type: ResourceType,
  wish: Record<string, unknown>,
  table: readonly Fact[] = [],
  there: World = world(),
): readonly Change[] | { later: string } {
  const { loaded, ...fields } = wish;
  const parsed = { ...type.schema.parse(fields), ...(loaded === undefined ? {} : { loaded }) };
  const facts = createFacts();
  for (const probe of type.probes(parsed)) facts.set(probe, nothing(probe) as never);
  for (const [probe, answer] of table) facts.set(probe, answer);
  return type.plan(parsed, facts, there);
}

/** The changes of a plan that must not wait. */
export function done(plan: readonly Change[] | { later: string }): readonly Change[] {
  if ("later" in plan) throw new Error(`waits: ${plan.later}`);
  return plan;
}

function nothing(probe: Probe): unknown {
  switch (probe.kind) {
    case "stat":
      // Roots and the usual parents exist everywhere.
      return ["/", "/etc", "/srv", "/tmp"].includes(probe.path) ? dir() : { state: "absent" };
    case "line":
      return { present: false, readable: true };
    case "entries":
      return { empty: true };
    case "shell":
      return { code: 1 };
    case "journal":
      return { handlers: [] };
    case "package":
    case "unit":
      return { manager: undefined };
    case "sha256":
    case "content":
    case "user":
    case "group":
      return undefined;
  }
}

export const dir = (more: Partial<Extract<Stat, { state: "present" }>> = {}): Stat => ({
  state: "present",
  type: "directory",
  mode: "755",
  uid: 0,
  gid: 0,
  owner: "root",
  group: "root",
  size: 4096,
  ...more,
});
export const regular = (more: Partial<Extract<Stat, { state: "present" }>> = {}): Stat =>
  ({ ...dir(), type: "file", mode: "644", size: 10, ...more }) as Stat;
export const symlink = (target: string, more: Partial<Extract<Stat, { state: "present" }>> = {}): Stat =>
  ({ ...dir(), type: "link", mode: "777", target, ...more }) as Stat;
export const stat = (path: string, answer: Stat): Fact => [{ kind: "stat", path }, answer];
