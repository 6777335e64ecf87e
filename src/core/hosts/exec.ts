/** Exec: `spawn` with stdin given and both outputs collected, under a deadline. */
import { Readable, type Writable, finished } from "node:stream";
import type { Argv } from "../argv.ts";
import { AmiError } from "../errors.ts";
import type { ExecOptions, ExecResult, Host, Running, SpawnOptions } from "../host.ts";

/** How exec starts a program: `spawn`, or a quicker start that need not wait until it is known to run. */
export type StartProgram = (argv: Argv, options: SpawnOptions) => Promise<Running>;

/**
 * Makes a Host's `exec`. Rejects as `start` and `Running.exit` do; with `run.timeout` when the deadline passes, after
 * the group was ended; with the source's own error when a stdin stream breaks.
 */
export function createExec(host: string, start: StartProgram): Host["exec"] {
  return async (argv, options = {}) => {
    const { stdin, timeout, signal, onlyLooks, ...rest } = options;
    const deadline = createDeadline(host, argv, timeout, signal);
    const once = async (): Promise<ExecResult> => {
      const running = await start(argv, { ...rest, signal: deadline.signal });
      return collect(running, stdin, deadline.fail);
    };
    const mayRepeat = onlyLooks === true && !(stdin instanceof Readable);
    try {
      for (let losses = 1; ; losses++) {
        try {
          return await once();
        } catch (error) {
          const isLost = error instanceof AmiError && error.code === "ssh.lost";
          if (!mayRepeat || !isLost || losses > mostLosses || deadline.signal.aborted) throw error;
        }
      }
    } finally {
      deadline.clear();
    }
  };
}

/** How many connections may break under one look. */
const mostLosses = 2;

async function collect(
  running: Running,
  stdin: ExecOptions["stdin"],
  fail: (error: Error) => void,
): Promise<ExecResult> {
  const stdout = gather(running.stdout);
  const stderr = gather(running.stderr);
  const stopFeeding = feed(stdin, running.stdin, fail);
  try {
    const exit = await running.exit;
    return { exit, stdout: Buffer.concat(stdout), stderr: Buffer.concat(stderr) };
  } finally {
    stopFeeding();
  }
}

function gather(stream: Readable): Buffer[] {
  const chunks: Buffer[] = [];
  stream.on("data", (chunk: Buffer) => chunks.push(chunk));
  stream.on("error", () => undefined); // what went wrong is told by `exit`
  return chunks;
}

/** Gives a program its stdin. A program that reads none, or not all of it, is no error. Returns how to stop. */
export function feed(source: ExecOptions["stdin"], stdin: Writable, fail: (error: Error) => void): () => void {
  if (!(source instanceof Readable)) {
    stdin.end(source ?? "");
    return () => undefined;
  }
  whenBroken(source, fail);
  source.pipe(stdin);
  return () => void source.unpipe(stdin);
}

/** Calls back when a source errors, or closes before its end: `pipe` would leave its reader waiting for ever. */
export function whenBroken(source: Readable, broken: (error: Error) => void): void {
  finished(source, { writable: false }, (error) => {
    if (error !== undefined && error !== null) broken(error);
  });
}

interface Deadline {
  readonly signal: AbortSignal;
  /** Ends the program because of another error. */
  fail(error: Error): void;
  clear(): void;
}

function createDeadline(
  host: string,
  argv: Argv,
  timeout: number | undefined,
  signal: AbortSignal | undefined,
): Deadline {
  const control = new AbortController();
  const pass = (): void => control.abort(signal?.reason);
  signal?.addEventListener("abort", pass, { once: true });
  if (signal?.aborted === true) pass();
  const ring = (): void => {
    const hint = "give it more time, or look on the target at what it waits for";
    control.abort(
      new AmiError("run.timeout", `${argv[0]} did not end within ${timeout} ms`, { host, hint, retry: "unknown" }),
    );
  };
  const timer = timeout === undefined ? undefined : setTimeout(ring, timeout);
  return {
    signal: control.signal,
    fail: (error) =>
      control.abort(
        error instanceof AmiError
          ? error
          : new AmiError("host.file", `the input of ${argv[0]} broke off: ${error.message}`, { host, cause: error }),
      ),
    clear: () => {
      clearTimeout(timer);
      signal?.removeEventListener("abort", pass);
    },
  };
}
