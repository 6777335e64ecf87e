/**
 * Posix: makes a whole Host of a raw transport to a machine with a POSIX `sh`. All that differs between ssh, local and
 * another user is in the transport; everything a Host promises is here and in the files beside.
 */
import { Readable, finished } from "node:stream";
import { cancelled } from "../cancelled.ts";
import { AmiError } from "../errors.ts";
import type { Exit, Host, Running, SpawnOptions } from "../host.ts";
import type { Argv } from "../argv.ts";
import { become } from "./as.ts";
import { settledWithin } from "./settled.ts";
import { type EndGroups, type Ending, type Victim, createEndGroups } from "./end.ts";
import { createExec } from "./exec.ts";
import { createGet, createPut } from "./files.ts";
import { checkLaunch, launch, readProcess } from "./launch.ts";
import { newMark, stripMarks } from "./marks.ts";
import { type Queue, createQueue } from "../limit.ts";
import type { RawProcess, RawTransport } from "./raw.ts";

export interface PosixOptions {
  /** Shared by hosts that share a connection. Default: a queue of `raw.parallel` places. */
  queue?: Queue | undefined;
}

export function posixHost(raw: RawTransport, options: PosixOptions = {}): Host {
  const queue = options.queue ?? createQueue(raw.parallel);
  const endGroups = createEndGroups(raw);
  const running = new Set<Program>();
  /** Hosts of other users on the same connection. */
  const others = new Set<Host>();
  const closing = new AbortController();
  let closed: Promise<void> | undefined;

  /** Resolves as soon as the far side accepted; `Program.sure` tells whether it came to run. */
  const begin = async (argv: Argv, spawnOptions: SpawnOptions): Promise<Program> => {
    checkLaunch(argv, spawnOptions);
    const { signal } = spawnOptions;
    await queue.enter(signal === undefined ? closing.signal : AbortSignal.any([signal, closing.signal]));
    try {
      if (closing.signal.aborted) throw cancelled(undefined, closing.signal.reason);
      const program = await startProgram(raw, argv, spawnOptions, endGroups);
      running.add(program);
      // Closed while it was being started.
      if (closing.signal.aborted) void program.end(cancelled(undefined, closing.signal.reason));
      const leave = (): void => {
        running.delete(program);
        queue.leave();
      };
      program.exit.then(leave, leave);
      return program;
    } catch (error) {
      queue.leave();
      throw error;
    }
  };
  const spawn = async (argv: Argv, spawnOptions: SpawnOptions = {}): Promise<Running> => {
    const program = await begin(argv, spawnOptions);
    await isRunning(program);
    return program;
  };
  /** Stdin may be sent at once: when the program turns out not to run, `exit` rejects with the reason. */
  const start = (argv: Argv, spawnOptions: SpawnOptions): Promise<Running> => begin(argv, spawnOptions);

  const host: Host = {
    name: raw.name,
    family: "posix",
    limits: { stdinEof: true, parallel: raw.parallel },
    spawn,
    exec: createExec(raw.name, start),
    put: createPut(raw.name, start),
    get: createGet(raw.name, spawn),
    as(user, becomeOptions = {}) {
      if (user === raw.user) return sharing(host);
      const transport = become(raw, host, user, becomeOptions);
      const other = posixHost(transport, {
        queue: transport.queue === "shared" ? queue : undefined,
      });
      others.add(other);
      return other;
    },
    close() {
      closed ??= (async () => {
        closing.abort(new AmiError("host.spawn", `${raw.name} is closed`, { host: raw.name }));
        await Promise.all([...others].map((other) => other.close()));
        const reason = new AmiError("run.cancelled", `${raw.name} was closed while it ran`, { host: raw.name });
        await Promise.all([...running].map((program) => program.end(reason)));
        await raw.close();
      })();
      return closed;
    },
    ...(raw.shell === undefined ? {} : { shell: raw.shell, escapeKey: raw.escapeKey }),
  };
  return host;
}

/** The same host in the hands of somebody who must not close it. */
function sharing(host: Host): Host {
  return { ...host, close: () => Promise.resolve() };
}

interface Program extends Running {
  /** Resolves when the program runs as it should; rejects with the reason why it cannot. */
  readonly sure: Promise<void>;
  /** Ends the group and makes `exit` reject with `reason`; resolves when that is done. */
  end(reason: AmiError): Promise<void>;
}

