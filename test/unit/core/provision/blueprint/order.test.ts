import { describe, expect, it } from "vitest";
import { z } from "zod";
import { cyclesOf, inOrder, selected } from "../../../../../src/core/provision/blueprint/order.ts";
import type { ResourceNode } from "../../../../../src/core/provision/wish.ts";
import { defineResource } from "../../../../../src/core/resource.ts";

const type = defineResource({
  type: "thing",
  summary: "",
  schema: z.strictObject({ thing: z.string() }),
  examples: [],
  title: (wish) => wish.thing,
  claims: () => [],
  probes: () => [],
  plan: () => [],
});

function node(id: string, after: string[] = [], more: { tags?: string[]; register?: string } = {}): ResourceNode {
  return {
    where: id,
    line: 1,
    column: 1,
    id,
    type,
    fields: { thing: id },
    common: {
      when: undefined,
      each: undefined,
      register: more.register,
      tags: more.tags ?? [],
      after,
      notify: [],
      become: undefined,
      timeout: undefined,
      retries: 0,
      ignoreErrors: false,
    },
  };
}

const ids = (nodes: readonly ResourceNode[]): string => nodes.map((one) => one.id).join(" ");

describe("order", () => {
  it.each([
    ["stays as written without `after`", [node("a"), node("b"), node("c")], "a b c"],
    [
      "puts what is waited for first and leaves the rest in place",
      [node("a", ["c"]), node("b"), node("c"), node("d")],
      "b c a d",
    ],
    ["follows chains", [node("a", ["b"]), node("b", ["c"]), node("c", ["d"]), node("d")], "d c b a"],
    ["ignores ids nobody has", [node("a", ["nobody"]), node("b")], "a b"],
  ])("%s", (_, nodes, expected) => {
    const { order, cycles } = inOrder(nodes);
    expect(ids(order)).toBe(expected);
    expect(cycles).toEqual([]);
  });

  it("tells each cycle once and what only hangs on it not at all", () => {
    const { order, cycles } = inOrder([
      node("x", ["a"]),
      node("a", ["b"]),
      node("b", ["a"]),
      node("self", ["self"]),
      node("free"),
    ]);
    expect(cycles.map(ids)).toEqual(["a b", "self"]);
    expect(ids(order)).toBe("free x a b self");
  });

  it("is quick for thousands", () => {
    const many = Array.from({ length: 3000 }, (_, i) => node(`n${i}`, i === 0 ? [] : [`n${i - 1}`]));
    const started = performance.now();
    expect(inOrder(many.toReversed()).order[0]?.id).toBe("n0");
    expect(performance.now() - started).toBeLessThan(5000);
  });
});

describe("tags", () => {
  it("take along what a resource comes after and whose result it uses, and what those need", () => {
    const nodes = [
      node("base"),
      node("built", ["base"], { register: "built" }),
      node("other"),
      node("shown", [], { tags: ["web"] }),
      node("tagged", [], { tags: ["db", "web"] }),
    ];
    const uses = (one: ResourceNode): string[] => (one.id === "shown" ? ["built"] : []);
    expect(ids(selected(nodes, ["web"], uses))).toBe("base built shown tagged");
    expect(ids(selected(nodes, ["db", "none"], uses))).toBe("tagged");
    expect(ids(selected(nodes, [], uses))).toBe("");
  });
});

describe("cycles", () => {
  it("are found in any graph", () => {
    const graph: Record<string, string[]> = {
      a: ["b", "c"],
      b: ["d"],
      c: ["d"],
      d: [],
      e: ["f"],
      f: ["g"],
      g: ["e", "a"],
    };
    expect(cyclesOf(Object.keys(graph), (one) => graph[one] ?? [])).toEqual([["e", "f", "g"]]);
  });
});
