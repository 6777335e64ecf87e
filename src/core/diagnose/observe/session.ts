/** Session: what the server lets a logged-in user do: run programs cleanly, sftp, a terminal, channels, forwarding. */
import { buffer } from "node:stream/consumers";
import { asAmiError } from "../../errors.ts";
import { ChannelRefused, type Connection } from "../../ssh/connection.ts";
import { isSessionChannel } from "../../ssh/inside.ts";
import type { Link } from "../../ssh/link.ts";
import { type SftpGreeting, greetSftp } from "../../ssh/sftp-greeting.ts";

export interface SessionSeen {
  readonly user: string;
  readonly run: RunSeen;
  readonly sftp: SftpGreeting | { readonly error: string };
  /** Undefined: given. */
  readonly ptyRefused: string | undefined;
  readonly channels: { readonly asked: number; readonly opened: number };
  /** Of a connection made by the server. `failed`: it tried, which shows that it may. */
  readonly forwarding: "opened" | "failed" | "prohibited" | "unknown";
}

/** A program that prints a mark, with what came around it. */
export type RunSeen =
  | {
      readonly state: "ran";
      readonly before: string;
      readonly after: string;
      readonly stderr: string;
      readonly exit: number;
    }
  /** The mark did not come. */
  | { readonly state: "lost"; readonly stdout: string; readonly stderr: string; readonly exit: number | undefined }
  | { readonly state: "refused"; readonly why: string };

export interface SessionWish {
  readonly user: string;
  readonly link: Link;
  readonly connection: Connection;
  readonly patience: number;
  readonly signal: AbortSignal;
}

export async function observeSession(wish: SessionWish): Promise<SessionSeen> {
  const { user, connection, link } = wish;
  const [run, sftp, ptyRefused, forwarding] = await Promise.all([
    runMark(wish),
    // The link keeps the count of what is open, so that a small MaxSessions is no failure here.
    link
      .withRoom(async (lent) => {
        const greeting = await greetSftp(lent.connection, wish.patience);
        lent.release();
        return greeting;
      })
      .catch((error: unknown) => ({ error: asAmiError(error).message })),
    tryPty(wish),
    tryForward(connection),
  ]);
  return { user, run, sftp, ptyRefused, forwarding, channels: await countChannels(connection) };
}

async function runMark({ link, patience, signal }: SessionWish): Promise<RunSeen> {
  const own = AbortSignal.any([signal, AbortSignal.timeout(patience)]);
  try {
    const session = await link.session({ command: `echo ${mark}` }, { signal: own });
    session.stdin.end();
    const onAbort = (): void => session.abandon();
    own.addEventListener("abort", onAbort, { once: true });
    const outputs = Promise.all([collect(session.stdout), collect(session.stderr)]);
    const late = new Promise<undefined>((resolve) => own.addEventListener("abort", () => resolve(undefined)));
    const exit = await Promise.race([session.exit.catch(() => undefined), late]);
    const [stdout, stderr] = await outputs;
    own.removeEventListener("abort", onAbort);
    const [before, after] = stdout.split(mark);
    if (before === undefined || after === undefined) return { state: "lost", stdout, stderr, exit: exit?.code };
    return { state: "ran", before, after: after.replace(/^\r?\n/, ""), stderr, exit: exit?.code ?? -1 };
  } catch (error) {
    signal.throwIfAborted();
    return { state: "refused", why: asAmiError(error).message };
  }
}

/** Means the same to every shell. */
const mark = "ami-node-diagnose-7f3a";

function collect(stream: Parameters<typeof buffer>[0]): Promise<string> {
  return buffer(stream).then(
    (bytes) => bytes.toString("latin1"),
    () => "",
  );
}

async function tryPty({ link, signal }: SessionWish): Promise<string | undefined> {
  try {
    const session = await link.session({ command: "true", pty: { columns: 80, rows: 24 } }, { signal });
    session.stdout.resume();
    session.stderr.resume();
    await session.exit.catch(() => undefined);
    session.abandon();
    return undefined;
  } catch (error) {
    signal.throwIfAborted();
    return asAmiError(error).message;
  }
}

/** To a port of the server itself where nobody is likely to listen: refused is as good an answer as open. */
async function tryForward(connection: Connection): Promise<SessionSeen["forwarding"]> {
  try {
    const socket = await connection.forward("127.0.0.1", 9);
    socket.destroy();
    return "opened";
  } catch (error) {
    const { cause } = asAmiError(error);
    const reason = typeof cause === "object" && cause !== null && "reason" in cause ? cause.reason : undefined;
    return reason === 1 ? "prohibited" : reason === 2 ? "failed" : "unknown";
  }
}

/** Empty channels, opened at once and closed again. The server frees a place a moment late, so refusals are tried again. */
async function countChannels(connection: Connection): Promise<SessionSeen["channels"]> {
  let most = 0;
  for (let attempt = 0; attempt < 4 && most < usualMaxSessions && connection.isOpen; attempt++) {
    if (attempt > 0) await new Promise((resolve) => setTimeout(resolve, 60 * attempt));
    const opening = Array.from({ length: usualMaxSessions }, () => connection.channel("session"));
    const settled = await Promise.allSettled(opening);
    const channels = settled.flatMap((each) =>
      each.status === "fulfilled" && isSessionChannel(each.value) ? [each.value] : [],
    );
    most = Math.max(most, channels.length);
    await Promise.all(
      channels.map(
        (channel) =>
          new Promise<void>((resolve) => {
            channel.on("error", () => undefined).once("close", () => resolve());
            channel.resume(); // it is closed when it has been read to its end
            channel.stderr.resume();
            setTimeout(resolve, 500).unref();
            channel.close();
          }),
      ),
    );
    const failed = settled.find((each) => each.status === "rejected" && !(each.reason instanceof ChannelRefused));
    if (failed !== undefined) break;
  }
  return { asked: usualMaxSessions, opened: most };
}

/** OpenSSH's default of MaxSessions. */
const usualMaxSessions = 10;
