/**
 * One host: observe, plan, apply, stage by stage; then handlers; then a look whether it settled.
 * What is decided is in `plan.ts`, what is typed on the target in `dialects/`, who types it in `apply.ts`.
 */
import { createHash } from "node:crypto";
import { hostname } from "node:os";
import type { Context } from "../command.ts";
import { AmiError, asAmiError, errorJson, type ErrorJson } from "../errors.ts";
import { noCounts, type Counts, type Outcome } from "../events.ts";
import type { Facts, OsFacts, Probe } from "../facts.ts";
import type { Step } from "../resource.ts";
import { localUser } from "../runtime-compat.ts";
import { mask, Secret } from "../secret.ts";
import type { Target } from "../targets.ts";
import { applyJobs, type Job, type JobResult } from "./apply.ts";
import { evaluate } from "./blueprint/template.ts";
import { expandNode } from "./blueprint/expand.ts";
import { unifiedDiff } from "./diff.ts";
import { observe } from "./observe.ts";
import { planStage, type Item } from "./plan.ts";
import { journalName } from "./probes/journal.ts";
import { openSessions, userOf, type Sessions, type UserKey } from "./sessions.ts";
import type { Blueprint, Expansion, Registered, ResourceNode, Scope, Wish } from "./wish.ts";

export interface HostRequest {
  readonly blueprint: Blueprint;
  /** Values over the blueprint's own: --vars-file, --var. Inventory vars come between. */
  readonly vars: Readonly<Record<string, unknown>>;
  readonly check: boolean;
  readonly diff: boolean;
  /** Sorts by time; names the run's folder on the target. */
  readonly run: string;
}

export interface ResourceReport {
  readonly key: string;
  readonly title: string;
  readonly outcome: Outcome;
  readonly changes: readonly string[];
  readonly diff?: string;
  readonly reason?: string;
  readonly stage: number;
  readonly stdout?: string;
  readonly stderr?: string;
  readonly error?: ErrorJson;
}

export interface HostReport {
  readonly host: string;
  readonly outcome: Outcome;
  readonly counts: Counts;
  readonly stages: number;
  /** Programs sent and files put, each one round trip; the login not counted. */
  readonly roundTrips: number;
  readonly settled?: boolean;
  readonly resources: readonly ResourceReport[];
  readonly error?: ErrorJson;
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

class HostRun {
  readonly #target: Target;
  readonly #request: HostRequest;
  readonly #ctx: Context;
  readonly #signal: AbortSignal;
  readonly #sessions: Sessions;
  readonly #reports: ResourceReport[] = [];
  readonly #registered = new Map<string, Registered>();
  readonly #notified = new Set<string>();
  /** Handlers that stand in the journal of each user: owed until they ran, or turned out not to be due. */
  readonly #journal = new Map<UserKey, Set<string>>();
  readonly #masks: readonly string[];
  readonly #started = new Map<string, number>();
  #os: OsFacts | undefined;
  #osByUser = new Map<UserKey, OsFacts>();
  #stage = 0;
  #total: number;
  readonly #lockers = new Set<UserKey>();

  constructor(target: Target, request: HostRequest, ctx: Context, signal: AbortSignal) {
    this.#target = target;
    this.#request = request;
    this.#ctx = ctx;
    this.#signal = signal;
    this.#sessions = openSessions(target, ctx, signal);
    this.#total = request.blueprint.resources.length;
    this.#masks = [...secretsIn(this.#vars())];
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
    return this.#report(error, settled);
  }

