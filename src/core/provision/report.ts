/**
 * Report: what one host's run tells while it goes on, what its resources register for later ones, and what is said of
 * it at the end.
 */
import { AmiError, errorJson, type ErrorJson } from "../errors.ts";
import { noCounts, type Counts, type Events, type Outcome } from "../events.ts";
import { mask } from "../secret.ts";
import type { JobResult } from "./apply.ts";
import type { ChangeItem, Item } from "./plan.ts";
import type { Registered, ResourceNode, Wish } from "./wish.ts";

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

export interface ReportOptions {
  readonly host: string;
  readonly events: Events;
  /** Words that are shown as dots wherever they turn up. */
  readonly secrets: readonly string[];
  /** Evaluates `changed_when` with a program's result. */
  changedWhen(expression: string, result: Pick<Registered, "stdout" | "stderr" | "exit">): boolean;
}

export class Report {
  /** Results of `register` so far, by name. */
  readonly registered = new Map<string, Registered>();
  stage = 0;
  /** Something failed here that the target does not know of. */
  fails = false;
  /** How many resources and handlers there will be, as far as is known. */
  total: number;
  readonly #options: ReportOptions;
  readonly #resources: ResourceReport[] = [];
  readonly #started = new Map<string, number>();

  constructor(total: number, options: ReportOptions) {
    this.total = total;
    this.#options = options;
  }

