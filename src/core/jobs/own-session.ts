/** Own session: a login shell under a terminal, kept as a job, where there is neither tmux nor screen. Linux only. */
import { setTimeout as sleep } from "node:timers/promises";
import type { Argv } from "../argv.ts";
import { type Listener, meaning } from "../deed.ts";
import type { Context } from "../command.ts";
import { sitDown } from "../desk.ts";
import { formatDuration } from "../duration.ts";
import { AmiError } from "../errors.ts";
import type { Exit, Host, Running } from "../host.ts";
import { type Seat, whenAborted } from "../seat.ts";
import { attachJob } from "./attach.ts";
import { lostJob, newJobId } from "./job.ts";
import { listJobs } from "./list.ts";
import { startJob } from "./start.ts";

/**
 * `script` of util-linux makes the terminal; what is typed comes through a pipe with a name, which it holds open for both
 * so that it never ends.
 */
const program = `cd; D=$HOME/.ami-node/jobs/$AMI_NODE_JOB
mkfifo -m 600 "$D/in" && exec 3<>"$D/in" || exit 1
export D TERM="$1" AMI_LOGIN="\${SHELL:-/bin/sh}"
SHELL=/bin/sh exec script -qefc 'tty >"$D/tty"; stty rows 24 columns 80; SHELL=$AMI_LOGIN; unset D AMI_LOGIN; exec "$SHELL" -l' /dev/null <&3`;

export async function startOwn(host: Host, name: string, signal: AbortSignal): Promise<void> {
  const id = newJobId();
  const argv = ["sh", "-c", program, "sh", "xterm-256color"] as const;
  await startJob(() => Promise.resolve(host), { id, argv, about: { command: "login shell", session: name } }, signal);
  const ready = ["sh", "-c", 'test -s "$HOME/.ami-node/jobs/$1/tty"', "sh", id] as const;
  for (let i = 0; (await host.exec(meaning(ready, []), { signal })).exit.code !== 0; i++) {
    if (i === 50) throw new AmiError("job.failed", "no terminal could be made there", { host: host.name });
    await sleep(100, undefined, { signal });
  }
}

/** What is shown again of what was said before: about a screen. */
const shownAgain = 8 * 1024;

/** As `sit` does; the connection is made again by itself. */
export async function attachOwn(ctx: Context, seat: Seat, id: string): Promise<Exit | undefined> {
  const { target } = seat;
  const leave = new AbortController();
  const open = (): Promise<Host> => ctx.hosts.open(target, { signal: leave.signal });
  const host = await open();
  const job = (await listJobs(host, ctx.signal)).find((each) => each.id === id);
  const desk = sitDown(seat.terminal, "~");
  let listener: Listener | undefined;
  let stopResizing = (): void => undefined;
  let exit: Exit | undefined;
  try {
    const own = seat.through?.(desk.terminal) ?? desk.terminal;
    listener = await ctx.hosts.listen?.(target, own);
    const terminal = listener?.terminal ?? own;
    const resize = (columns: number, rows: number): void => setSize(open, { id, columns, rows }, leave.signal);
    stopResizing = terminal.onResize(resize);
    resize(terminal.columns, terminal.rows);
    const keyboard = openKeyboard(open, id);
    terminal.stdin.on("data", (keys: Buffer) => keyboard.type(keys));
    const attached = attachJob({
      id,
      open,
      follow: true,
      from: { stdout: Math.max(0, (job?.stdout ?? 0) - shownAgain), stderr: job?.stderr ?? 0 },
      signal: leave.signal,
      onOutput: (_stream, bytes) => new Promise<void>((resolve) => void terminal.stdout.write(bytes, () => resolve())),
      onLost(error, _attempt, wait) {
        keyboard.forget();
        const said = `${error.message}; attaching again in ${formatDuration(wait)} (~. gives up)`;
        desk.terminal.stdout.write(`\r\n${target.name}: ${said}\r\n`);
      },
    });
    attached.catch(() => undefined); // one that was left is nobody's business
    const ends = [attached, desk.left, whenAborted(ctx.signal)];
    const state = await Promise.race(listener === undefined ? ends : [...ends, listener.broken]);
    if (state?.is === "lost") throw lostJob(id, target.name);
    exit = state?.is === "ended" ? state.exit : undefined;
  } finally {
    stopResizing();
    leave.abort();
    desk.leave(exit !== undefined);
    listener?.over(exit);
  }
  if (exit === undefined)
    ctx.events.emit({ kind: "note", host: target.name, level: "info", text: "the session waits there" });
  return exit;
}

/** A size that does not get there is no reason to lose the terminal. */
function setSize(
  open: () => Promise<Host>,
  { id, columns, rows }: { readonly id: string; readonly columns: number; readonly rows: number },
  signal: AbortSignal,
): void {
  const program = 'stty -F "$(cat "$HOME/.ami-node/jobs/$1/tty")" rows "$2" columns "$3"';
  const argv = ["sh", "-c", program, "sh", id, String(rows), String(columns)] as const;
  open()
    .then((there) => there.exec(meaning(argv, []), { signal }))
    .catch(() => undefined);
}

/**
 * Opened first for both: to open a pipe that nobody reads any more would wait for ever, also when the connection is gone.
 */
export function typeProgram(id: string): Argv {
  return meaning(["sh", "-c", 'f=$HOME/.ami-node/jobs/$1/in; exec 3<>"$f" >"$f" 3>&-; exec cat', "sh", id], []);
}

/** Takes what is typed there, in order, by a program of its own, started anew after a loss. */
function openKeyboard(open: () => Promise<Host>, id: string): { type(keys: Buffer): void; forget(): void } {
  let running: Running | undefined;
  let turn = Promise.resolve();
  const start = async (): Promise<Running> => {
    const host = await open();
    const started = await host.spawn(typeProgram(id));
    started.stdout.resume();
    started.stderr.resume();
    started.exit.catch(() => undefined).finally(() => void (running === started && (running = undefined)));
    return started;
  };
  return {
    type(keys) {
      turn = turn.then(async () => {
        try {
          running ??= await start();
          running.stdin.write(keys);
        } catch {
          // There is no connection: keys typed into nothing are lost, as on any terminal.
        }
      });
    },
    forget: () => void (running = undefined),
  };
}