  /** One observation, one plan, one application. Returns what must wait for the next stage. */
  async #runStage(nodes: readonly ResourceNode[]): Promise<readonly ResourceNode[]> {
    this.#stage++;
    const { check } = this.#request;
    const expanded = await this.#expand(nodes);
    const wishes = wishesOf(expanded);
    const first = this.#stage === 1;
    const facts = await this.#observe(
      wishes,
      first ? [{ kind: "journal", blueprint: this.#request.blueprint.name }] : [],
    );
    if (first) this.#readJournal(facts);
    // The first observation may have brought the facts that some expressions waited for.
    const plan = planStage({
      nodes: expanded,
      factsOf: (wish) => facts(this.#user(wish)),
      osOf: (wish) => this.#osOf(this.#user(wish)),
      check,
    });
    this.#total = Math.max(this.#total, this.#reports.length + plan.items.length + plan.rest.length);
    if (plan.rest.length === nodes.length && plan.items.length === 0) throw this.#stuck(expanded, facts);
    await this.#carryOut(plan.items);
    return plan.rest;
  }

  async #expand(nodes: readonly ResourceNode[]): Promise<{ node: ResourceNode; expansion: Expansion | AmiError }[]> {
    const attempt = (): { node: ResourceNode; expansion: Expansion | AmiError }[] => {
      const scope = this.#scope();
      return nodes.map((node) => ({ node, expansion: this.#expandOne(node, scope) }));
    };
    let expanded = attempt();
    if (
      this.#os === undefined &&
      expanded.some((e) => !(e.expansion instanceof AmiError) && e.expansion.state === "facts")
    ) {
      await this.#observe([], []);
      expanded = attempt();
    }
    return expanded;
  }

  #expandOne(node: ResourceNode, scope: Scope): Expansion | AmiError {
    try {
      return expandNode(node, this.#request.blueprint, scope);
    } catch (error) {
      if (error instanceof AmiError) return error;
      throw error;
    }
  }

  /** Asks each user's shell its probes, all at once. The answer to a wish is found by its user. */
  async #observe(wishes: readonly Wish[], extra: readonly Probe[], unlock?: string): Promise<(user: UserKey) => Facts> {
    const byUser = new Map<UserKey, Probe[]>();
    const main = this.#ctx.options.become?.user ?? "";
    // Each user has a lock of their own.
    if (unlock !== undefined) for (const user of this.#lockers) byUser.set(user, []);
    // `host.*` is the main user's, also where every resource names another one.
    if (this.#os === undefined || extra.length > 0) byUser.set(main, [...extra]);
    for (const wish of wishes) {
      const user = this.#user(wish);
      const probes = byUser.get(user) ?? [...extra];
      probes.push(...wish.type.probes(wish.wish));
      byUser.set(user, probes);
    }
    const answers = new Map<UserKey, Facts>();
    await Promise.all(
      [...byUser].map(async ([user, probes]) => {
        const os = !this.#osByUser.has(user);
        const seen = await this.#lookTwice(user, probes, { os, unlock });
        if (seen.os !== undefined) this.#osByUser.set(user, seen.os);
        answers.set(user, seen.facts);
      }),
    );
    this.#os ??= this.#osByUser.get(main);
    return (user) => {
      const facts = answers.get(user);
      if (facts === undefined) throw new Error(`nobody asked as ${user}`);
      return facts;
    };
  }

  /** Looking changes nothing, so a connection lost while looking is made again once. */
  async #lookTwice(
    user: UserKey,
    probes: readonly Probe[],
    options: { os: boolean; unlock: string | undefined },
  ): ReturnType<typeof observe> {
    try {
      return await observe(await this.#sessions.get(user), probes, options);
    } catch (error) {
      if (asAmiError(error).code !== "ssh.lost" || this.#signal.aborted) throw error;
      return observe(await this.#sessions.reopen(user), probes, options);
    }
  }

  #readJournal(facts: (user: UserKey) => Facts): void {
    for (const user of this.#osByUser.keys()) {
      const { handlers } = facts(user).get({ kind: "journal", blueprint: this.#request.blueprint.name });
      for (const handler of handlers) {
        this.#write(user, handler);
        if (this.#request.blueprint.handlers.has(handler)) this.#notified.add(handler);
      }
    }
  }

  #write(user: UserKey, handler: string): void {
    const owed = this.#journal.get(user) ?? new Set();
    owed.add(handler);
    this.#journal.set(user, owed);
  }

  /** Reports what needs nothing, applies what does, in the order of the blueprint. */
  async #carryOut(items: readonly Item[]): Promise<void> {
    const refused = items.find((item) => item.kind === "refused");
    const diffs = this.#request.diff ? await this.#diffs(items) : new Map<Item, string>();
    if (this.#request.check || refused !== undefined) {
      for (const item of items) this.#tell(item, diffs.get(item), refused !== undefined && !this.#request.check);
      if (refused !== undefined && !this.#request.check && refused.kind === "refused") throw refused.error;
      return;
    }
    await this.#askBeforeLoss(items);
    const jobs = new Map<number, Extract<Item, { kind: "change" }>>();
    for (const [index, item] of items.entries())
      if (item.kind === "change" && item.leader === undefined) jobs.set(index, item);
    const results = new Map<number, JobResult>();
    let told = 0;
    /** Tells everything up to the first change whose result is not here yet. */
    const tellReady = (): void => {
      for (; told < items.length; told++) {
        const item = items[told];
        if (item === undefined) return;
        if (item.kind !== "change") {
          this.#tell(item, undefined, false);
          continue;
        }
        const at =
          item.leader === undefined ? told : items.findIndex((i) => i.kind === "change" && i.wish === item.leader);
        const result = results.get(at);
        if (result === undefined) return;
        this.#tellResult(item, result, diffs.get(item));
      }
    };
    if (jobs.size > 0) {
      for (const item of jobs.values()) this.#lockers.add(this.#user(item.wish));
      tellReady();
      const ok = await applyJobs(
        this.#sessions,
        [...jobs].map(([index, item]) => this.#job(index, item, items)),
        {
          run: this.#run(),
          who: this.#who(),
          last: false,
          signal: this.#signal,
          onStart: (index) => {
            const item = jobs.get(index);
            if (item !== undefined) this.#tellStart(item.wish);
          },
          onEnd: (result) => {
            results.set(result.index, result);
            tellReady();
          },
          onNote: (text) => this.#ctx.events.emit({ kind: "note", host: this.#target.name, level: "warn", text }),
        },
      );
      if (!ok) throw new AmiError("apply.failed", this.#failure(), { host: this.#target.name });
    }
    tellReady();
  }

  #job(index: number, item: Extract<Item, { kind: "change" }>, items: readonly Item[]): Job {
    const { common } = item.wish.node;
    const steps: Step[] = item.changes.flatMap((change) => [...change.steps]);
    const guard = item.changes.find((change) => change.unless !== undefined)?.unless;
    const { name } = this.#request.blueprint;
    // What is done together is owed together.
    const led = items.flatMap((other) => (other.kind === "change" && other.leader === item.wish ? [other.wish] : []));
    return {
      index,
      user: this.#user(item.wish),
      steps,
      ...(guard === undefined ? {} : { guard }),
      journal: [...new Set([item.wish, ...led].flatMap((wish) => wish.notify))].map((handler) =>
        journalName(name, handler),
      ),
      clear: [],
      ignoreErrors: common.ignoreErrors,
      retries: common.retries,
      timeout: common.timeout,
    };
  }

  /** Handlers of this run and those an interrupted run still owes, once each, in the order of the blueprint. */
  async #runHandlers(): Promise<void> {
    const { blueprint, check } = this.#request;
    const due = [...blueprint.handlers].filter(([name]) => this.#notified.has(name));
    if (due.length > 0) {
      const expanded = await this.#expand(due.map(([, node]) => node));
      const wishes = wishesOf(expanded);
      const facts = wishes.some((wish) => wish.type.probes(wish.wish).length > 0)
        ? await this.#observe(wishes, [])
        : undefined;
      const plan = planStage({
        nodes: expanded,
        factsOf: (wish) => facts?.(this.#user(wish)) ?? noFacts,
        osOf: (wish) => this.#osOf(this.#user(wish)),
        check,
      });
      this.#total += plan.items.length;
      await this.#carryOut(plan.items);
    }
    if (!check) await this.#clearJournal();
  }

  /** Only now: a handler that failed, or was never reached, must be found by the next run. */
  async #clearJournal(): Promise<void> {
    for (const [user, handlers] of this.#journal) {
      const clear = [...handlers].map((handler) => journalName(this.#request.blueprint.name, handler));
      const job: Job = {
        index: -1,
        user,
        steps: [],
        journal: [],
        clear,
        ignoreErrors: false,
        retries: 0,
        timeout: undefined,
      };
      await applyJobs(this.#sessions, [job], {
        run: this.#run(),
        who: this.#who(),
        last: false,
        signal: this.#signal,
        onStart() {},
        onEnd() {},
        onNote() {},
      });
      this.#lockers.add(user);
    }
  }

  /** Looks again: a plan that is not empty now says that resources undo each other, or that something else does. */
  async #settle(): Promise<boolean> {
    const expanded = await this.#expand(this.#request.blueprint.resources);
    const wishes = wishesOf(expanded).filter((wish) => wish.type.alwaysRuns?.(wish.wish) !== true);
    const facts = await this.#observe(wishes, [], this.#run());
    const plan = planStage({
      nodes: expanded.map(({ node, expansion }) => ({
        node,
        expansion:
          expansion instanceof AmiError || expansion.state !== "ready"
            ? ({ state: "skipped", reason: "" } as const)
            : { ...expansion, wishes: expansion.wishes.filter((w) => wishes.includes(w)) },
      })),
      factsOf: (wish) => facts(this.#user(wish)),
      osOf: (wish) => this.#osOf(this.#user(wish)),
      check: true,
    });
    const unsettled = plan.items.flatMap((item) =>
      item.kind === "change" && !item.wish.node.common.ignoreErrors ? [item.wish.title] : [],
    );
    if (unsettled.length === 0) return true;
    this.#ctx.events.emit({
      kind: "note",
      host: this.#target.name,
      level: "warn",
      text: `did not settle: ${unsettled.join(", ")} would change again; another resource or program undoes it`,
    });
    return false;
  }

  async #askBeforeLoss(items: readonly Item[]): Promise<void> {
    const losses = items.flatMap((item) =>
      item.kind === "change" ? item.changes.flatMap((change) => change.destroys ?? []) : [],
    );
    if (losses.length > 0) await this.#ctx.confirm(`${this.#target.name}: ${losses.join("; ")}`);
  }

  /** Old contents of all files that would change, in one more round trip. */
  async #diffs(items: readonly Item[]): Promise<Map<Item, string>> {
    const wanted = items.flatMap((item) =>
      item.kind === "change"
        ? item.changes.flatMap((change) =>
            change.diff === undefined ? [] : [{ item, user: this.#user(item.wish), diff: change.diff }],
          )
        : [],
    );
    const out = new Map<Item, string>();
    const byUser = Map.groupBy(wanted, (w) => w.user);
    for (const [user, list] of byUser) {
      const shown = list.filter((w) => !w.item.wish.secret);
      for (const w of list)
        if (w.item.wish.secret) out.set(w.item, `--- ${w.diff.path}\n+++ ${w.diff.path}\nholds a secret: not shown\n`);
      if (shown.length === 0) continue;
      const { facts } = await observe(
        await this.#sessions.get(user),
        shown.map((w) => ({ kind: "content", path: w.diff.path })),
        { os: false },
      );
      for (const w of shown) {
        const text = await unifiedDiff(w.diff.path, facts.get({ kind: "content", path: w.diff.path }), w.diff.after);
        if (text !== undefined) out.set(w.item, (out.get(w.item) ?? "") + mask(text, this.#masks));
      }
    }
    return out;
  }

  #tellStart(wish: Wish): void {
    this.#started.set(wish.key, Date.now());
    this.#ctx.events.emit({
      kind: "step.start",
      host: this.#target.name,
      step: wish.key,
      title: this.#hide(wish.title),
      index: this.#reports.length + 1,
      total: this.#total,
    });
  }

  /** `untouched`: the host is given up before anything was applied. */
  #tell(item: Item, diff: string | undefined, untouched: boolean): void {
    switch (item.kind) {
      case "same":
        return this.#end(item.wish.key, item.wish.title, "same", { changes: [] }, item.wish);
      case "skipped":
        this.#register(item.node, { changed: false, skipped: true, failed: false, stdout: "", stderr: "", exit: 0 });
        return this.#end(item.node.where, titleOf(item.node), "skipped", { changes: [], reason: item.reason });
      case "later":
        return this.#end(item.wish?.key ?? item.node.where, item.wish?.title ?? titleOf(item.node), "pending", {
          changes: [],
          reason: `known after stage ${this.#stage}: ${item.reason}`,
        });
      case "refused":
        return this.#end(item.wish?.key ?? item.node.where, item.wish?.title ?? titleOf(item.node), "failed", {
          changes: [],
          error: errorJson(item.error),
        });
      case "change":
        if (untouched)
          return this.#end(item.wish.key, item.wish.title, "skipped", {
            changes: [],
            reason: "not begun: another resource of this host cannot be planned",
          });
        for (const handler of item.wish.notify) this.#notified.add(handler);
        return this.#end(item.wish.key, item.wish.title, "pending", {
          changes: summaries(item),
          ...(diff === undefined ? {} : { diff }),
        });
    }
  }

  #tellResult(item: Extract<Item, { kind: "change" }>, result: JobResult, diff: string | undefined): void {
    const { wish } = item;
    const said = {
      ...(result.stdout === "" ? {} : { stdout: this.#hide(result.stdout) }),
      ...(result.stderr === "" ? {} : { stderr: this.#hide(result.stderr) }),
    };
    if (result.exit !== "same") for (const handler of wish.notify) this.#write(this.#user(wish), handler);
    const registered: Registered = {
      changed: true,
      skipped: false,
      failed: false,
      stdout: result.stdout,
      stderr: result.stderr,
      exit: result.exit === "same" ? 0 : result.exit,
    };
    if (result.exit === "same") {
      this.#register(wish.node, { ...registered, changed: false, skipped: true });
      return this.#end(wish.key, wish.title, "same", { changes: [], reason: "already so when its turn came" });
    }
    if (result.exit !== 0) {
      this.#register(wish.node, { ...registered, changed: false, failed: true });
      const words = result.stderr.trim() || result.stdout.trim();
      const error = new AmiError(
        "apply.failed",
        `${wish.title}: exit code ${result.exit}${result.exit === 124 && wish.node.common.timeout !== undefined ? ` (timed out after ${wish.node.common.timeout} s)` : ""}${words === "" ? "" : `: ${this.#hide(lastLines(words))}`}`,
        { host: this.#target.name },
      );
      return this.#end(wish.key, wish.title, "failed", {
        changes: summaries(item),
        ...said,
        error: errorJson(error),
        ...(wish.node.common.ignoreErrors ? { reason: "ignored" } : {}),
      });
    }
    const changedWhen = (wish.wish as { changed_when?: unknown }).changed_when;
    const changed =
      typeof changedWhen === "string"
        ? Boolean(
            evaluate(changedWhen, this.#scope(), { stdout: result.stdout, stderr: result.stderr, exit: result.exit }),
          )
        : true;
    this.#register(wish.node, { ...registered, changed });
    if (changed) for (const handler of wish.notify) this.#notified.add(handler);
    this.#end(wish.key, wish.title, changed ? "changed" : "same", {
      changes: changed ? summaries(item) : [],
      ...said,
      ...(diff === undefined ? {} : { diff }),
    });
  }

  #end(
    key: string,
    title: string,
    outcome: Outcome,
    more: Partial<ResourceReport> & { changes: readonly string[] },
    wish?: Wish,
  ): void {
    if (wish !== undefined)
      this.#register(wish.node, { changed: false, skipped: false, failed: false, stdout: "", stderr: "", exit: 0 });
    const report: ResourceReport = {
      key,
      title: this.#hide(title),
      outcome,
      stage: this.#stage,
      ...more,
      changes: more.changes.map((c) => this.#hide(c)),
    };
    this.#reports.push(report);
    const { stage: _stage, key: _key, ...event } = report;
    const started = this.#started.get(key);
    this.#ctx.events.emit({
      kind: "step.end",
      host: this.#target.name,
      step: key,
      index: this.#reports.length,
      total: this.#total,
      ms: started === undefined ? 0 : Date.now() - started,
      ...event,
    });
  }

  #register(node: ResourceNode, result: Registered): void {
    const name = node.common.register;
    if (name === undefined) return;
    const old = this.#registered.get(name);
    // With `each` one name stands for all items.
    const join = (a: string, b: string): string => (a === "" ? b : `${a}${a.endsWith("\n") ? "" : "\n"}${b}`);
    this.#registered.set(
      name,
      old === undefined
        ? result
        : {
            changed: old.changed || result.changed,
            skipped: old.skipped && result.skipped,
            failed: old.failed || result.failed,
            stdout: join(old.stdout, result.stdout),
            stderr: join(old.stderr, result.stderr),
            exit: Math.max(old.exit, result.exit),
          },
    );
  }

  #failure(): string {
    const failed = this.#reports.filter((report) => report.outcome === "failed" && report.reason === undefined);
    return failed.at(-1)?.error?.message ?? "a step failed";
  }

  #stuck(
    expanded: readonly { node: ResourceNode; expansion: Expansion | AmiError }[],
    facts: (user: UserKey) => Facts,
  ): AmiError {
    const plan = planStage({
      nodes: expanded,
      factsOf: (wish) => facts(this.#user(wish)),
      osOf: (wish) => this.#osOf(this.#user(wish)),
      check: true,
    });
    const why = plan.items.find((item) => item.kind === "later");
    return new AmiError(
      "plan.refused",
      `${why?.kind === "later" ? `${why.node.where}: ${why.reason}` : "a resource waits for something"}, and nothing that comes before it can bring that`,
      { host: this.#target.name },
    );
  }

  #report(error: AmiError | undefined, settled: boolean | undefined): HostReport {
    const counts = noCounts();
    for (const report of this.#reports) counts[report.outcome]++;
    const failed = error !== undefined;
    const outcome: Outcome = failed
      ? error.code === "run.cancelled"
        ? "cancelled"
        : "failed"
      : counts.pending > 0
        ? "pending"
        : counts.changed > 0
          ? "changed"
          : "same";
    const fails = this.#reports.some((report) => report.outcome === "failed" && report.reason !== "ignored");
    return {
      host: this.#target.name,
      outcome: fails && outcome !== "cancelled" ? "failed" : outcome,
      counts,
      stages: this.#stage,
      roundTrips: this.#sessions.trips,
      ...(settled === undefined ? {} : { settled }),
      resources: this.#reports,
      ...(error === undefined ? {} : { error: errorJson(error) }),
    };
  }

  #user(wish: Wish): UserKey {
    return userOf(wish.node, this.#ctx);
  }

  #osOf(user: UserKey): OsFacts {
    const os = this.#osByUser.get(user) ?? this.#os;
    if (os === undefined) throw new Error("facts were not read");
    return os;
  }

  #vars(): Record<string, unknown> {
    return { ...this.#request.blueprint.vars, ...this.#target.vars, ...this.#request.vars };
  }

  #scope(): Scope {
    return { vars: this.#vars(), hostName: this.#target.name, os: this.#os, registered: this.#registered };
  }

  #hide(text: string): string {
    return this.#masks.length === 0 ? text : mask(text, this.#masks);
  }

  /** One folder for each host, for homes that several hosts share. */
  #run(): string {
    return `${this.#request.run}-${createHash("sha256").update(this.#target.name).digest("hex").slice(0, 6)}`;
  }

  #who(): string {
    return `${localUser().name}@${hostname()} (ami-node ${process.pid}, blueprint ${this.#request.blueprint.name})`.replaceAll(
      /\s+/g,
      " ",
    );
  }
}

function wishesOf(expanded: readonly { expansion: Expansion | AmiError }[]): Wish[] {
  return expanded.flatMap(({ expansion }) =>
    !(expansion instanceof AmiError) && expansion.state === "ready" ? expansion.wishes : [],
  );
}

function titleOf(node: ResourceNode): string {
  const value = node.fields[node.type.type];
  return `${node.type.type} ${typeof value === "string" ? value : node.where}`;
}

function summaries(item: Extract<Item, { kind: "change" }>): string[] {
  return item.changes.map((change) => change.summary);
}

function lastLines(text: string): string {
  return text.split("\n").slice(-8).join("\n");
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
