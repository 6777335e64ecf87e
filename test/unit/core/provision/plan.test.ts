/** Stages: where they end, what is merged, and what --check says beyond. */
import { describe, expect, it } from "vitest";
import { z } from "zod";
import { AmiError } from "../../../../src/core/errors.ts";
import { createFacts } from "../../../../src/core/facts.ts";
import { planStage, type Item } from "../../../../src/core/provision/plan.ts";
import type { Common, Expansion, ResourceNode, Wish } from "../../../../src/core/provision/wish.ts";
import { defineResource, type Plan, type World } from "../../../../src/core/resource.ts";
import { debian } from "../resources/table.ts";

const common: Common = {
  when: undefined,
  each: undefined,
  register: undefined,
  tags: [],
  after: [],
  notify: [],
  become: undefined,
  timeout: undefined,
  retries: 0,
  ignoreErrors: false,
};

function node(
  name: string,
  plans: ((world: World) => Plan)[],
  more: Partial<Common> = {},
): { node: ResourceNode; expansion: Expansion } {
  const type = defineResource({
    type: "thing",
    summary: "",
    schema: z.strictObject({ thing: z.number() }),
    examples: [],
    title: () => name,
    claims: () => [],
    probes: () => [],
    plan: (wish, _facts, world) => plans[wish.thing]?.(world) ?? [],
  });
  const made: ResourceNode = {
    where: name,
    line: 1,
    column: 1,
    id: undefined,
    type,
    fields: {},
    common: { ...common, ...more },
  };
  const wishes = plans.map((_, index): Wish => ({
    key: `${name}#${index}`,
    node: made,
    type,
    wish: { thing: index },
    title: `${name}${index}`,
    notify: [],
    secret: false,
  }));
  return { node: made, expansion: { state: "ready", wishes } };
}

const change = (summary: string, provides: string[] = []): Plan => [
  { summary, steps: [{ do: "chmod", path: `/${summary}`, mode: "0644" }], provides },
];
const install = (...names: string[]): Plan => [
  {
    summary: `install ${names.join(" ")}`,
    steps: [{ do: "apt", action: "install", names }],
    batch: { key: "apt-install", names },
  },
];
const stage = (
  nodes: { node: ResourceNode; expansion: Expansion | AmiError }[],
  check = false,
): { items: readonly Item[]; rest: readonly ResourceNode[] } =>
  planStage({ nodes, factsOf: () => createFacts(), osOf: () => debian, check });
const kinds = (items: readonly Item[]): string[] => items.map((i) => i.kind);

describe("a stage", () => {
  it("sees what earlier changes provide, touch and leave pending", () => {
    const seen: unknown[] = [];
    const look = (world: World): Plan => {
      seen.push([
        world.provides("user:app"),
        world.touches("/a"),
        world.touches("/b"),
        world.pending,
        world.pendingPrograms,
        world.removes("/b/x"),
      ]);
      return [];
    };
    stage([
      node("l", [look]),
      node("a", [() => change("a/x", ["user:app"])]),
      node("l", [look]),
      node("p", [() => install("x")]),
      node("l", [look]),
      node("r", [() => [{ summary: "", steps: [{ do: "remove", path: "/b", recursive: true }] }]]),
      node("l", [look]),
      node("m", [() => change("b/x", ["path:/b/x"])]),
      node("l", [look]),
    ]);
    expect(seen).toEqual([
      [false, false, false, false, false, false],
      [true, true, false, true, false, false],
      [true, true, false, true, true, false],
      [true, true, true, true, true, true],
      [true, true, true, true, true, false],
    ]);
  });

  it("items of one `each` see each other", () => {
    const { items } = stage([
      node("each", [
        () => change("one", ["directory:/one"]),
        (w) => (w.provides("directory:/one") ? change("two") : []),
      ]),
    ]);
    expect(kinds(items)).toEqual(["change", "change"]);
  });

  it("ends at what must wait; everything behind it waits too, in order", () => {
    const { items, rest } = stage([
      node("a", [() => change("a")]),
      node("b", [() => ({ later: "because" })]),
      node("c", [() => change("c")]),
    ]);
    expect(kinds(items)).toEqual(["change"]);
    expect(rest.map((n) => n.where)).toEqual(["b", "c"]);
  });

  it("a node of `each` waits whole", () => {
    const { items, rest } = stage([node("a", [() => change("x"), () => ({ later: "because" })])]);
    expect(items).toEqual([]);
    expect(rest).toHaveLength(1);
  });

  it("--check goes on behind what waits, and holds back judgement on what fails there", () => {
    const refuse = (): never => {
      throw new AmiError("plan.refused", "no parent");
    };
    const { items, rest } = stage(
      [node("b", [() => ({ later: "because" })]), node("c", [() => change("c")]), node("d", [refuse])],
      true,
    );
    expect(kinds(items)).toEqual(["later", "change", "later"]);
    expect(rest).toEqual([]);
    expect(kinds(stage([node("d", [refuse])], true).items)).toEqual(["refused"]);
  });

  it("what could not be expanded is refused, what is skipped is said", () => {
    const skipped = node("s", []);
    const { items } = stage([
      { node: skipped.node, expansion: { state: "skipped", reason: "when" } },
      { node: skipped.node, expansion: new AmiError("blueprint.invalid", "x") },
    ]);
    expect(kinds(items)).toEqual(["skipped", "refused"]);
  });
});

describe("batches", () => {
  const leaders = (items: readonly Item[]): (string | undefined)[] =>
    items.map((i) => (i.kind === "change" ? i.leader?.title : i.kind));
  it("packages next to each other become one command, whatever is the same between them", () => {
    const { items } = stage([
      node("p", [() => install("a", "b")]),
      node("s", [() => []]),
      node("q", [() => install("c")]),
    ]);
    expect(leaders(items)).toEqual([undefined, "same", "p0"]);
    expect(items[0]).toMatchObject({
      changes: [{ steps: [{ do: "apt", names: ["a", "b", "c"] }], batch: { names: ["a", "b", "c"] } }],
    });
  });
  it("a change between them keeps them apart", () => {
    const { items } = stage([
      node("p", [() => install("a")]),
      node("f", [() => change("f")]),
      node("q", [() => install("c")]),
    ]);
    expect(leaders(items)).toEqual([undefined, undefined, undefined]);
  });
  it.each<Partial<Common>>([{ ignoreErrors: true }, { timeout: 5 }, { retries: 1 }])("so does %o", (more) => {
    const { items } = stage([node("p", [() => install("a")]), node("q", [() => install("c")], more)]);
    expect(leaders(items)).toEqual([undefined, undefined]);
  });
  it("another user or another verb keeps them apart", () => {
    const remove = (): Plan => [
      {
        summary: "remove",
        steps: [{ do: "apt", action: "remove", names: ["z"] }],
        batch: { key: "apt-remove", names: ["z"] },
      },
    ];
    expect(
      leaders(stage([node("p", [() => install("a")]), node("q", [() => install("c")], { become: true })]).items),
    ).toEqual([undefined, undefined]);
    expect(leaders(stage([node("p", [() => install("a")]), node("q", [remove])]).items)).toEqual([
      undefined,
      undefined,
    ]);
  });
});
