/** Session: one command or shell on a connection, with streams that end as streams should. */
import type { Buffer } from "node:buffer";
import { Readable, Writable } from "node:stream";
import { AmiError } from "../errors.ts";
import type { Exit } from "../host.ts";
import { visible } from "../visible.ts";
import type { Connection } from "./connection.ts";
import { type SessionChannel, inside, isSessionChannel, stranger } from "./inside.ts";
import { cancelled } from "./patience.ts";

export interface SessionStart {
  /** For the login shell of the user. Absent: the shell itself, interactive. */
  readonly command?: string | undefined;
  readonly pty?: { readonly columns: number; readonly rows: number; readonly term?: string | undefined } | undefined;
  /** What the server's AcceptEnv lets in. Seen by nobody else there, but not for secrets: it may be refused silently. */
  readonly env?: Readonly<Record<string, string>> | undefined;
  readonly forwardAgent?: boolean | undefined;
}

export interface Session {
  /** After the program is gone writes succeed and go nowhere. */
  readonly stdin: Writable;
  readonly stdout: Readable;
  /** Empty with a pty. */
  readonly stderr: Readable;
  /**
   * Resolves when the program ended and all it wrote has arrived here. Rejects with `host.spawn` when the server
   * refused to start it, with `ssh.lost` when the connection went first.
   */
  readonly exit: Promise<Exit>;
  /** Resolves when the channel is gone, on both sides. */
  readonly closed: Promise<void>;
  /** Resolves when the server accepted the request; rejects with `host.spawn` or `ssh.lost`. */
  readonly accepted: Promise<void>;
  resize(columns: number, rows: number): void;
  /** Gives it up without waiting; `exit` may never settle. Idempotent. */
  abandon(): void;
}

/**
 * Starts it on a channel. Does not wait for the server's answer, so that stdin travels along with the request; a
 * terminal is waited for, as nothing must run without the one asked for. Rejects with `ChannelRefused`, `ChannelLost`,
 * `host.spawn`, `ssh.lost`, or `run.cancelled` when aborted before it was started.
 */
export async function startSession(
  connection: Connection,
  name: string,
  start: SessionStart,
  signal?: AbortSignal,
): Promise<Session> {
  const channel = await orAbort(connection.channel("session"), signal, name);
  if (!isSessionChannel(channel)) throw stranger();
  const { _protocol: protocol } = inside(connection.client);
  const { id } = channel.outgoing;

  const session = streamsOf(connection, channel, name);
  if (start.forwardAgent === true) forwardAgent(connection, channel);
  if (start.pty !== undefined) {
    const { columns, rows, term = "xterm" } = start.pty;
    const given = reply(channel, name, "gives no terminal (PermitTTY no)");
    protocol.pty(id, rows, columns, 0, 0, term, null, true);
    try {
      await connection.during(given);
    } catch (error) {
      session.abandon();
      throw error;
    }
  }
  for (const [key, value] of Object.entries(start.env ?? {})) protocol.env(id, key, value, false);
  const accepted = reply(channel, name, "refused to start a program (ForceCommand, nologin, or no shell there)");
  accepted.catch(session.fail);
  if (start.command === undefined) protocol.shell(id, true);
  else protocol.exec(id, start.command, true);
  channel.subtype = "exec"; // setWindow works on channels that have started something
  return { ...session, accepted };
}

/** A channel that comes too late is closed. */
async function orAbort(opening: Promise<unknown>, signal: AbortSignal | undefined, name: string): Promise<unknown> {
  if (signal === undefined) return opening;
  const aborted = Promise.withResolvers<never>();
  const onAbort = (): void => {
    aborted.reject(cancelled(name, signal.reason));
    opening.then(
      (late) => isSessionChannel(late) && late.close(),
      () => undefined,
    );
  };
  signal.addEventListener("abort", onAbort, { once: true });
  if (signal.aborted) onAbort();
  try {
    return await Promise.race([opening, aborted.promise]);
  } finally {
    signal.removeEventListener("abort", onAbort);
  }
}

