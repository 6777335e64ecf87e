/** Execute: runs commands on one target, one after the other, and passes on what they say. */
import { type Argv, quoteArgv, shellLine } from "./argv.ts";
import type { Context } from "./command.ts";
import { AmiError } from "./errors.ts";
import { type Exit, type Host, type Running, type SpawnOptions, exitStatus } from "./host.ts";
import { type Input, feed } from "./input.ts";
import { type Collected, collectOutput, emitOutput } from "./output.ts";
import { withRetries } from "./retry.ts";
import { type Placed, type Script, placeScript } from "./script.ts";
import type { Target } from "./targets.ts";
import { formatDuration } from "./duration.ts";

/** One thing to run. */
export type Call =
  /** As the user would type it, in the login shell of the user there. */
  { readonly line: string } | { readonly argv: Argv } | { readonly script: Script; readonly args: readonly string[] };

export interface ExecuteWish {
  /** In sequence; the first that fails is the last. */
  readonly calls: readonly Call[];
  /** For the first of them; the others find an empty one. */
  readonly stdin?: Input | undefined;
  readonly env?: SpawnOptions["env"];
  readonly cwd?: string | undefined;
  readonly pty?: SpawnOptions["pty"];
  readonly retries: number;
  /** Keep the output for the caller instead of emitting it. */
  readonly keep: boolean;
}

export interface Ran {
  /** Of the last call that ran. */
  readonly exit: Exit;
  readonly attempts: number;
  readonly kept: readonly Collected[];
}

/** Rejects with what `hosts.open`, `spawn` and `exit` of a Host reject with. A non-zero exit is no rejection. */
export async function executeOn(target: Target, wish: ExecuteWish, ctx: Context, signal: AbortSignal): Promise<Ran> {
  const [first, ...others] = wish.calls;
  if (first === undefined) throw new AmiError("usage.input", "there is nothing to run");
  let attempts = 0;
  // Nothing has run as long as the first program has not been started; after that nothing is ever repeated.
  const { host, started } = await withRetries({ retries: wish.retries, signal, onRetry }, async (attempt) => {
    attempts = attempt;
    const opened = await ctx.hosts.open(target, { signal });
    return { host: opened, started: await start(opened, first, wish, signal) };
  });
  const kept: Collected[] = [];
  let exit = await finish(started, wish.stdin);
  for (const call of others) {
    if (exitStatus(exit) !== 0) break;
    exit = await finish(await start(host, call, wish, signal), undefined);
  }
  return { exit, attempts, kept };

  function onRetry(error: AmiError, attempt: number, wait: number): void {
    const text = `${error.message}; trying again in ${formatDuration(wait)} (${attempt} of ${wish.retries})`;
    ctx.events.emit({ kind: "note", host: target.name, level: "warn", text });
  }

  async function finish({ running, placed, fail }: Started, stdin: Input | undefined): Promise<Exit> {
    const stopFeeding = feed(stdin?.open(), running.stdin, { fail, isTerminal: wish.pty !== undefined });
    let ended: Exit | undefined;
    try {
      const output = wish.keep
        ? collectOutput(running).then((all) => void kept.push(all))
        : emitOutput(running, { host: target.name, emit: ctx.events.emit, caughtUp: ctx.caughtUp });
      ended = await running.exit;
      await output;
      return ended;
    } finally {
      stopFeeding();
      // A program that was ended by force could not clean up after itself.
      if (ended?.code === undefined) await placed?.remove();
    }
  }
}

interface Started {
  readonly running: Running;
  readonly placed: Placed | undefined;
  readonly fail: (error: Error) => void;
}

async function start(host: Host, call: Call, wish: ExecuteWish, signal: AbortSignal): Promise<Started> {
  const cut = new AbortController();
  const options = { env: wish.env, cwd: wish.cwd, pty: wish.pty, signal: AbortSignal.any([signal, cut.signal]) };
  const fail = (error: Error): void =>
    cut.abort(new AmiError("run.failed", `the input broke off: ${error.message}`, { host: host.name, cause: error }));
  if (!("script" in call)) {
    return {
      running: await host.spawn("line" in call ? shellLine(call.line) : call.argv, options),
      placed: undefined,
      fail,
    };
  }
  const placed = await placeScript(host, call.script, call.args, signal);
  try {
    return { running: await host.spawn(placed.argv, options), placed, fail };
  } catch (error) {
    await placed.remove();
    throw error;
  }
}

/** What people call it. */
export function titleOf(call: Call): string {
  if ("line" in call) return call.line;
  return quoteArgv("argv" in call ? call.argv : [call.script.name, ...call.args]);
}
