/** Session: terminals on a host that wait for who left them: of tmux, of screen, and where neither is, jobs of ours. */
import { randomBytes } from "node:crypto";
import { z } from "zod";
import { meaning } from "../deed.ts";
import type { Argv } from "../argv.ts";
import type { Context } from "../command.ts";
import { createComeback } from "../detached.ts";
import { formatDuration } from "../duration.ts";
import { AmiError } from "../errors.ts";
import type { Exit, Host } from "../host.ts";
import { type Seat, sit } from "../seat.ts";
import { stopJob } from "./end.ts";
import { askFar } from "./job.ts";
import { listJobs } from "./list.ts";
import { attachOwn, startOwn } from "./own-session.ts";

export interface Session {
  readonly name: string;
  readonly by: "tmux" | "screen" | "job";
  readonly attached: boolean;
  /** Milliseconds since 1970, where it is told. */
  readonly started?: number | undefined;
  /** What its keeper calls it, in one word. */
  readonly handle: string;
}

export interface Sessions {
  readonly all: readonly Session[];
  /** What keeps new ones; undefined: nothing there can. */
  readonly keeper: Session["by"] | undefined;
}

export const sessionName = z
  .string()
  .regex(/^[A-Za-z0-9_-]{1,64}$/, "is no name of a session: letters, digits, - and _, as in main");

export async function findSessions(host: Host, signal: AbortSignal): Promise<Sessions> {
  const nonce = randomBytes(9).toString("hex");
  const [said, jobs] = await Promise.all([askFar(host, nonce, findProgram(nonce), { signal }), listJobs(host, signal)]);
  const found = readSessions(said);
  const own = jobs.flatMap(({ id, session, state, started }): Session[] =>
    session === undefined || state.is !== "running"
      ? []
      : [{ name: session, by: "job", attached: false, started, handle: id }],
  );
  return { ...found, all: [...found.all, ...own] };
}

/** A whole line for each; what is not there says nothing. */
function findProgram(nonce: string): string {
  return `{
printf '\\n@%s\\040' ${nonce}
command -v tmux >/dev/null && { echo keeper tmux; tmux list-sessions -F 'tmux #{session_created} #{session_attached} #{session_name}' 2>/dev/null; }
command -v screen >/dev/null && { echo keeper screen; LC_ALL=C screen -ls; }
case $(script --version 2>/dev/null) in *util-linux*) echo keeper job;; esac
:
} </dev/null
`;
}

/** Pure: the answer of the program. */
export function readSessions(said: string): Sessions {
  const lines = said.split("\n");
  const keepers = lines.flatMap((line) => /^keeper (tmux|screen|job)$/.exec(line)?.[1] ?? []);
  const all = lines.flatMap((line): Session[] => {
    const [, created, clients, name] = /^tmux (\d+) (\d+) (.*)$/.exec(line) ?? [];
    if (name !== undefined)
      return [{ name, by: "tmux", attached: clients !== "0", started: Number(created) * 1000, handle: `=${name}` }];
    // "	1234.name	(11/25/26 18:57:15)	(Detached)"; the date is in the words of the machine.
    const [, handle, called, how] = /^\t(\d+\.(\S+))\t.*\(([^()]*)\)\s*$/.exec(line) ?? [];
    if (handle === undefined || called === undefined || /dead|remote/i.test(how ?? "")) return [];
    return [{ name: called, by: "screen", attached: how !== "Detached", handle }];
  });
  const keeper = (["tmux", "screen", "job"] as const).find((each) => keepers.includes(each));
  return { all, keeper };
}

/** Without a terminal. Rejects with `job.failed` when there is one of that name, `host.unsupported` where none can be. */
export async function newSession(host: Host, name: string, signal: AbortSignal): Promise<Session["by"]> {
  const { all, keeper } = await findSessions(host, signal);
  if (all.some((session) => session.name === name)) {
    throw new AmiError("job.failed", `there is a session ${name} already`, {
      host: host.name,
      hint: `ami-node ssh session attach --target ${host.name} ${name}`,
    });
  }
  if (keeper === undefined) throw noKeeper(host.name);
  if (keeper === "job") await startOwn(host, name, signal);
  else {
    const { exit, stderr } = await host.exec(meaning(makers[keeper](name), []), { signal });
    if (exit.code !== 0) {
      const why = stderr.toString("utf8").trim() || `it ended with ${exit.signal ?? exit.code}`;
      throw new AmiError("job.failed", `${keeper} makes no session: ${why}`, { host: host.name });
    }
  }
  return keeper;
}