async function startProgram(
  raw: RawTransport,
  argv: Argv,
  options: SpawnOptions,
  endGroups: EndGroups,
): Promise<Program> {
  const { pty, signal } = options;
  if (raw.words === "kernel" && pty === undefined) {
    const process = await raw.start(argv, { env: options.env, cwd: options.cwd, signal, mark: "" });
    const { group, started = Promise.resolve(), stdin, stdout, stderr } = process;
    const victim = Promise.resolve(group === undefined ? undefined : { pid: group, group });
    return supervise({ name: raw.name, process, stdin, stdout, stderr, victim, sure: started, signal, endGroups });
  }

  const mark = newMark();
  const plan = launch(argv, mark, { ...options, leads: raw.leads });
  const process = await raw.start(plan.argv, { pty, signal, mark });
  const stripped = stripMarks(pty === undefined ? process.stderr : process.stdout, mark, plan.marks);
  const [first = Promise.resolve(undefined), second] = stripped.said;
  const victim = first.then((said) => (said === undefined ? undefined : readProcess(said, raw.leads)));
  if (plan.firstLine !== undefined && pty === undefined) process.stdin.write(plan.firstLine);

  const sure = async (): Promise<void> => {
    await process.started;
    if (plan.firstLine !== undefined && pty !== undefined && (await first) !== undefined) {
      process.stdin.write(plan.firstLine);
    }
    if ((await second) !== "cwd") return;
    throw new AmiError("host.cwd", `there is no folder ${options.cwd} that can be entered`, {
      host: raw.name,
    });
  };
  const { stdin, stdout } = process;
  // A terminal has mixed stderr into stdout; nothing of the program comes that way, and nobody need read it.
  if (pty !== undefined) process.stderr.on("error", () => undefined).resume();
  const outputs =
    pty === undefined ? { stdout, stderr: stripped.stream } : { stdout: stripped.stream, stderr: undefined };
  const program = supervise({ name: raw.name, process, stdin, ...outputs, victim, sure: sure(), signal, endGroups });
  // Nothing may reach a terminal before the line it waits for.
  if (plan.firstLine !== undefined && pty !== undefined) await isRunning(program);
  return program;
}

/** An abort may come before it is known whether it runs. */
async function isRunning(program: Program): Promise<void> {
  await Promise.race([program.sure, program.exit]);
}

interface Supervised extends Pick<Running, "stdin" | "stdout"> {
  readonly name: string;
  readonly process: RawProcess;
  /** undefined: there is none, it ended before it began. */
  readonly stderr: Readable | undefined;
  /** Whom to signal, once that is known. */
  readonly victim: Promise<Victim | undefined>;
  readonly sure: Promise<void>;
  readonly signal: AbortSignal | undefined;
  readonly endGroups: EndGroups;
}

/** How long a program that is being ended may take to say who it is, and then to let go of its outputs. */
const patience = 3000;

function supervise({
  name,
  process,
  stdin,
  stdout,
  stderr: readStderr,
  victim,
  sure,
  signal,
  endGroups,
}: Supervised): Program {
  const stderr = readStderr ?? Readable.from([]);
  // Errors of stdin (a program that reads none of it) are nobody's business; what became of the others `exit` tells.
  for (const stream of [stdin, stdout, stderr]) stream.on("error", () => undefined);
  const over = Promise.withResolvers<never>();
  const ended = process.exit.then(async (exit): Promise<Exit> => {
    await Promise.all([outputEnd(stdout), readStderr === undefined ? undefined : outputEnd(readStderr)]);
    return exit;
  });
  let isOver = false;
  let ending: Promise<void> | undefined;
  const exit = Promise.race([
    over.promise,
    ended.then(async (value) => {
      // A start that failed says why; the exit of the program that should have switched the user is nobody's.
      await sure;
      // One that is being ended did not end by itself: the reason is told when all of its group is gone.
      return ending === undefined ? value : over.promise;
    }),
  ]);
  const settle = (): void => {
    isOver = true;
    signal?.removeEventListener("abort", abort);
  };
  exit.then(settle, settle);
  sure.catch((error: unknown) => {
    over.reject(error);
    process.abandon();
  });

  const send = async (ending: Ending): Promise<void> => {
    if (isOver) return;
    await settledWithin(Promise.race([victim, exit]), patience);
    // Whoever has not said its pid by now, or ended, is out of reach: `abandon` closes its channel.
    const known = isOver ? undefined : await Promise.race([victim, Promise.resolve(undefined)]);
    if (known !== undefined) await endGroups(known, ending);
    else if (ending === "END" || ending === "KILL") process.abandon();
  };
  const end = (reason: AmiError): Promise<void> =>
    (ending ??= (async () => {
      if (isOver) return;
      await send("END");
      over.reject(reason);
      await settledWithin(ended, 200);
      process.abandon();
      for (const stream of [stdin, stdout, stderr]) stream.destroy();
    })());
  const abort = (): void => void end(cancelled(name, signal?.reason));
  signal?.addEventListener("abort", abort, { once: true });
  if (signal?.aborted === true) abort();

  return { stdin, stdout, stderr, exit, sure, end, kill: (which = "TERM") => send(which) };
}

/** Resolves when an output has ended, or when its reader has let it go. One with nothing in it need not be read. */
function outputEnd(stream: Readable): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const isUnread = (): boolean => stream.readableFlowing === null && stream.listenerCount("readable") === 0;
  // A stream tells its end only to who asks for more.
  const ask = (): void => {
    if (isUnread() && stream.readableLength === 0) stream.read(0);
  };
  const asking = setInterval(ask, 50);
  finished(stream, { writable: false }, () => {
    clearInterval(asking);
    resolve();
  });
  ask();
  return promise;
}
