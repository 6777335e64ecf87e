/** Session: what the server lets a logged-in user do: run programs cleanly, sftp, a terminal, channels, forwarding. */
import { Buffer } from "node:buffer";
import { buffer } from "node:stream/consumers";
import { asAmiError } from "../errors.ts";
import { ChannelRefused, type Connection } from "../ssh/connection.ts";
import { isSessionChannel } from "../ssh/inside.ts";
import type { Link } from "../ssh/link.ts";
import { type SftpGreeting, greetSftp } from "../ssh/sftp-greeting.ts";
import { about, certain, type Finding, likely, there } from "./finding.ts";

const { ok, warn, fail, skipped } = about("session");

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

/** Pure. The first entry is the worst; when nothing runs, what depends on it is not said again. */
export function judgeSession(seen: SessionSeen): Finding[] {
  return [judgeRun(seen), judgeSftp(seen), judgePty(seen), judgeForwarding(seen), judgeChannels(seen)];
}

function judgeRun({ run, user, sftp }: SessionSeen): Finding {
  const works = "state" in sftp && sftp.state === "answered";
  if (run.state === "refused") {
    return fail("session.refused", "the server lets us in and starts nothing", {
      evidence: [run.why],
      cause: likely("MaxSessions 0, or an account that may only forward"),
      fix: there("sudo sshd -T | grep -i 'maxsessions\\|forcecommand'"),
    });
  }
  if (run.state === "lost") {
    const said = `${run.stdout}${run.stderr}`.trim();
    const evidence = [
      `exit ${run.exit ?? "unknown"}`,
      ...(said === "" ? [] : [`it says ${JSON.stringify(said.slice(0, 200))}`]),
    ];
    if (/not available|nologin/i.test(said)) {
      return fail("session.nologin", `the login shell of ${user} is one that lets nobody in`, {
        evidence,
        cause: certain("the account has nologin for a shell: it is meant for a service, or was closed"),
        fix: there(`sudo chsh -s /bin/sh ${user}`),
      });
    }
    if (works && /sftp/i.test(said)) {
      return warn("session.sftp-only", `${user} may use sftp and nothing else`, {
        evidence,
        cause: certain("ForceCommand internal-sftp of the sshd_config"),
      });
    }
    return fail("session.no-commands", "what we run there does not run", {
      evidence,
      cause: likely("a ForceCommand, a command= in authorized_keys, or a login script that ends or hangs the shell"),
      fix: there("sudo sshd -T | grep -i forcecommand; grep -n command= ~/.ssh/authorized_keys"),
    });
  }
  const noise = run.before === "" ? run.after : run.before;
  if (noise === "") return ok("session.run", "programs run, and nothing else is printed");
  const first = Buffer.from(noise, "latin1").subarray(0, 4);
  const number = first.length === 4 ? first.readUInt32BE(0) : undefined;
  return warn(
    "session.noise",
    `the login scripts of ${user} print on stdout: ${JSON.stringify(noise.trim().slice(0, 60))}`,
    {
      evidence: [
        `before a program's own output: ${JSON.stringify(noise.slice(0, 200))}`,
        ...(number === undefined
          ? []
          : [
              `sftp and scp take its first bytes ${JSON.stringify(first.toString("latin1"))} for the length ${number}: "Received message too long ${number}"`,
            ]),
      ],
      cause: certain("~/.bashrc, ~/.cshrc, ~/.zshenv or /etc/bash.bashrc echoes for shells nobody sits at"),
      fix: there(`sed -i '1i [ -t 1 ] || return 0' ~/.bashrc`),
    },
  );
}

function judgeSftp({ sftp }: SessionSeen): Finding {
  const configure = there(
    "echo 'Subsystem sftp internal-sftp' | sudo tee /etc/ssh/sshd_config.d/sftp.conf; sudo systemctl reload ssh",
  );
  if (!("state" in sftp)) return skipped("session.sftp", `sftp could not be tried: ${sftp.error}`);
  const { state, first, exit, said } = sftp;
  if (state === "answered" && first.readUInt32BE(0) < 64 * 1024 && first[4] === 2)
    return ok("session.sftp", "sftp answers");
  if (state === "answered") {
    const number = first.readUInt32BE(0);
    return warn(
      "session.sftp-noise",
      `in place of sftp comes text: ${JSON.stringify(first.toString("latin1").slice(0, 60))}`,
      {
        evidence: [`its first four bytes are the length ${number} to sftp: "Received message too long ${number}"`],
        cause: certain("login scripts print on stdout before the sftp program starts"),
        fix: there(`sed -i '1i [ -t 1 ] || return 0' ~/.bashrc`),
      },
    );
  }
  const evidence = [
    state === "refused"
      ? "the server refuses the subsystem"
      : `it started and ${state === "silent" ? "said nothing" : "ended"}`,
    ...(exit === undefined ? [] : [`exit ${exit}`]),
    ...(said.trim() === "" ? [] : [`it says ${JSON.stringify(said.trim())}`]),
  ];
  return warn(
    "session.no-sftp",
    "there is no sftp; programs run, so files go by other means (ami-node does so by itself)",
    {
      evidence,
      cause: certain(
        state === "refused"
          ? "the sshd_config has no line Subsystem sftp"
          : "the program that Subsystem sftp of the sshd_config names is missing or fails",
      ),
      fix: configure,
    },
  );
}

function judgePty({ ptyRefused }: SessionSeen): Finding {
  if (ptyRefused === undefined) return ok("session.pty", "a terminal is given");
  return warn("session.no-pty", "the server gives no terminal: programs run, ssh connect does not", {
    evidence: [ptyRefused],
    cause: likely("PermitTTY no in the sshd_config, or no-pty (restrict) before the key in authorized_keys"),
    fix: there("grep -n 'no-pty\\|restrict' ~/.ssh/authorized_keys; sudo sshd -T | grep -i permittty"),
  });
}

function judgeForwarding({ forwarding }: SessionSeen): Finding {
  if (forwarding === "unknown") return skipped("session.forwarding", "forwarding could not be tried");
  if (forwarding !== "prohibited") return ok("session.forwarding", "connections are forwarded");
  return warn("session.no-forwarding", "the server forwards no connections: no tunnels, and it cannot be a jump host", {
    evidence: ['open failed: administratively prohibited ("stdio forwarding failed" to ssh -W)'],
    cause: likely("AllowTcpForwarding no in the sshd_config, or no-port-forwarding (restrict) before the key"),
    fix: there(
      "echo 'AllowTcpForwarding yes' | sudo tee /etc/ssh/sshd_config.d/00-forwarding.conf; sudo systemctl reload ssh",
    ),
  });
}

function judgeChannels({ channels: { asked, opened } }: SessionSeen): Finding {
  const evidence = [`${opened} of ${asked} sessions at once`];
  if (opened > fewSessions) return ok("session.channels", `${opened} sessions fit on one connection`, { evidence });
  return warn("session.max-sessions", `only ${opened} session${opened === 1 ? " fits" : "s fit"} on one connection`, {
    evidence,
    cause: certain(
      `MaxSessions ${opened} of the sshd_config; ssh with ControlMaster makes new connections without a word`,
    ),
    fix: there("echo 'MaxSessions 10' | sudo tee /etc/ssh/sshd_config.d/00-sessions.conf; sudo systemctl reload ssh"),
  });
}

/** So few that working in parallel needs many logins. */
const fewSessions = 3;