function noKeeper(host: string): AmiError {
  return new AmiError(
    "host.unsupported",
    "nothing there can keep a terminal: neither tmux nor screen, nor script of util-linux",
    { host, hint: "install tmux there; a command without a terminal survives by: ami-node ssh run" },
  );
}

const makers = {
  tmux: (name: string): Argv => ["tmux", "-u", "new-session", "-d", "-s", name],
  screen: (name: string): Argv => ["screen", "-U", "-d", "-m", "-S", name],
};

/**
 * Whoever else is attached is sent away: it may be ourselves, on a connection that broke. Both refuse a terminal that the
 * machine has never heard of, as those are that are newer than it; nearly all of these understand what xterm does.
 */
const joiners = {
  tmux: (handle: string): Argv => [...asKnownTerminal, "tmux", "-u", "attach-session", "-d", "-t", handle],
  screen: (handle: string): Argv => [...asKnownTerminal, "screen", "-U", "-d", "-r", handle],
};

const asKnownTerminal = [
  "sh",
  "-c",
  'command -v infocmp >/dev/null && ! infocmp >/dev/null 2>&1 && TERM=xterm-256color; exec "$@"',
  "sh",
] as const;

export async function killSession(host: Host, name: string, signal: AbortSignal): Promise<void> {
  const session = (await findSessions(host, signal)).all.find((each) => each.name === name);
  if (session === undefined) throw noSession(name, host.name);
  const { by, handle } = session;
  if (by === "job") return void (await stopJob(host, handle, 5000, signal));
  const argv: Argv = by === "tmux" ? ["tmux", "kill-session", "-t", handle] : ["screen", "-S", handle, "-X", "quit"];
  const { exit, stderr } = await host.exec(meaning(argv, []), { signal });
  if (exit.code !== 0)
    throw new AmiError("job.failed", `${by}: ${stderr.toString("utf8").trim()}`, { host: host.name });
}

export function noSession(name: string, host: string): AmiError {
  return new AmiError("job.absent", `there is no session ${name} of this user on it`, {
    host,
    hint: `list them with: ami-node ssh session list ${host}`,
  });
}

/**
 * Attaches the user's terminal to a session, and again whenever the connection is lost, until the session ends or is
 * left. `make`: it is made when there is none. Resolves with undefined when it was left by `~.`.
 */
export async function sitInSession(
  ctx: Context,
  seat: Seat,
  name: string,
  make: "always" | "if absent" | "never",
): Promise<Exit | undefined> {
  const { signal } = ctx;
  let mayMake = make;
  const comeback = createComeback({
    signal,
    isThere: false,
    onLost(error, _attempt, wait) {
      const text = `${error.message}; attaching again in ${formatDuration(wait)} (Ctrl-C gives up)`;
      ctx.events.emit({ kind: "note", host: seat.target.name, level: "warn", text });
    },
  });
  const find = async (host: Host): Promise<Session | undefined> =>
    (await findSessions(host, signal)).all.find((each) => each.name === name);
  for (;;) {
    try {
      const host = await ctx.hosts.open(seat.target, { signal });
      let session = mayMake === "always" ? undefined : await find(host);
      if (session === undefined && mayMake !== "never") {
        await newSession(host, name, signal);
        session = await find(host);
      }
      if (session === undefined) throw noSession(name, host.name);
      // From here on it is there: that it is gone later means that it has ended.
      mayMake = "never";
      comeback.reached();
      if (session.by === "job") return await attachOwn(ctx, seat, session.handle);
      return await sit(ctx, seat, host, meaning(joiners[session.by](session.handle), []));
    } catch (error) {
      await comeback.after(error);
    }
  }
}