  /** The next stage will tell of `items`, and `rest` wait behind it. */
  expect(items: number, rest: number): void {
    this.total = Math.max(this.total, this.#resources.length + items + rest);
  }

  note(text: string): void {
    this.#options.events.emit({ kind: "note", host: this.#options.host, level: "warn", text });
  }

  start(wish: Wish): void {
    this.#started.set(wish.key, Date.now());
    this.#options.events.emit({
      kind: "step.start",
      host: this.#options.host,
      step: wish.key,
      title: this.#hide(wish.title),
      index: this.#resources.length + 1,
      total: this.total,
    });
  }

  /** What needs no change, or is not changed now. */
  same(wish: Wish): void {
    this.#register(wish.node, nothingDone);
    this.#end(wish.key, wish.title, "same", { changes: [] });
  }

  skipped(item: Extract<Item, { kind: "skipped" }>): void {
    this.#register(item.node, { ...nothingDone, skipped: true });
    this.#end(item.node.where, titleOf(item.node), "skipped", { changes: [], reason: item.reason });
  }

  later(item: Extract<Item, { kind: "later" }>): void {
    this.#end(item.wish?.key ?? item.node.where, item.wish?.title ?? titleOf(item.node), "pending", {
      changes: [],
      reason: `known after stage ${this.stage}: ${item.reason}`,
    });
  }

  refused(item: Extract<Item, { kind: "refused" }>, ignored: boolean): void {
    if (ignored) this.#register(item.node, { ...nothingDone, failed: true, exit: 1, stderr: item.error.message });
    this.#end(item.wish?.key ?? item.node.where, item.wish?.title ?? titleOf(item.node), "failed", {
      changes: [],
      error: errorJson(item.error),
      ...(ignored ? { reason: "ignored" } : {}),
    });
  }

  /** With `--check`: what apply would do. */
  pending(item: ChangeItem, diff: string | undefined): void {
    const guarded = item.changes.some((change) => change.unless !== undefined);
    this.#end(item.wish.key, item.wish.title, "pending", {
      changes: summaries(item),
      ...withDiff(diff),
      ...(guarded
        ? {
            reason: `known after stage ${this.stage}: what comes before it may make its guard hold; it is asked again then`,
          }
        : {}),
    });
  }

  /** With `--check`: apply would run it, and count it as no change. */
  quiet(item: ChangeItem): void {
    this.#end(item.wish.key, item.wish.title, "skipped", {
      changes: [],
      reason: "runs every time, and counts as no change (changed_when: false)",
    });
  }

  /** The host is given up before anything was applied. */
  untouched(item: ChangeItem): void {
    this.#end(item.wish.key, item.wish.title, "skipped", {
      changes: [],
      reason: "not begun: another resource of this host cannot be planned",
    });
  }

  /** What came of a change. Returns whether something is different now, so that handlers are due. */
  applied(item: ChangeItem, result: JobResult, diff: string | undefined): boolean {
    const { wish } = item;
    const { node } = wish;
    const said = {
      ...(result.stdout === "" ? {} : { stdout: this.#hide(result.stdout) }),
      ...(result.stderr === "" ? {} : { stderr: this.#hide(result.stderr) }),
    };
    if (result.said !== undefined)
      this.note(`${this.#hide(wish.title)}: of ${result.said} bytes of output only the end is kept`);
    if (result.exit === "same") {
      this.#register(node, { ...nothingDone, stdout: result.stdout, stderr: result.stderr, skipped: true });
      this.#end(wish.key, wish.title, "same", { changes: [], reason: "already so when its turn came" });
      return false;
    }
    const done = { stdout: result.stdout, stderr: result.stderr, exit: result.exit };
    if (result.exit !== 0) {
      this.#register(node, { ...done, changed: false, skipped: false, failed: true });
      this.#end(wish.key, wish.title, "failed", {
        changes: summaries(item),
        ...said,
        error: errorJson(this.#failed(wish, done)),
        ...(node.common.ignoreErrors ? { reason: "ignored" } : {}),
      });
      return false;
    }
    const expression = (wish.wish as { changed_when?: unknown }).changed_when;
    let changed: boolean;
    try {
      changed = typeof expression !== "string" || this.#options.changedWhen(expression, done);
    } catch (error) {
      if (!(error instanceof AmiError)) throw error;
      const { host } = this.#options;
      const failure = new AmiError("apply.failed", `${wish.title}: changed_when ${this.#hide(error.message)}`, {
        host,
      });
      this.#register(node, { ...done, changed: true, skipped: false, failed: true });
      if (!node.common.ignoreErrors) this.fails = true;
      this.#end(wish.key, wish.title, "failed", {
        changes: summaries(item),
        ...said,
        error: errorJson(failure),
        ...(node.common.ignoreErrors ? { reason: "ignored" } : {}),
      });
      // It ran: what it may have changed, nobody can tell.
      return true;
    }
    this.#register(node, { ...done, changed, skipped: false, failed: false });
    this.#end(wish.key, wish.title, changed ? "changed" : "same", {
      changes: changed ? summaries(item) : [],
      ...said,
      ...withDiff(diff),
    });
    return changed;
  }

  /** Why the host stops: the words of the last failure that counts. */
  failure(): string {
    const failed = this.#resources.filter((report) => report.outcome === "failed" && report.reason === undefined);
    return failed.at(-1)?.error?.message ?? "a step failed";
  }

  close(
    error: AmiError | undefined,
    run: { readonly settled: boolean | undefined; readonly roundTrips: number },
  ): HostReport {
    const counts = noCounts();
    for (const report of this.#resources) counts[report.outcome]++;
    return {
      host: this.#options.host,
      outcome: this.#outcome(error, counts),
      counts,
      stages: this.stage,
      roundTrips: run.roundTrips,
      ...(run.settled === undefined ? {} : { settled: run.settled }),
      resources: this.#resources,
      ...(error === undefined ? {} : { error: errorJson(error) }),
    };
  }

  #outcome(error: AmiError | undefined, counts: Counts): Outcome {
    if (error?.code === "run.cancelled") return "cancelled";
    const fails = this.#resources.some((report) => report.outcome === "failed" && report.reason !== "ignored");
    if (error !== undefined || fails) return "failed";
    return counts.pending > 0 ? "pending" : counts.changed > 0 ? "changed" : "same";
  }

  #failed(wish: Wish, done: Pick<Registered, "stdout" | "stderr" | "exit">): AmiError {
    const { timeout } = wish.node.common;
    const why = done.exit === 124 && timeout !== undefined ? ` (timed out after ${timeout} s)` : "";
    const words = done.stderr.trim() || done.stdout.trim();
    return new AmiError(
      "apply.failed",
      `${wish.title}: exit code ${done.exit}${why}${words === "" ? "" : `: ${this.#hide(lastLines(words))}`}`,
      { host: this.#options.host },
    );
  }

  #end(key: string, title: string, outcome: Outcome, more: Partial<ResourceReport> & { changes: string[] }): void {
    const report: ResourceReport = {
      key,
      title: this.#hide(title),
      outcome,
      stage: this.stage,
      ...more,
      changes: more.changes.map((change) => this.#hide(change)),
    };
    this.#resources.push(report);
    const { stage: _stage, key: _key, ...event } = report;
    const started = this.#started.get(key);
    this.#options.events.emit({
      kind: "step.end",
      host: this.#options.host,
      step: key,
      index: this.#resources.length,
      total: this.total,
      ms: started === undefined ? 0 : Date.now() - started,
      ...event,
    });
  }

  /** With `each` one name stands for all items. */
  #register(node: ResourceNode, result: Registered): void {
    const name = node.common.register;
    if (name === undefined) return;
    const old = this.registered.get(name);
    this.registered.set(name, old === undefined ? result : joinResults(old, result));
  }

  #hide(text: string): string {
    return this.#options.secrets.length === 0 ? text : mask(text, this.#options.secrets);
  }
}

const nothingDone: Registered = { changed: false, skipped: false, failed: false, stdout: "", stderr: "", exit: 0 };

function joinResults(a: Registered, b: Registered): Registered {
  const join = (x: string, y: string): string => (x === "" ? y : `${x}${x.endsWith("\n") ? "" : "\n"}${y}`);
  return {
    changed: a.changed || b.changed,
    skipped: a.skipped && b.skipped,
    failed: a.failed || b.failed,
    stdout: join(a.stdout, b.stdout),
    stderr: join(a.stderr, b.stderr),
    exit: Math.max(a.exit, b.exit),
  };
}

function withDiff(diff: string | undefined): { diff?: string } {
  return diff === undefined ? {} : { diff };
}

function titleOf(node: ResourceNode): string {
  const value = node.fields[node.type.type];
  return `${node.type.type} ${typeof value === "string" ? value : node.where}`;
}

function summaries(item: ChangeItem): string[] {
  return item.changes.map((change) => change.summary);
}

function lastLines(text: string): string {
  return text.split("\n").slice(-8).join("\n");
}
