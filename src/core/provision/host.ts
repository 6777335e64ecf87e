/**
 * One host: observe, plan, apply, stage by stage; then handlers; then a look whether it settled.
 * What is decided is in `plan.ts`, what is typed on the target in `dialects/`, who types it in `apply.ts`, what is told
 * of it in `report.ts`.
 */
import { createHash } from "node:crypto";
import { hostname } from "node:os";
import type { Context } from "../command.ts";
import { type Deed, lineWords } from "../deed.ts";
import { AmiError, asAmiError } from "../errors.ts";
import type { Facts, Probe } from "../facts.ts";
import { localUser } from "../runtime-compat.ts";
import { Secret } from "../secret.ts";
import type { Target } from "../targets.ts";
import { applyJobs, type ApplyOptions, type Job, type JobResult } from "./apply.ts";
import { evaluate } from "./blueprint/template.ts";
import { expandNode } from "./blueprint/expand.ts";
import { diffsOf } from "./diff.ts";
import { Journal } from "./journal.ts";
import { createObserver, type Observer } from "./observer.ts";
import { planStage, type ChangeItem, type Item } from "./plan.ts";
import { Report, type HostReport } from "./report.ts";
import { openSessions, userOf, type Sessions, type UserKey } from "./sessions.ts";
import type { Blueprint, Expansion, ResourceNode, Scope, Wish } from "./wish.ts";

export interface HostRequest {
  readonly blueprint: Blueprint;
  /** Values over the blueprint's own: --vars-file, --var. Inventory vars come between. */
  readonly vars: Readonly<Record<string, unknown>>;
  readonly check: boolean;
  readonly diff: boolean;
  /** Sorts by time; names the run's folder on the target. */
  readonly run: string;
}

export async function provisionHost(
  target: Target,
  request: HostRequest,
  ctx: Context,
  signal: AbortSignal,
): Promise<HostReport> {
  const run = new HostRun(target, request, ctx, signal);
  try {
    return await run.go();
  } finally {
    await run.close();
  }
}

interface Expanded {
  readonly node: ResourceNode;
  readonly expansion: Expansion | AmiError;
}

class HostRun {
  readonly #target: Target;
  readonly #request: HostRequest;
  readonly #ctx: Context;
  readonly #signal: AbortSignal;
  readonly #vars: Readonly<Record<string, unknown>>;
  readonly #secrets: readonly string[];
  readonly #sessions: Sessions;
  readonly #observer: Observer;
  readonly #report: Report;
  readonly #journal: Journal;
  /** Users whose lock this run holds. */
  readonly #lockers = new Set<UserKey>();

