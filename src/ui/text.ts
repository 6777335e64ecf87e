/** Text: events as plain lines, for pipes, logs and dumb terminals: `[web1] 3/12 file /etc/x: changed`. */
import type { ErrorJson } from "../core/errors.ts";
import { bytesOf } from "../core/events.ts";
import type { Event, Listener, Outcome } from "../core/events.ts";
import { errorJsonText } from "./error.ts";
import { writeFold } from "./fold.ts";
import { healthLines } from "./health.ts";
import { prefixLines } from "./lines.ts";
import type { Write } from "./lines.ts";
import { noPaint } from "./paint.ts";
import type { Paint } from "./paint.ts";
import { createSummary } from "./summary.ts";
import { syncLines } from "./sync.ts";
import { tunnelLines } from "./tunnel.ts";

export interface TextLook {
  readonly write: Write;
  readonly paint?: { readonly stdout: Paint; readonly stderr: Paint } | undefined;
  readonly quiet: boolean;
  readonly verbose: boolean;
  readonly columns?: number | undefined;
  /** Steps and the end of the run are drawn by somebody else: only what a drawing has no room for is printed. */
  readonly isDrawn?: () => boolean;
}

type StepEnd = Extract<Event, { kind: "step.end" }>;

export interface Text {
  readonly listener: Listener;
  /** More than one target: program output is prefixed, else passed through as it comes. `run.start` says it too. */
  expect(hosts: number): void;
  /** One row per host; done at `run.end`, unless the run is drawn. */
  printSummary(): void;
  /** Was this error already printed for a host? */
  hasTold(error: ErrorJson): boolean;
}

export function openText(look: TextLook): Text {
  const { write, quiet, verbose } = look;
  const { stdout, stderr } = look.paint ?? { stdout: noPaint, stderr: noPaint };
  const lines = prefixLines(write, (host) => `[${stdout.host(host)}] `);
  const summary = createSummary();
  const told = new Map<string, Set<string>>();
  /** Their headings say how they ended. */
  const folded = new Set<string>();
  let many = false;

  const tell = (error: ErrorJson, host: string) => {
    // An interruption is said once, at the end, not once for each host.
    if (error.code === "run.cancelled") return;
    // A step that fails ends its host with the same error.
    if (told.get(wordsOf(error))?.has(host) === true) return;
    told.set(wordsOf(error), new Set([...(told.get(wordsOf(error)) ?? []), host]));
    write("stderr", errorJsonText({ host, ...error }, stderr));
  };

  const printStep = (event: StepEnd) => {
    const said = stepLines(event, stdout, verbose);
    if (look.isDrawn?.() === true && said.length === 1) return;
    write("stdout", said.map((line) => `${line}\n`).join(""));
  };
  const printSummary = () => {
    if (!quiet)
      for (const line of summary.lines({ paint: stdout, columns: look.columns })) write("stdout", `${line}\n`);
  };

  const listener: Listener = (event) => {
    summary.listener(event);
    switch (event.kind) {
      case "run.start":
        if (event.hosts.length > 0) many = event.hosts.length > 1;
        return;
      case "output": {
        const bytes = bytesOf(event);
        if (many) lines.push(event.host, event.stream, bytes);
        else write(event.stream, bytes);
        return;
      }
      case "fold":
        for (const host of event.hosts) folded.add(host);
        writeFold(write, event, { stdout, stderr });
        return;
      case "step.end":
        if (isShown(event, quiet, verbose)) printStep(event);
        if (event.error !== undefined) tell(event.error, event.host);
        if (event.stderr !== undefined && (verbose || event.outcome === "failed"))
          write("stderr", indented(event.stderr));
        return;
      case "note":
        if (event.level === "warn") write("stderr", `${stderr.yellow("warning:")} ${about(event.host)}${event.text}\n`);
        else if (!quiet) write("stderr", `${about(event.host)}${event.text}\n`);
        return;
      case "tunnel.up":
      case "tunnel.lost":
        for (const [stream, said] of tunnelLines(event, { stdout, stderr }, quiet)) write(stream, said);
        return;
      case "health":
      case "recovery":
        for (const [stream, said] of healthLines(event, { stdout, stderr }, look.isDrawn?.() === true))
          write(stream, said);
        return;
      case "sync":
      case "sync.lost":
        for (const [stream, said] of syncLines(event, { stdout, stderr }, quiet)) write(stream, said);
        return;
      case "job":
        // Of one that is left alone the id is the answer, for scripts too.
        if (event.attached) {
          if (!quiet) write("stderr", `${about(event.host)}job ${event.id}\n`);
        } else if (many) lines.push(event.host, "stdout", Buffer.from(`${event.id}\n`));
        else write("stdout", `${event.id}\n`);
        return;
      case "host.end":
        lines.flush(event.host);
        if (event.error !== undefined) tell(event.error, event.host);
        else if (many && event.exit !== undefined && event.exit !== 0 && !folded.has(event.host))
          write("stderr", `[${stderr.host(event.host)}] exit ${event.exit}\n`);
        return;
      case "run.end":
        lines.flush();
        if (look.isDrawn === undefined) printSummary();
        return;
      case "result":
        lines.flush();
        return;
      case "host.start":
      case "step.start":
      case "progress":
    }
  };
  return {
    listener,
    expect(hosts) {
      many = hosts > 1;
    },
    printSummary,
    hasTold: (error) => told.has(wordsOf(error)),
  };
}

function wordsOf(error: ErrorJson): string {
  return `${error.code} ${error.message}`;
}

/** Silence means "already so": what needed nothing is counted in the table, and named with --verbose. */
function isShown(event: StepEnd, quiet: boolean, verbose: boolean): boolean {
  if (event.outcome === "failed") return true;
  if (quiet) return false;
  return verbose || event.outcome === "changed" || event.outcome === "pending" || event.outcome === "cancelled";
}

export function stepLines(event: StepEnd, paint: Paint, verbose: boolean): string[] {
  const why =
    event.reason ?? (event.changes === undefined || event.changes.length === 0 ? undefined : event.changes.join("; "));
  const head = `[${paint.host(event.host)}] ${event.index}/${event.total} ${event.title}: ${paintOutcome(event.outcome, paint)}`;
  const shown = verbose || event.outcome === "failed" ? event.stdout : undefined;
  return [
    why === undefined ? head : `${head} ${paint.dim(`(${why})`)}`,
    ...diffLines(event.diff, paint),
    ...(shown ? [indented(shown).trimEnd()] : []),
  ];
}

export function diffLines(diff: string | undefined, paint: Paint): string[] {
  if (diff === undefined || diff === "") return [];
  return diff
    .replace(/\n$/, "")
    .split("\n")
    .map((line) => {
      if (line.startsWith("+")) return paint.green(line);
      if (line.startsWith("-")) return paint.red(line);
      return line.startsWith("@@") ? paint.cyan(line) : line;
    });
}

export function paintOutcome(outcome: Outcome, paint: Paint): string {
  if (outcome === "failed") return paint.red(outcome);
  if (outcome === "changed" || outcome === "pending") return paint.yellow(outcome);
  return outcome === "same" ? paint.green(outcome) : paint.dim(outcome);
}

function about(host: string | undefined): string {
  return host === undefined ? "" : `${host}: `;
}

function indented(text: string): string {
  return text === "" ? "" : `${text.replace(/\n$/, "").replaceAll(/^/gm, "    ")}\n`;
}
