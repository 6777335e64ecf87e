/** Ssh: a machine behind an ssh login as a Host. */
import { once } from "node:events";
import { Readable } from "node:stream";
import { type Argv, isAnyShellSafe, quoteArgv } from "../argv.ts";
import type { Exit, Host, PutOptions, Terminal } from "../host.ts";
import { matchPatternList } from "../ssh/config/patterns.ts";
import type { SshConfig } from "../ssh/config/resolve.ts";
import { openWay } from "../ssh/forward.ts";
import type { Link } from "../ssh/link.ts";
import { openSftp, openSftpFiles } from "../ssh/sftp.ts";
import { posixHost } from "./posix.ts";
import { type RawStart, type RawTransport, loginLine } from "./raw.ts";

export interface SshHostOptions {
  readonly link: Link;
  readonly config: SshConfig;
  /** Where SendEnv looks. */
  readonly env: Readonly<Record<string, string | undefined>>;
}

/** `close` ends its programs; the connection belongs to the pool. */
export function sshHost(name: string, options: SshHostOptions): Host {
  const host = posixHost(sshTransport(name, options));
  let hasSftp = true;

  /** What comes in one small piece is there sooner by a program than by sftp, which needs more round trips. */
  const isSmall = (source: Buffer | string | Readable): source is Buffer | string =>
    !(source instanceof Readable) && Buffer.byteLength(source) <= 64 * 1024;
  /** sftp knows owners by number only. */
  const hasNames = ({ owner = "0", group = "0" }: PutOptions): boolean => !/^\d+$/.test(owner) || !/^\d+$/.test(group);

  return {
    ...host,
    forward: (signal) => openWay(options.link, signal),
    async put(source, path, putOptions = {}) {
      if (!hasSftp || isSmall(source) || hasNames(putOptions)) return host.put(source, path, putOptions);
      const sftp = await openSftp(options.link, putOptions.signal);
      if (sftp === undefined) {
        hasSftp = false;
        return host.put(source, path, putOptions);
      }
      try {
        const stream =
          source instanceof Readable ? source : Readable.from([Buffer.from(source)], { objectMode: false });
        await sftp.put(stream, path, putOptions);
      } finally {
        sftp.close();
      }
    },
    files: (signal, apart) => openSftpFiles(options.link, { signal, apart }),
    async get(path, getOptions = {}) {
      const sftp = hasSftp ? await openSftp(options.link, getOptions.signal) : undefined;
      if (sftp !== undefined) return sftp.get(path, getOptions.signal);
      hasSftp = false;
      return host.get(path, getOptions);
    },
  };
}

function sshTransport(name: string, { link, config, env }: SshHostOptions): RawTransport {
  const sent = environment(config, env);
  const forwardAgent = config.forwardAgent !== false;
  return {
    name,
    // The link makes further connections when the server's MaxSessions is used up.
    parallel: 32,
    user: config.user,
    words: "shell",
    leads: true,
    async start(argv, { pty, signal, urgent }: RawStart) {
      const start = { command: loginLine(argv), pty, env: sent, forwardAgent };
      const session = await link.session(start, { signal, urgent });
      const { stdin, stdout, stderr, exit, accepted, abandon } = session;
      return { stdin, stdout, stderr, exit, started: accepted, abandon };
    },
    shell: (terminal, argv) => {
      const command = argv === undefined ? config.remoteCommand : anyShellLine(argv);
      return openShell(link, terminal, { command, env: sent, forwardAgent });
    },
    escapeKey: config.escapeChar,
    close: () => Promise.resolve(),
  };
}

/** SendEnv and SetEnv of the config: settings such as LANG, which the server takes or leaves. */
function environment(config: SshConfig, env: SshHostOptions["env"]): Record<string, string> {
  const patterns = config.sendEnv.join(",");
  const sent = Object.entries(env).filter(([key]) => patterns !== "" && matchPatternList(key, patterns) === "match");
  const filled = sent.flatMap(([key, value]) => (value === undefined ? [] : [[key, value] as const]));
  return { ...Object.fromEntries(filled), ...config.setEnv };
}

async function openShell(
  link: Link,
  terminal: Terminal,
  how: { command: string | undefined; env: Readonly<Record<string, string>>; forwardAgent: boolean },
): Promise<Exit> {
  const { columns, rows, term, stdin, stdout } = terminal;
  const session = await link.session({ pty: { columns, rows, term }, ...how });
  const stopResizing = terminal.onResize((newColumns, newRows) => session.resize(newColumns, newRows));
  stdin.pipe(session.stdin);
  session.stderr.resume();
  // Everything is on the screen before the exit code is told; the terminal itself stays open.
  const show = async (): Promise<void> => {
    for await (const bytes of session.stdout) {
      if (!stdout.write(bytes)) await Promise.race([once(stdout, "drain"), once(stdout, "close")]);
    }
  };
  try {
    const [exit] = await Promise.all([session.exit, show()]);
    return exit;
  } finally {
    stopResizing();
    stdin.unpipe(session.stdin);
    session.abandon();
  }
}

/** An argv as a line that reaches `sh` unharmed through any login shell; stdin belongs to the terminal. */
function anyShellLine(argv: Argv): string {
  const line = quoteArgv(argv);
  if (isAnyShellSafe(line)) return loginLine(argv);
  const hidden = Buffer.from(`exec ${line}`).toString("base64");
  return loginLine(["sh", "-c", 'eval "$(printf %s "$1" | base64 -d)"', "sh", hidden]);
}