/** The answer to the request that is sent next. */
function reply(channel: SessionChannel, name: string, refusal: string): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  promise.catch(() => undefined); // not everybody waits for it
  channel._callbacks.push((refused) => {
    if (refused === false) resolve();
    else reject(new AmiError("host.spawn", `the server ${refusal}`, { host: name }));
  });
  return promise;
}

function forwardAgent(connection: Connection, channel: SessionChannel): void {
  const { client } = connection;
  const own = inside(client);
  if (own._agentFwdEnabled === true) return;
  own._agentFwdEnabled = true;
  channel._callbacks.push((refused) => {
    if (refused !== false) own._agentFwdEnabled = false;
  });
  own._protocol.openssh_agentForward(channel.outgoing.id, true);
}

function streamsOf(connection: Connection, channel: SessionChannel, name: string) {
  const { promise: exit, resolve, reject } = Promise.withResolvers<Exit>();
  exit.catch(() => undefined); // not everybody waits for it
  const closed = Promise.withResolvers<void>();
  let status: Exit | undefined;
  let open = 2;

  channel.on("exit", (code: number | null, signal?: string) => {
    status = code === null ? { signal: (signal ?? "KILL").replace(/^SIG/, "") } : { code };
    settle();
  });
  const onEnd = (): void => {
    open--;
    settle();
  };
  channel.on("end", onEnd);
  channel.stderr.on("end", onEnd);
  channel.on("close", () => {
    stop();
    closed.resolve();
    if (status !== undefined || !connection.isOpen) return; // settled by the outputs, or by `gone`
    reject(lost("the server ended the session without saying how the program ended", name));
  });
  channel.on("error", (error: Error) => reject(lost(visible(error.message), name, error)));
  const stop = connection.onGone((error) => {
    closed.resolve();
    // Whatever came before the end of its outputs is here, however slowly it is read.
    const isWhole = status !== undefined && channel.incoming.state !== "open";
    if (!isWhole) reject(error);
  });
  const settle = (): void => {
    if (status !== undefined && open === 0) resolve(status);
  };

  const stdout = output(channel);
  const stderr = output(channel.stderr);
  return {
    stdin: input(channel, closed.promise),
    stdout,
    stderr,
    exit,
    closed: closed.promise,
    fail: reject,
    resize: (columns: number, rows: number) => channel.setWindow(rows, columns, 0, 0),
    abandon() {
      channel.close();
      stdout.destroy();
      stderr.destroy();
    },
  };
}

function lost(message: string, name: string, cause?: Error): AmiError {
  return new AmiError("ssh.lost", message, { host: name, retry: "unknown", cause });
}

/** A stream of its own: destroying it must not close the channel, which still has the exit status to bring. */
function output(source: Readable): Readable {
  const out = new Readable({
    read: () => void source.resume(),
    destroy(error, done) {
      source.resume(); // what nobody wants any more is thrown away, so that the channel can end
      done(error);
    },
  });
  source.on("data", (bytes: Buffer) => {
    if (!out.destroyed && !out.push(bytes)) source.pause();
  });
  source.once("end", () => out.push(null));
  return out;
}

/** ssh2 never calls back for a write to a channel that has closed meanwhile; this stream does. */
function input(channel: SessionChannel, closed: Promise<void>): Writable {
  let isClosed = false;
  let waiting: (() => void) | undefined;
  void closed.then(() => {
    isClosed = true;
    waiting?.();
  });
  const send = (bytes: Buffer, done: () => void): void => {
    if (isClosed || channel.outgoing.state !== "open") return done();
    waiting = () => {
      waiting = undefined;
      done();
    };
    channel.write(bytes, () => waiting?.());
  };
  return new Writable({
    write: (bytes: Buffer, _encoding, done) => send(bytes, done),
    final(done) {
      channel.end();
      done();
    },
    destroy(error, done) {
      channel.end();
      done(error);
    },
  });
}
