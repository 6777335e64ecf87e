/**
 * Plan: what one stage would do, from facts alone. Pure: check, diff, apply and the settled check read the same value.
 * A stage ends at the first resource that must wait for what comes before it.
 */
import { AmiError } from "../errors.ts";
import type { Facts, OsFacts } from "../facts.ts";
import { isLater, type Change, type World } from "../resource.ts";
import type { Expansion, ResourceNode, Wish } from "./wish.ts";

export interface ChangeItem {
  readonly kind: "change";
  readonly wish: Wish;
  readonly changes: readonly Change[];
  /** Done together with this earlier one. */
  readonly leader?: Wish | undefined;
}

export type Item =
  | { readonly kind: "same"; readonly wish: Wish }
  | ChangeItem
  | { readonly kind: "skipped"; readonly node: ResourceNode; readonly reason: string }
  | { readonly kind: "later"; readonly node: ResourceNode; readonly wish?: Wish | undefined; readonly reason: string }
  | {
      readonly kind: "refused";
      readonly node: ResourceNode;
      readonly wish?: Wish | undefined;
      readonly error: AmiError;
    };

export interface StageInput {
  readonly nodes: readonly { readonly node: ResourceNode; readonly expansion: Expansion | AmiError }[];
  factsOf(wish: Wish): Facts;
  osOf(wish: Wish): OsFacts;
  /** Go on behind what must wait, to say as much as can be said. */
  readonly check: boolean;
}

export interface StagePlan {
  readonly items: readonly Item[];
  /** Nodes that wait for the next stage, in order. Empty with `check`. */
  readonly rest: readonly ResourceNode[];
}

export function planStage(input: StageInput): StagePlan {
  const items: Item[] = [];
  const provided = new Set<string>();
  const touched = new Set<string>();
  const removed = new Set<string>();
  const pending = { any: false, programs: false };
  const world = (os: OsFacts): World => ({
    os,
    provides: (what) => provided.has(what),
    touches: (path) => touched.has(path) || [...touched].some((t) => t.startsWith(path === "/" ? "/" : `${path}/`)),
    removes: (path) =>
      !["path", "directory"].some((kind) => provided.has(`${kind}:${path}`)) &&
      [...removed].some((gone) => isWithin(path, gone)),
    pending: pending.any,
    pendingPrograms: pending.programs,
  });
  let waits = false;
  for (const [index, { node, expansion }] of input.nodes.entries()) {
    const before = items.length;
    for (const item of planNode(node, expansion, input, world)) {
      // Behind something that waits, a refusal may be cured by it.
      items.push(
        item.kind === "refused" && waits ? { kind: "later", node, wish: item.wish, reason: item.error.message } : item,
      );
      if (item.kind === "later") waits = true;
      if (item.kind === "change") note(item.changes);
    }
    if (waits && !input.check) {
      // A node is done whole or waits whole, so that `each` and `register` mean one thing.
      items.length = before;
      const blocked = input.nodes.slice(index).map((n) => n.node);
      return { items: mergeBatches(items), rest: blocked };
    }
  }
  return { items: mergeBatches(items), rest: [] };

  function note(changes: readonly Change[]): void {
    for (const change of changes) {
      pending.any = true;
      for (const step of change.steps) {
        if ("path" in step) touched.add(step.path);
        if (step.do !== "remove") continue;
        removed.add(step.path);
        for (const what of provided) if (isWithin(what.slice(what.indexOf(":") + 1), step.path)) provided.delete(what);
      }
      for (const what of change.provides ?? []) provided.add(what);
      if (change.steps.some((s) => s.do === "apt" || s.do === "run" || s.do === "shell" || s.do === "unit"))
        pending.programs = true;
    }
  }
}

function isWithin(path: string, folder: string): boolean {
  return path === folder || path.startsWith(`${folder}/`);
}

/** A generator, so that each wish is planned in the world which the one before it makes. */
function* planNode(
  node: ResourceNode,
  expansion: Expansion | AmiError,
  input: StageInput,
  world: (os: OsFacts) => World,
): Generator<Item> {
  if (expansion instanceof AmiError) yield { kind: "refused", node, error: expansion };
  else if (expansion.state === "skipped") yield { kind: "skipped", node, reason: expansion.reason };
  else if (expansion.state === "later") yield { kind: "later", node, reason: `needs the result of ${expansion.needs}` };
  else if (expansion.state === "facts") throw new Error(`${node.where} was planned before facts were read`);
  else for (const wish of expansion.wishes) yield planWish(wish, input, world);
}

function planWish(wish: Wish, input: StageInput, world: (os: OsFacts) => World): Item {
  try {
    const plan = wish.type.plan(wish.wish, input.factsOf(wish), world(input.osOf(wish)));
    if (isLater(plan)) return { kind: "later", node: wish.node, wish, reason: plan.later };
    return plan.length === 0 ? { kind: "same", wish } : { kind: "change", wish, changes: plan };
  } catch (error) {
    if (error instanceof AmiError) return { kind: "refused", node: wish.node, wish, error };
    throw error;
  }
}

/** Changes with one batch key and nothing changing between them are done by the first of them. */
export function mergeBatches(items: readonly Item[]): Item[] {
  const out = [...items];
  let open: { key: string; at: number } | undefined;
  for (const [at, item] of items.entries()) {
    if (item.kind !== "change") continue;
    const batch = item.changes.length === 1 ? item.changes[0]?.batch : undefined;
    const key = batch === undefined ? undefined : batchKey(batch.key, item.wish);
    if (batch === undefined || open === undefined || open.key !== key) {
      open = key === undefined ? undefined : { key, at };
      continue;
    }
    const leader = out[open.at];
    if (leader?.kind !== "change") continue;
    out[open.at] = { ...leader, changes: [joinBatch(leader.changes[0], batch.names)] };
    out[at] = { ...item, leader: leader.wish };
  }
  return out;
}

function joinBatch(change: Change | undefined, names: readonly string[]): Change {
  if (change?.batch === undefined) throw new Error("a batch without a leader");
  return {
    ...change,
    batch: { ...change.batch, names: [...change.batch.names, ...names] },
    steps: change.steps.map((step) => (step.do === "apt" ? { ...step, names: [...step.names, ...names] } : step)),
  };
}

/** What is done as one is done by one user and fails, waits and is tried again as one. */
function batchKey(key: string, { node: { common } }: Wish): string {
  return JSON.stringify([key, common.become ?? "", common.ignoreErrors, common.timeout ?? 0, common.retries]);
}
