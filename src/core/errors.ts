/**
 * Errors for a person at 3 a.m.: what failed, on which host, the remote words, what to try.
 * Codes are `family.kind`; the family decides the exit code (see `exitCodeOf`).
 */
export type Retry = "yes" | "no" | "unknown";

export interface AmiErrorInit {
  /** What to try next, in the imperative. */
  hint?: string | undefined;
  /** May the same call succeed when repeated? `unknown`: it may or may not have taken effect. */
  retry?: Retry | undefined;
  host?: string | undefined;
  cause?: unknown;
}

/** The one error type that reaches people. Anything else that reaches the top is a bug and prints with its stack. */
export class AmiError extends Error {
  override readonly name = "AmiError";
  readonly code: string;
  readonly hint: string | undefined;
  readonly retry: Retry;
  readonly host: string | undefined;

  constructor(code: ErrorCode, message: string, init: AmiErrorInit = {}) {
    super(message, init.cause === undefined ? undefined : { cause: init.cause });
    this.code = code;
    this.hint = init.hint;
    this.retry = init.retry ?? "no";
    this.host = init.host;
  }
}

/** An error as it travels in events and `--json`. */
export interface ErrorJson {
  code: string;
  message: string;
  hint?: string;
  retry: Retry;
  host?: string;
}

/** The last line of a verb that acts, and the one value of a verb that answers and could not. */
export interface FailureJson {
  readonly kind: "result";
  readonly exit: number;
  readonly error: ErrorJson;
}

export function failureJson(error: unknown, exit = exitCodeOf(error)): FailureJson {
  return { kind: "result", exit, error: errorJson(error) };
}

export function errorJson(error: unknown): ErrorJson {
  const e = asAmiError(error);
  return {
    code: e.code,
    message: e.message,
    ...(e.hint === undefined ? {} : { hint: e.hint }),
    retry: e.retry,
    ...(e.host === undefined ? {} : { host: e.host }),
  };
}

/** Any thrown thing as an AmiError; unknown ones become `internal.bug` and keep their cause. */
export function asAmiError(error: unknown): AmiError {
  if (error instanceof AmiError) return error;
  if (error instanceof Error && error.name === "AbortError") {
    return new AmiError("run.cancelled", "interrupted", { cause: error });
  }
  return new AmiError("internal.bug", error instanceof Error ? error.message : String(error), { cause: error });
}

/**
 * Every code and what it means. The table is the documentation (docs/reference/errors.md is printed from it).
 * `exit` is the exit code when this error ends the whole command.
 */
export const errorTable = {
  "run.cancelled": { exit: 130, meaning: "interrupted by Ctrl-C or a signal" },
  "run.timeout": { exit: 1, meaning: "a deadline passed" },
  "run.refused": { exit: 1, meaning: "a question was answered with no, or nobody could answer it" },
  "run.failed": { exit: 3, meaning: "at least one target failed" },
  "usage.input": { exit: 64, meaning: "wrong flag, argument or value" },
  "usage.command": { exit: 64, meaning: "unknown command" },
  "usage.target": { exit: 64, meaning: "a target or target pattern that cannot be read or matches nothing" },
  "config.invalid": { exit: 64, meaning: "a settings, nodes or ssh config file that cannot be read" },
  "blueprint.invalid": { exit: 64, meaning: "the blueprint has mistakes; nothing was contacted" },
  "plan.refused": { exit: 3, meaning: "the plan cannot be carried out on this target" },
  "apply.failed": { exit: 3, meaning: "a step failed on the target" },
  "apply.locked": { exit: 3, meaning: "another apply holds the lock of this target" },
  "apply.lost": { exit: 3, meaning: "the connection was lost and the run could not be found again" },
  "job.absent": { exit: 1, meaning: "there is no such job or session on the target" },
  "job.failed": { exit: 1, meaning: "a job could not be started, or the target does not answer about it" },
  "job.lost": { exit: 3, meaning: "how a job ended is not known: the machine was restarted, or its runner killed" },
  "tool.missing": { exit: 6, meaning: "a program or engine that is needed is missing on this machine" },
  "hostkey.unknown": { exit: 5, meaning: "the host key is not known and nobody could confirm it" },
  "hostkey.changed": { exit: 5, meaning: "the host key differs from the known one" },
  "hostkey.revoked": { exit: 5, meaning: "the host key is marked @revoked" },
  "ssh.connect": { exit: 4, meaning: "no connection: name not found, refused, unreachable, timed out" },
  "ssh.auth": { exit: 4, meaning: "the server accepted none of our keys and passwords" },
  "ssh.agent": { exit: 6, meaning: "no ssh-agent answers here, or it refused" },
  "ssh.protocol": { exit: 4, meaning: "the two sides could not agree, or the connection broke" },
  "ssh.lost": { exit: 4, meaning: "the connection was lost while a command ran" },
  "host.spawn": { exit: 4, meaning: "the target could not start a process at all" },
  "host.cwd": { exit: 3, meaning: "the folder to run in does not exist on the target, or cannot be entered" },
  "host.become": { exit: 4, meaning: "could not become the other user (sudo, su or doas refused)" },
  "host.file": { exit: 1, meaning: "a file on the target could not be read or written" },
  "host.forward": { exit: 1, meaning: "a connection could not be carried, or an address not be listened on" },
  "host.unsupported": { exit: 1, meaning: "this kind of host cannot do that" },
  "vault.locked": { exit: 1, meaning: "the vault could not be opened: wrong passphrase, or another process writes it" },
  "vault.damaged": { exit: 1, meaning: "the vault is unreadable, or was altered" },
  "vault.absent": { exit: 1, meaning: "the vault has nothing of that name" },
  "store.unusable": { exit: 1, meaning: "what is remembered on this machine cannot be read or written" },
  "policy.denied": { exit: 77, meaning: "a policy forbids it; on the hosts it forbids it for nothing was done" },
  "policy.invalid": { exit: 64, meaning: "a policy file has mistakes or cannot be read; nothing was contacted" },
  "audit.failed": { exit: 1, meaning: "the audit log cannot be written, and the policy requires it" },
  "recording.file": { exit: 1, meaning: "a recording could not be written or read" },
  "internal.bug": { exit: 1, meaning: "an error of ami-node itself; please report it" },
} as const satisfies Record<string, { exit: number; meaning: string }>;

export type ErrorCode = keyof typeof errorTable;

/** Exit codes by name; the order is the order of precedence when several apply. */
export const exitCodes = {
  interrupted: 130,
  denied: 77,
  usage: 64,
  toolMissing: 6,
  hostKey: 5,
  unreachable: 4,
  targetFailed: 3,
  pending: 2,
  failed: 1,
  ok: 0,
} as const;

export function exitCodeOf(error: unknown): number {
  const code = asAmiError(error).code;
  return isErrorCode(code) ? errorTable[code].exit : exitCodes.failed;
}

export function isErrorCode(code: string): code is ErrorCode {
  return Object.hasOwn(errorTable, code);
}
