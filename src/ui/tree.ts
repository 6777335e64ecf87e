/**
 * Tree: a run, its hosts and their steps with timers, drawn by listr2 on a terminal. What needs nothing is only
 * counted. Lines that must stay (diffs, errors, warnings) pass above it.
 */
import { formatDuration } from "../core/duration.ts";
import { noCounts } from "../core/events.ts";
import type { Counts, Event, Listener, Outcome } from "../core/events.ts";
import { openBranches } from "./branches.ts";
import type { Branch } from "./branches.ts";
import { openCanvas } from "./canvas.ts";
import type { Drawing } from "./drawing.ts";
import type { Paint } from "./paint.ts";
import { progressText } from "./progress.ts";

export interface Tree extends Drawing {
  readonly listener: Listener;
  /** Too many hosts to draw their steps: the tree shows hosts at work and failed ones, steps are plain lines above it. */
  readonly crowded: boolean;
}

interface HostLine {
  readonly name: string;
  readonly branch: Branch;
  readonly started: number;
  readonly counts: Counts;
  /** By key; those that turned out to need nothing are gone. */
  readonly steps: Map<string, Branch>;
  says: string;
}

export async function openTree(terminal: NodeJS.WriteStream, paint: Paint): Promise<Tree> {
  const canvas = openCanvas(terminal);
  const hosts = new Map<string, HostLine>();
  const run: { title: string; hosts: number; started: number; ended?: Outcome } = {
    title: "",
    hosts: 0,
    started: Date.now(),
  };
  let crowded = false;

  const rootTitle = (): string => {
    const done = [...hosts.values()].filter(({ branch }) => branch.state !== "running").length;
    const count = run.hosts > 1 ? `${done}/${run.hosts} hosts` : "";
    return joined(paint.bold(run.title), count, paint.dim(formatDuration(Date.now() - run.started)));
  };
  const branches = await openBranches(canvas, paint, () => {
    branches.root.title = rootTitle();
    for (const host of hosts.values()) {
      if (host.branch.state === "running") {
        host.branch.title = joined(
          paint.host(host.name),
          host.says,
          paint.dim(formatDuration(Date.now() - host.started)),
        );
      }
    }
    if (crowded) branches.root.keep(shownHosts());
  });
  /** Hosts at work and failed ones, as many as there is room for. */
  const shownHosts = (): Branch[] => {
    const all = [...hosts.values()].map(({ branch }) => branch);
    const shown = (["running", "failed"] as const).flatMap((state) => all.filter((branch) => branch.state === state));
    return shown.slice(0, Math.max(4, canvas.rows - 2));
  };

  const hostOf = (name: string): HostLine => {
    const known = hosts.get(name);
    if (known !== undefined) return known;
    branches.start();
    const branch = branches.root.grow(paint.host(name));
    const host = { name, branch, started: Date.now(), counts: noCounts(), steps: new Map<string, Branch>(), says: "" };
    hosts.set(name, host);
    return host;
  };

  const endStep = (event: Extract<Event, { kind: "step.end" }>): void => {
    const host = hostOf(event.host);
    host.counts[event.outcome]++;
    host.says = `${event.index}/${event.total}`;
    if (crowded) return;
    if (event.outcome === "same" || event.outcome === "skipped") {
      host.steps.get(event.step)?.end(true, event.title);
      host.steps.delete(event.step);
      return host.branch.keep([...host.steps.values()]);
    }
    const step = host.steps.get(event.step) ?? host.branch.grow(event.title);
    host.steps.set(event.step, step);
    const why = event.reason ?? event.changes?.join("; ") ?? "";
    const time = event.ms > 0 ? formatDuration(event.ms) : "";
    const title = event.outcome === "pending" ? paint.yellow(`${event.title}  pending`) : event.title;
    step.end(
      event.outcome === "pending" ? "pending" : isFine(event.outcome),
      joined(title, paint.dim(why), paint.dim(time)),
    );
  };

  const endHost = (event: Extract<Event, { kind: "host.end" }>): void => {
    const host = hostOf(event.host);
    for (const step of host.steps.values()) step.end(false, step.title);
    const said = event.error === undefined ? countsText(event.counts ?? host.counts) : paint.red(event.error.code);
    host.branch.end(isFine(event.outcome), joined(paint.host(host.name), said, paint.dim(formatDuration(event.ms))));
  };

  return {
    listener(event) {
      switch (event.kind) {
        case "run.start":
          run.title = event.title;
          run.hosts = event.hosts.length;
          run.started = Date.now();
          crowded = event.hosts.length > 1 && event.hosts.length > canvas.rows / 4;
          return branches.start();
        case "host.start":
          hostOf(event.host);
          return;
        case "step.start": {
          const host = hostOf(event.host);
          host.says = crowded ? `${event.index}/${event.total} ${event.title}` : `${event.index}/${event.total}`;
          if (!crowded) host.steps.set(event.step, host.branch.grow(event.title));
          return;
        }
        case "step.end":
          return endStep(event);
        case "progress":
          hostOf(event.host).says = progressText(event);
          return;
        case "host.end":
          return endHost(event);
        case "run.end":
          run.ended = event.outcome;
          return;
        case "output":
        case "fold":
        case "note":
        case "tunnel.up":
        case "tunnel.lost":
        case "health":
        case "recovery":
        case "sync":
        case "sync.lost":
        case "job":
        case "result":
      }
    },
    get crowded() {
      return crowded;
    },
    above: branches.above,
    suspend: branches.suspend,
    async close() {
      for (const { branch, steps, name } of hosts.values()) {
        for (const step of steps.values()) step.end(false, step.title);
        branch.end(false, joined(paint.host(name), paint.dim("not finished")));
      }
      if (crowded)
        branches.root.keep([...hosts.values()].map(({ branch }) => branch).filter(({ state }) => state === "failed"));
      await branches.close(run.ended !== undefined && isFine(run.ended), rootTitle());
    },
  };
}

function isFine(outcome: Outcome): boolean {
  return outcome !== "failed" && outcome !== "cancelled";
}

function countsText(counts: Counts): string {
  const said = Object.entries(counts).filter(([, count]) => count > 0);
  return said.map(([outcome, count]) => `${count} ${outcome}`).join(", ");
}

function joined(...parts: readonly string[]): string {
  return parts.filter((part) => part !== "").join("  ");
}
