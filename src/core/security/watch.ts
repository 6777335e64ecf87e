/** Watch: one run of a command under the eyes of the policy and the audit log. */
import { basename } from "node:path";
import { quoteArgv } from "../argv.ts";
import type { Command } from "../command.ts";
import type { Deed, Listener } from "../deed.ts";
import { AmiError, asAmiError } from "../errors.ts";
import type { Event } from "../events.ts";
import { exitStatus } from "../host.ts";
import type { DeedEnd, Doer, Watch } from "../hosts/watched.ts";
import { whyUnreadable } from "../unreadable.ts";
import type { Entry } from "./audit/line.ts";
import type { AuditLog } from "./audit/log.ts";
import { keptParams, keptWords } from "./audit/params.ts";
import { type Verdict, judgeAll } from "./policy/judge.ts";
import type { Policy } from "./policy/policy.ts";

export interface WatchWish {
  readonly command: Pick<Command, "name" | "effect" | "input" | "programs">;
  readonly input: Readonly<Record<string, unknown>>;
  /** Names of the targets, where they are known beforehand. */
  readonly targets: readonly string[];
  /** The user of this machine. */
  readonly by: string;
  readonly policies: readonly Policy[];
  readonly log?: AuditLog | undefined;
  /** Folder of the recordings that a policy asks for. */
  readonly recordings: string;
  /** Hides the secrets of this run. */
  mask(text: string): string;
  note(level: "info" | "warn", text: string, host?: string): void;
}

export interface Watching extends Watch {
  /** Writes down what is about to happen. Rejects with `audit.failed` where a policy requires that. */
  begin(hosts: readonly string[]): Promise<void>;
  /** Subscriber of the run's events: steps of a provisioning are actions too. */
  listener(event: Event): void;
  /** The last line, and all of them on the disk. Rejects as `begin` does. */
  end(end: { readonly exit: number; readonly error?: unknown; readonly ms: number }): Promise<void>;
}