  constructor(target: Target, request: HostRequest, ctx: Context, signal: AbortSignal) {
    const { blueprint } = request;
    this.#target = target;
    this.#request = request;
    this.#ctx = ctx;
    this.#signal = signal;
    this.#vars = { ...blueprint.vars, ...target.vars, ...request.vars };
    this.#secrets = [...secretsIn(this.#vars)];
    this.#sessions = openSessions(target, ctx, signal);
    this.#observer = createObserver(this.#sessions, ctx.options.become?.user ?? "", signal);
    this.#journal = new Journal(blueprint);
    this.#report = new Report(blueprint.resources.length, {
      host: target.name,
      events: ctx.events,
      secrets: this.#secrets,
      changedWhen: (expression, result) => evaluate(expression, this.#scope(), { ...result }),
    });
  }

  async close(): Promise<void> {
    await this.#sessions.close();
  }

  async go(): Promise<HostReport> {
    const { blueprint, check } = this.#request;
    let error: AmiError | undefined;
    let settled: boolean | undefined;
    try {
      let rest: readonly ResourceNode[] = blueprint.resources;
      while (rest.length > 0) rest = await this.#runStage(rest);
      await this.#runHandlers();
      if (this.#lockers.size > 0 && !check) settled = await this.#settle();
    } catch (thrown) {
      error = asAmiError(thrown);
      if (error.code === "internal.bug") throw thrown;
    }
    return this.#report.close(error, { settled, roundTrips: this.#sessions.trips });
  }

  /** One observation, one plan, one application. Returns what must wait for the next stage. */
  async #runStage(nodes: readonly ResourceNode[]): Promise<readonly ResourceNode[]> {
    this.#report.stage++;
    const expanded = await this.#expand(nodes);
    return this.#planAndDo(expanded, await this.#observe(wishesOf(expanded)));
  }

  async #planAndDo(
    expanded: readonly Expanded[],
    facts: ((user: UserKey) => Facts) | undefined,
  ): Promise<readonly ResourceNode[]> {
    const plan = this.#plan(expanded, facts, this.#request.check);
    this.#report.expect(plan.items.length, plan.rest.length);
    if (plan.rest.length === expanded.length && plan.items.length === 0) throw this.#stuck(expanded, facts);
    await this.#carryOut(plan.items);
    return plan.rest;
  }

  /** Expressions that use `host.*` bring one look at the machine before they can be evaluated. */
  async #expand(nodes: readonly ResourceNode[]): Promise<Expanded[]> {
    await this.#permitUsers(nodes);
    const expanded = await this.#expandThem(nodes);
    await this.#permitLines(wishesOf(expanded));
    return expanded;
  }

  async #permitUsers(nodes: readonly ResourceNode[]): Promise<void> {
    const users = new Set(nodes.map((node) => userOf(node, this.#ctx)).filter((user) => user !== ""));
    for (const user of users) await this.#ctx.hosts.permit?.(this.#target, [{ does: "become", user }], user);
  }

  /** Words of the user travel in programs of ours; they are judged as if they went alone. */
  async #permitLines(wishes: readonly Wish[]): Promise<void> {
    for (const wish of wishes) {
      const deeds = (wish.type.lines?.(wish.wish) ?? []).map((line): Deed => ({ does: "run", argv: lineWords(line) }));
      const user = this.#user(wish);
      if (deeds.length > 0) await this.#ctx.hosts.permit?.(this.#target, deeds, user === "" ? undefined : user);
    }
  }

  async #expandThem(nodes: readonly ResourceNode[]): Promise<Expanded[]> {
    const attempt = (): Expanded[] => {
      const scope = this.#scope();
      return nodes.map((node) => ({ node, expansion: this.#expandOne(node, scope) }));
    };
    const expanded = attempt();
    const waits = expanded.some((e) => !(e.expansion instanceof AmiError) && e.expansion.state === "facts");
    if (this.#observer.os !== undefined || !waits) return expanded;
    await this.#observe([]);
    return attempt();
  }

  #expandOne(node: ResourceNode, scope: Scope): Expansion | AmiError {
    try {
      return expandNode(node, this.#request.blueprint, scope);
    } catch (error) {
      if (error instanceof AmiError) return error;
      throw error;
    }
  }

  /** Asks each user's shell the probes of their wishes; who is asked for the first time also tells of their journal. */
  async #observe(wishes: readonly Wish[], unlock?: string): Promise<(user: UserKey) => Facts> {
    const questions = new Map<UserKey, Probe[]>();
    const ask = (user: UserKey, probes: readonly Probe[]): void => {
      questions.set(user, [...(questions.get(user) ?? []), ...probes]);
    };
    // Each user has a lock of their own.
    if (unlock !== undefined) for (const user of this.#lockers) ask(user, []);
    if (this.#observer.os === undefined) ask(this.#ctx.options.become?.user ?? "", []);
    for (const wish of wishes) ask(this.#user(wish), wish.type.probes(wish.wish));
    const strangers = [...questions.keys()].filter((user) => !this.#observer.users().includes(user));
    for (const user of strangers) ask(user, [{ kind: "journal", blueprint: this.#request.blueprint.name }]);
    const facts = await this.#observer.ask(questions, { unlock });
    for (const user of strangers) this.#journal.read(user, facts(user));
    return facts;
  }

  #plan(
    nodes: readonly Expanded[],
    facts: ((user: UserKey) => Facts) | undefined,
    check: boolean,
  ): ReturnType<typeof planStage> {
    return planStage({
      nodes,
      factsOf: (wish) => facts?.(this.#user(wish)) ?? noFacts,
      osOf: (wish) => this.#observer.osOf(this.#user(wish)),
      check,
    });
  }

  /** Reports what needs nothing, applies what does, in the order of the blueprint. */
  async #carryOut(items: readonly Item[]): Promise<void> {
    const { check, diff } = this.#request;
    const refused = items.find((item) => item.kind === "refused" && !isIgnored(item));
    const diffs = diff
      ? await diffsOf(items, this.#observer, { userOf: (wish) => this.#user(wish), secrets: this.#secrets })
      : new Map<Item, string>();
    if (check || refused !== undefined) {
      for (const item of items) {
        if (item.kind !== "change") this.#tell(item);
        else if (!check) this.#report.untouched(item);
        else if (item.changes.every((change) => change.quiet === true)) this.#report.quiet(item);
        else {
          this.#journal.notify(item.wish.notify);
          this.#report.pending(item, diffs.get(item));
        }
      }
      if (refused?.kind === "refused" && !check) throw refused.error;
      return;
    }
    await this.#askBeforeLoss(items);
    await this.#apply(items, diffs);
  }

  /** Tells of every item in its turn, of a change when its result has come. */
  async #apply(items: readonly Item[], diffs: ReadonlyMap<Item, string>): Promise<void> {
    const jobs = new Map<number, ChangeItem>();
    for (const [index, item] of items.entries())
      if (item.kind === "change" && item.leader === undefined) jobs.set(index, item);
    const results = new Map<number, JobResult>();
    let told = 0;
    const tellReady = (): void => {
      for (; told < items.length; told++) {
        const item = items[told];
        if (item === undefined) return;
        if (item.kind !== "change") {
          this.#tell(item);
          continue;
        }
        const at =
          item.leader === undefined ? told : items.findIndex((i) => i.kind === "change" && i.wish === item.leader);
        const result = results.get(at);
        if (result === undefined) return;
        this.#tellApplied(item, result, diffs.get(item));
      }
    };
    tellReady();
    if (jobs.size === 0) return;
    for (const item of jobs.values()) this.#lockers.add(this.#user(item.wish));
    // A `changed_when` may fail once the program has run; the target knows nothing of it and would go on.
    const stop = new AbortController();
    const ok = await applyJobs(
      this.#sessions,
      [...jobs].map(([index, item]) => this.#job(index, item, items)),
      this.#applyOptions({
        onStart: (index) => {
          const item = jobs.get(index);
          if (item !== undefined) this.#report.start(item.wish);
        },
        onEnd: (result) => {
          results.set(result.index, result);
          tellReady();
          if (this.#report.fails) stop.abort();
        },
        onNote: (text) => this.#report.note(text),
        signal: AbortSignal.any([this.#signal, stop.signal]),
      }),
    ).catch((error: unknown) => {
      if (!stop.signal.aborted || this.#signal.aborted) throw error;
      return false;
    });
    if (!ok || this.#report.fails)
      throw new AmiError("apply.failed", this.#report.failure(), { host: this.#target.name });
  }

  #job(index: number, item: ChangeItem, items: readonly Item[]): Job {
    const { common } = item.wish.node;
    // What is done together is owed together.
    const led = items.flatMap((other) => (other.kind === "change" && other.leader === item.wish ? [other.wish] : []));
    return {
      index,
      user: this.#user(item.wish),
      steps: item.changes.flatMap((change) => [...change.steps]),
      guards: item.changes.flatMap((change) => change.unless ?? []),
      journal: this.#journal.entries([item.wish, ...led].flatMap((wish) => wish.notify)),
      clear: [],
      ignoreErrors: common.ignoreErrors,
      retries: common.retries,
      timeout: common.timeout,
    };
  }

  #applyOptions(listen: Pick<ApplyOptions, "onStart" | "onEnd" | "onNote"> & Partial<ApplyOptions>): ApplyOptions {
    const who = `${localUser().name}@${hostname()} (ami-node ${process.pid}, blueprint ${this.#request.blueprint.name})`;
    return { run: this.#run(), who: who.replaceAll(/\s+/g, " "), signal: this.#signal, ...listen };
  }

  #tell(item: Exclude<Item, ChangeItem>): void {
    switch (item.kind) {
      case "same":
        return this.#report.same(item.wish);
      case "skipped":
        return this.#report.skipped(item);
      case "later":
        return this.#report.later(item);
      case "refused":
        return this.#report.refused(item, isIgnored(item));
    }
  }

  #tellApplied(item: ChangeItem, result: JobResult, diff: string | undefined): void {
    // The target wrote them down before it began, whatever came of the change.
    if (result.exit !== "same") this.#journal.write(this.#user(item.wish), item.wish.notify);
    if (this.#report.applied(item, result, diff)) this.#journal.notify(item.wish.notify);
  }

  async #runHandlers(): Promise<void> {
    const due = this.#journal.due();
    if (due.length > 0) {
      const expanded = await this.#expand(due);
      const wishes = wishesOf(expanded);
      const asks = wishes.some((wish) => wish.type.probes(wish.wish).length > 0);
      let rest = await this.#planAndDo(expanded, asks ? await this.#observe(wishes) : undefined);
      while (rest.length > 0) rest = await this.#runStage(rest);
    }
    // Only now: a handler that failed, or was never reached, must be found by the next run.
    if (!this.#request.check) await this.#clearJournal();
  }

  async #clearJournal(): Promise<void> {
    for (const job of this.#journal.clearing()) {
      await applyJobs(this.#sessions, [job], this.#applyOptions({ onStart() {}, onEnd() {}, onNote() {} }));
      this.#lockers.add(job.user);
    }
  }

  /** Looks again: a plan that is not empty now says that resources undo each other, or that something else does. */
  async #settle(): Promise<boolean> {
    const expanded = (await this.#expand(this.#request.blueprint.resources)).map(({ node, expansion }): Expanded => {
      if (expansion instanceof AmiError || expansion.state !== "ready")
        return { node, expansion: { state: "skipped", reason: "" } };
      const wishes = expansion.wishes.filter((wish) => wish.type.alwaysRuns?.(wish.wish) !== true);
      return { node, expansion: { ...expansion, wishes } };
    });
    const facts = await this.#observe(wishesOf(expanded), this.#run());
    const unsettled = this.#plan(expanded, facts, true).items.flatMap((item) =>
      item.kind === "change" && !item.wish.node.common.ignoreErrors ? [item.wish.title] : [],
    );
    if (unsettled.length === 0) return true;
    this.#report.note(
      `did not settle: ${unsettled.join(", ")} would change again; another resource or program undoes it`,
    );
    return false;
  }

  async #askBeforeLoss(items: readonly Item[]): Promise<void> {
    const losses = items.flatMap((item) =>
      item.kind === "change" ? item.changes.flatMap((change) => change.destroys ?? []) : [],
    );
    if (losses.length > 0) await this.#ctx.confirm(`${this.#target.name}: ${losses.join("; ")}`);
  }

  #stuck(expanded: readonly Expanded[], facts: ((user: UserKey) => Facts) | undefined): AmiError {
    const why = this.#plan(expanded, facts, true).items.find((item) => item.kind === "later");
    return new AmiError(
      "plan.refused",
      `${why?.kind === "later" ? `${why.node.where}: ${why.reason}` : "a resource waits for something"}, and nothing that comes before it can bring that`,
      { host: this.#target.name },
    );
  }

  #user(wish: Wish): UserKey {
    return userOf(wish.node, this.#ctx);
  }

  #scope(): Scope {
    return {
      vars: this.#vars,
      hostName: this.#target.name,
      os: this.#observer.os,
      registered: this.#report.registered,
    };
  }

  /** One folder for each host, for homes that several hosts share. */
  #run(): string {
    return `${this.#request.run}-${createHash("sha256").update(this.#target.name).digest("hex").slice(0, 6)}`;
  }
}

/** `ignore_errors` covers what the target refuses, not what is wrong in the blueprint. */
function isIgnored({ node, error }: Extract<Item, { kind: "refused" }>): boolean {
  return node.common.ignoreErrors && error.code === "plan.refused";
}

function wishesOf(expanded: readonly Expanded[]): Wish[] {
  return expanded.flatMap(({ expansion }) =>
    !(expansion instanceof AmiError) && expansion.state === "ready" ? expansion.wishes : [],
  );
}

function* secretsIn(value: unknown): Generator<string> {
  if (value instanceof Secret) yield value.reveal();
  else if (Array.isArray(value)) for (const item of value) yield* secretsIn(item);
  else if (value !== null && typeof value === "object") for (const item of Object.values(value)) yield* secretsIn(item);
}

const noFacts: Facts = {
  get(probe) {
    throw new Error(`fact was not probed: ${probe.kind}`);
  },
};
