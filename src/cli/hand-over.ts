/**
 * Hand over: has the broker run a command line in our stead, while we pass on what goes in and out. Loads next to nothing:
 * a warm `ssh execute` is to take little longer than `--version`.
 */
import { writeSync } from "node:fs";
import { isatty } from "node:tty";
import {
  type Answer,
  type Code,
  type Go,
  type Hello,
  type No,
  type Question,
  ask,
  bodyOf,
  frame,
  frameReader,
  say,
} from "../core/broker/frames.ts";
import { brokerPlace, findDoor } from "../core/broker/place.ts";
import { type Line, dialSocket } from "../core/runtime-socket.ts";
import { version } from "../core/version.ts";
import type { Heard } from "./process.ts";

/** Who hears signals, and what becomes of the output. */
type Ears = Omit<Heard, "leave">;

/** Milliseconds a broker has to say that it is there. One that is stopped or stuck is done without. */
const patience = 2000;
/** Milliseconds that a little output waits for the end, which mostly comes right after it. */
const holdTime = 4;
/** Bytes: what a pipe takes as a whole. */
const holdMost = 4096;

/**
 * Resolves with the exit code, everything printed. undefined: there is no broker, or it is not for it, and nothing was
 * done. `heard`: who listens to signals already; without it this does, and leaves by itself instead of resolving.
 */
export async function handOver(
  argv: readonly string[],
  env: NodeJS.ProcessEnv,
  heard?: Ears,
): Promise<number | undefined> {
  if (process.platform === "win32") return undefined;
  const door = findDoor(brokerPlace(env));
  if (door === undefined) return undefined;
  let end: (code: number | undefined | "lost") => void = () => undefined;
  const ended = new Promise<number | undefined | "lost">((resolve) => (end = resolve));
  let state: "waiting" | "running" = "waiting";
  let line: Line;
  let go: Uint8Array = new Uint8Array();
  const stop = (hasReaderLeft: boolean): void => {
    if (state === "running") line.write(frame(ask.stop, JSON.stringify({ hasReaderLeft })));
  };
  const printed = openPrinted(heard, stop, () => line);
  const stdin = openStdin(() => line);
  const read = frameReader((letter, body) => {
    switch (letter) {
      case say.yes:
        clearTimeout(late);
        if (printed.isStopped()) return end(undefined);
        state = "running";
        line.write(go);
        return;
      case say.no: {
        const { why } = bodyOf<No>(body);
        return end(why === "key" || why === "version" ? undefined : "lost");
      }
      case say.declined:
        return end(undefined);
      case say.stdout:
      case say.stderr:
        return printed.take(letter === say.stdout ? 1 : 2, body);
      case say.want:
        return void stdin.pass();
      case say.question: {
        const question = bodyOf<Question>(body);
        return void printed.spill().then((own) => answer(question, own, line, env));
      }
      case say.code: {
        const { exit } = bodyOf<Code>(body);
        return end(exit);
      }
    }
  });
  try {
    line = await dialSocket(door.socket, { data: read, closed: () => end(state === "waiting" ? undefined : "lost") });
  } catch {
    printed.stopListening();
    return undefined; // one that was killed has left its socket
  }
  const late = setTimeout(() => end(undefined), patience);
  const hello: Hello = { version, key: door.key, wish: "run" };
  line.write(frame(ask.hello, JSON.stringify(hello)));
  // While the broker reads that. It is only sent after its answer: what runs is never what somebody gave up.
  go = frame(ask.go, JSON.stringify(goOf(argv, env)));
  const code = await ended;
  clearTimeout(late);
  line.end();
  stdin.close();
  if (code === undefined) {
    printed.stopListening();
    // Ctrl-C came before anything had begun.
    return printed.isStopped() ? printed.finish(130) : undefined;
  }
  return printed.finish(code === "lost" ? await tellLost(argv, printed) : code);
}

function goOf(argv: readonly string[], env: NodeJS.ProcessEnv): Go {
  const filled = Object.entries(env).flatMap(([key, value]) => (value === undefined ? [] : [[key, value] as const]));
  const look = (fd: 1 | 2): Go["stdout"] => {
    if (!isatty(fd)) return { isTTY: false };
    const { columns, rows } = fd === 1 ? process.stdout : process.stderr;
    return { isTTY: true, columns, rows };
  };
  return {
    argv,
    cwd: process.cwd(),
    env: Object.fromEntries(filled),
    stdin: { isTTY: isatty(0) },
    stdout: look(1),
    stderr: look(2),
  };
}

interface Printed {
  take(fd: 1 | 2, bytes: Uint8Array): void;
  /** From now on everything goes through the streams of the process. */
  spill(): Promise<Ears>;
  isStopped(): boolean;
  stopListening(): void;
  /** Prints what is held, and leaves when nobody else does. */
  finish(code: number): Promise<number>;
}

/**
 * The streams of the process take as long to load as all the rest. A little output that ends at once goes straight to the
 * descriptors; anything else, and every trouble with that, through the streams.
 */