export function openWatch(wish: WatchWish): Watching {
  const { command, policies, log, mask } = wish;
  const programs = command.programs ?? (command.effect === "read" ? "own" : "user");
  const isRequired = policies.some(({ auditRequired }) => auditRequired);
  const hosts = new Set<string>();
  let hasBegun = false;
  let failure: AmiError | undefined;

  const append = async (...entries: readonly Entry[]): Promise<void> => {
    try {
      await log?.append(...entries);
    } catch (cause) {
      fail(cause);
    }
  };
  /** Said once. */
  const fail = (cause: unknown): void => {
    if (failure !== undefined) return;
    failure = new AmiError("audit.failed", `the audit log cannot be written: ${whyUnreadable(cause)}`, {
      hint: isRequired ? "the policy requires it" : "ami-node config set audit.enabled false does without it",
      cause,
    });
    if (!isRequired) wish.note("warn", failure.message);
  };
  const insist = (): void => {
    if (isRequired && failure !== undefined) throw failure;
  };

  const decide = (doer: Doer, deed: Deed): Verdict => {
    const { target, address, login, as } = doer;
    const names = [target.name, ...(target.kind === "ssh" ? [target.host] : []), address ?? target.name];
    const about = { verb: command.name, programs, names, groups: target.groups ?? [], by: wish.by, login, as };
    return judgeAll(policies, about, deed);
  };
  const judge = (doer: Doer, deed: Deed): void => {
    hosts.add(doer.target.name);
    insist();
    // A tunnel has an end here, which nobody named as a target.
    const isNear = doer.target.kind === "local" && programs === "own" && !wish.targets.includes(doer.target.name);
    if (policies.length === 0 || isNear) return;
    const verdict = decide(doer, deed);
    const unrecorded = verdict.allowed && deed.does === "run" && deed.pty === true ? verdict.record : undefined;
    if (verdict.allowed && unrecorded === undefined) return;
    const { target, login, as } = doer;
    void append({
      kind: "denied",
      host: target.name,
      login,
      as,
      does: deed.does,
      argv: "argv" in deed && deed.argv !== undefined ? keptWords(deed.argv.map(mask)) : undefined,
      rule: verdict.allowed ? unrecorded?.at : verdict.rule?.at,
    });
    if (verdict.allowed) {
      const what = `${describe(command.name, deed)} under a terminal is forbidden: it would not be recorded`;
      const hint = `${unrecorded?.at} asks for recordings; ami-node ssh connect --run makes one`;
      throw new AmiError("policy.denied", what, { host: target.name, hint });
    }
    throw refusal(command.name, target.name, deed, verdict);
  };

  const runs = ({ target, login, as }: Doer, argv: readonly string[] | undefined): ((end: DeedEnd) => void) => {
    const started = performance.now();
    let isTold = false;
    return (end) => {
      if (isTold) return;
      isTold = true;
      const result =
        "error" in end
          ? { error: asAmiError(end.error).code }
          : { exit: exitStatus(end.exit), signal: end.exit.signal };
      const words = argv === undefined ? undefined : keptWords(argv.map(mask));
      const ms = Math.round(performance.now() - started);
      void append({ kind: "command", host: target.name, login, as, argv: words, ...result, ms });
    };
  };

  const listens: Watch["listens"] = async (doer, terminal, argv): Promise<Listener | undefined> => {
    const verdict = decide(doer, { does: "terminal", argv });
    if (!verdict.allowed || verdict.record === undefined) return undefined;
    // Whatever the user records for themselves: that file is theirs, wherever it lies and whatever becomes of it.
    const [{ beginRecording }, { recordedTerminal }] = await Promise.all([
      import("../recording/begin.ts"),
      import("../recording/terminal.ts"),
    ]);
    const host = doer.target.name;
    const where = {
      folder: wish.recordings,
      host,
      terminal,
      command: argv === undefined ? undefined : quoteArgv(argv),
    };
    const recorder = beginRecording(where);
    wish.note("info", `recorded as ${recorder.file}, as the policy asks (${verdict.record.at})`, host);
    void append({ kind: "recording", host, file: basename(recorder.file) });
    return {
      terminal: recordedTerminal(terminal, recorder, { keys: false }),
      broken: recorder.failed,
      over: (exit) => recorder.end(exit === undefined ? undefined : exitStatus(exit)),
    };
  };

  return {
    hasRules: policies.length > 0,
    judge,
    ...(programs === "user" ? { runs } : {}),
    listens,
    async begin(named) {
      hasBegun = true;
      // Masked before it is cut: the half of a secret would not be known again.
      const masked = Object.entries(wish.input).map(([field, value]) => [field, maskAll(value, mask)] as const);
      const params = keptParams(command.input, Object.fromEntries(masked));
      await append({ kind: "start", effect: command.effect, hosts: named.slice(0, 200), params });
      insist();
    },
    listener(event) {
      if (event.kind !== "step.end" || (event.outcome !== "changed" && event.outcome !== "failed")) return;
      const { host, title, changes, outcome } = event;
      void append({ kind: "step", host, title, changes: changes && keptWords(changes), outcome });
    },
    async end({ exit, error, ms }) {
      const code = error === undefined ? undefined : asAmiError(error).code;
      if (hasBegun) await append({ kind: "end", hosts: [...hosts].slice(0, 200), exit, error: code, ms });
      await log?.close().catch(fail);
      insist();
    },
  };
}

function maskAll(value: unknown, mask: (text: string) => string): unknown {
  if (value === undefined) return undefined;
  return JSON.parse(JSON.stringify(value), (_key, inner: unknown) => (typeof inner === "string" ? mask(inner) : inner));
}

function refusal(verb: string, host: string, deed: Deed, verdict: Extract<Verdict, { allowed: false }>): AmiError {
  const { rule, blind } = verdict;
  const what = describe(verb, deed);
  const by = rule === undefined ? undefined : `${rule.at}${rule.name === undefined ? "" : ` (${rule.name})`}`;
  if (rule === undefined) {
    return new AmiError("policy.denied", `${what} is not allowed here: no rule of the policy allows it`, { host });
  }
  const reason = rule.reason === undefined ? "" : `: ${rule.reason}`;
  if (!blind)
    return new AmiError("policy.denied", `${what} is forbidden${reason}`, { host, hint: `the rule is ${by}` });
  return new AmiError("policy.denied", `${what} is forbidden, as nobody can tell what it runs${reason}`, {
    host,
    hint: `${by} forbids some commands; a program and its words, as in ssh execute -- df -h, can be judged`,
  });
}

function describe(verb: string, deed: Deed): string {
  switch (deed.does) {
    case "open":
      return verb;
    case "become":
      return `becoming ${deed.user}`;
    case "run":
      return quoteArgv(deed.argv);
    case "terminal":
      return deed.argv === undefined ? "a terminal" : `a terminal with ${quoteArgv(deed.argv)}`;
  }
}