function openPrinted(given: Ears | undefined, stop: (hasReaderLeft: boolean) => void, line: () => Line): Printed {
  const names = ["SIGINT", "SIGTERM", "SIGHUP"] as const;
  let held: [1 | 2, Uint8Array][] = [];
  let size = 0;
  let timer: NodeJS.Timeout | undefined;
  let isStopped = false;
  let heard: Ears | undefined;
  let leave: Heard["leave"] | undefined;
  let spilling: Promise<Ears> | undefined;
  const onSignal = (name: NodeJS.Signals): void => {
    if (isStopped && name === "SIGINT") process.exit(130);
    isStopped = true;
    stop(false);
  };
  const listenTo = (own: Ears): void => {
    heard = own;
    const onAbort = (): void => {
      isStopped = true;
      stop(own.hasReaderLeft());
    };
    if (own.signal.aborted) onAbort();
    else own.signal.addEventListener("abort", onAbort, { once: true });
  };
  const stopListening = (): void => {
    for (const name of names) process.off(name, onSignal);
  };
  if (given === undefined) for (const name of names) process.on(name, onSignal);
  else listenTo(given);

  const print = (fd: 1 | 2, bytes: Uint8Array): void => {
    const stream = fd === 1 ? process.stdout : process.stderr;
    // The broker waits while we do.
    if (!stream.write(bytes) && !stream.destroyed) {
      line().pause();
      const go = (): void => {
        for (const event of ["drain", "close", "error"]) stream.off(event, go);
        line().resume();
      };
      for (const event of ["drain", "close", "error"]) stream.on(event, go);
    }
  };
  const spill = (): Promise<Ears> =>
    (spilling ??= (async () => {
      clearTimeout(timer);
      if (heard === undefined) {
        const { listen } = await import("./process.ts");
        const own = listen();
        stopListening();
        leave = own.leave;
        if (isStopped) own.interrupt();
        listenTo(own);
      }
      const all = held;
      held = [];
      for (const [fd, bytes] of all) print(fd, bytes);
      if (heard === undefined) throw new Error("nobody listens");
      return heard;
    })());

  return {
    take(fd, bytes) {
      if (spilling !== undefined && held.length === 0 && heard !== undefined) return print(fd, bytes);
      held.push([fd, bytes]);
      size += bytes.length;
      if (given !== undefined || size > holdMost) void spill();
      else timer ??= setTimeout(() => void spill(), holdTime);
    },
    spill,
    isStopped: () => isStopped,
    stopListening,
    async finish(code) {
      clearTimeout(timer);
      if (spilling === undefined && given === undefined) {
        while (held[0] !== undefined) {
          const [fd, bytes] = held[0];
          const taken = writeNow(fd, bytes);
          if (taken === undefined) break;
          if (taken === bytes.length) held.shift();
          else held[0] = [fd, bytes.subarray(taken)];
        }
        if (held.length === 0) process.exit(code);
      }
      await spill();
      return leave === undefined ? code : leave(code);
    },
  };
}

/** undefined: the streams have to find out what is the matter. */
function writeNow(fd: 1 | 2, bytes: Uint8Array): number | undefined {
  try {
    return writeSync(fd, bytes);
  } catch {
    return undefined;
  }
}

/** Stdin is read when the broker asks for it, and no further: what is left belongs to whoever comes after us. */
function openStdin(line: () => Line) {
  let pass: (() => void) | undefined;
  let isWanted = false;
  const open = async (): Promise<void> => {
    const { mendStdin } = await import("../core/runtime-compat.ts");
    mendStdin();
    const { stdin } = process;
    const more = (): void => {
      if (!isWanted) return;
      const bytes: unknown = stdin.read();
      if (!(bytes instanceof Uint8Array)) return;
      isWanted = false;
      line().write(frame(ask.stdin, bytes));
    };
    stdin.on("readable", more);
    stdin.on("end", () => line().write(frame(ask.stdinEnd)));
    stdin.on("error", () => line().write(frame(ask.stdinEnd)));
    pass = more;
    more();
  };
  return {
    async pass(): Promise<void> {
      isWanted = true;
      if (pass === undefined) await open();
      else pass();
    },
    close() {
      if (pass !== undefined) process.stdin.pause();
    },
  };
}

/** Asks the person at our terminal what the broker has to know. */
async function answer({ kind, text }: Question, heard: Ears, line: Line, env: NodeJS.ProcessEnv): Promise<void> {
  const [{ openPrompter }, { openPaint, wantsColor }, { asAmiError }] = await Promise.all([
    import("../ui/prompt.ts"),
    import("../ui/paint.ts"),
    import("../core/errors.ts"),
  ]);
  const paint = await openPaint(wantsColor(true, "auto", process.stderr.isTTY === true, env));
  const { signal, interrupt } = heard;
  const { stdin, stderr } = process;
  const prompter = openPrompter({ stdin, stderr, paint, signal, interrupt, suspend: (work) => work() });
  let said: Answer;
  try {
    if (kind === "confirm") said = { text: (await prompter.confirm(text)) ? "yes" : "no" };
    else said = { text: kind === "line" ? await prompter.line(text) : (await prompter.secret(text)).reveal() };
  } catch (error) {
    const { code, message, hint } = asAmiError(error);
    said = { refused: { code, message, hint } };
  }
  line.write(frame(ask.answer, JSON.stringify(said)));
}

async function tellLost(argv: readonly string[], printed: Printed): Promise<number> {
  await printed.spill();
  const [{ AmiError }, { failed }] = await Promise.all([import("../core/errors.ts"), import("./main.ts")]);
  const error = new AmiError("ssh.lost", "the broker that held the connection is gone", {
    hint: "what ran there may have gone on or not: look before you repeat it",
    retry: "unknown",
  });
  return failed(error, argv, process);
}
