/** Local: this machine as a Host. Each program is a process group of its own, so that ending it ends its children. */
import { stat } from "node:fs/promises";
import { homedir } from "node:os";
import { PassThrough, Readable, Writable, pipeline } from "node:stream";
import { quoteArgv } from "../argv.ts";
import { cancelled } from "../cancelled.ts";
import { AmiError } from "../errors.ts";
import type { Exit, Host } from "../host.ts";
import { localUser } from "../runtime-compat.ts";
import type { Argv } from "../argv.ts";
import { localWay } from "./local-way.ts";
import { posixHost } from "./posix.ts";
import type { RawProcess, RawStart, RawTransport } from "./raw.ts";

export function localHost(): Host {
  return { ...posixHost(localTransport()), forward: () => Promise.resolve(localWay) };
}

const name = "local";

function localTransport(): RawTransport {
  return {
    name,
    // Nothing limits a machine but its process table; this keeps a fan-out from filling it.
    parallel: 256,
    user: localUser().name,
    words: "kernel",
    leads: true,
    start: async (argv, options) =>
      startProcess(options.pty === undefined ? argv : await underPty(argv, options.pty), options),
    close: () => Promise.resolve(),
  };
}

async function startProcess(argv: Argv, { env, cwd: folder, pty, signal }: RawStart): Promise<RawProcess> {
  const cwd = folder?.replace(/^~(?=\/|$)/, homedir());
  const { execa } = await import("execa");
  if (signal?.aborted === true) throw cancelled(name, signal?.reason);
  if (cwd !== undefined && !(await isFolder(cwd))) {
    throw new AmiError("host.cwd", `there is no folder ${cwd} that can be entered`, { host: name });
  }
  const subprocess = execa(argv[0], argv.slice(1), {
    detached: true,
    buffer: false,
    reject: false,
    stripFinalNewline: false,
    stdin: "pipe",
    stdout: "pipe",
    stderr: "pipe",
    // `script` starts $SHELL; ours has its own line to get the real one back.
    env: {
      SHLVL: shellLevel(),
      ...env,
      ...(pty === undefined ? {} : { SHELL: "/bin/sh", TERM: pty.term ?? "xterm-256color" }),
    },
    ...(cwd === undefined ? {} : { cwd }),
  });
  const child = subprocess.nodeChildProcess;
  const { pid } = child;
  if (pid === undefined) return notStarted(argv, await subprocess);

  const exit = Promise.withResolvers<Exit>();
  groups.add(pid);
  child.once("exit", (code, killedBy) => {
    groups.delete(pid);
    exit.resolve(killedBy === null ? { code: code ?? 0 } : { signal: killedBy.replace(/^SIG/, "") });
  });
  // execa drains outputs that nobody reads at once; through a pipe they wait for their reader.
  const stdout = behind(subprocess.stdout);
  const stderr = behind(subprocess.stderr);
  void subprocess.catch(() => undefined);
  return {
    stdin: subprocess.stdin,
    stdout,
    stderr,
    exit: exit.promise,
    group: pid,
    abandon() {
      for (const stream of [subprocess.stdin, stdout, stderr]) stream.destroy();
    },
  };
}

/**
 * bash that no shell has started, and whose stdin is a socket as ours is, takes itself for a login from afar: it would
 * run the user's rc file, and what that prints or sets would get in between.
 */
function shellLevel(): string {
  return Number(process.env["SHLVL"]) > 0 ? String(process.env["SHLVL"]) : "1";
}

function behind(stream: Readable): Readable {
  const through = new PassThrough();
  through.on("error", () => undefined);
  pipeline(stream, through, () => undefined);
  return through;
}

/** What shells say: 127 for a missing program, 126 for one that cannot be executed. Anything else is no start at all. */
function notStarted(
  argv: Argv,
  result: { code?: string | undefined; originalMessage?: string | undefined; cause?: unknown },
): RawProcess {
  const known = {
    ENOENT: [127, "not found"],
    EACCES: [126, "permission denied"],
    ENOEXEC: [126, "not executable"],
  } as const;
  const [code, why] = known[result.code as keyof typeof known] ?? [];
  if (code === undefined) {
    throw new AmiError("host.spawn", `${argv[0]}: ${result.originalMessage ?? result.code ?? "cannot be started"}`, {
      host: name,
      cause: result.cause,
    });
  }
  return {
    stdin: new Writable({ write: (_chunk, _encoding, done) => done() }),
    stdout: Readable.from([]),
    stderr: Readable.from([Buffer.from(`${argv[0]}: ${why}\n`)]),
    exit: Promise.resolve({ code }),
    abandon: () => undefined,
  };
}

/**
 * Node has no pty of its own, and an addon would be one binary more per platform; `script` is on every Linux with
 * util-linux, on macOS and on the BSDs. Without it: `host.unsupported`.
 */
async function underPty(argv: Argv, pty: { columns: number; rows: number }): Promise<Argv> {
  const size = `stty rows ${pty.rows} columns ${pty.columns} echo 2>/dev/null`;
  if (process.platform !== "linux")
    return ["script", "-q", "/dev/null", "sh", "-c", `${size}; exec "$@"`, "sh", ...argv];
  const version = await startProcess(["script", "--version"], { mark: "" });
  version.stdin.end();
  version.stderr.resume();
  const said = await version.stdout.toArray();
  if (!Buffer.concat(said).includes("util-linux")) {
    throw new AmiError("host.unsupported", "there is no terminal for local programs: script of util-linux is missing", {
      host: name,
      hint: "install bsdutils (Debian) or util-linux (others)",
    });
  }
  const shell = process.env.SHELL === undefined ? "unset SHELL" : quoteArgv(["export", `SHELL=${process.env.SHELL}`]);
  return ["script", "-qefc", `${size}; ${shell}; exec ${quoteArgv(argv)}`, "/dev/null"];
}

async function isFolder(path: string): Promise<boolean> {
  return stat(path).then(
    (found) => found.isDirectory(),
    () => false,
  );
}

/** Process groups that run. Detached groups outlive us: whoever leaves without `close` still ends them. */
const groups = new Set<number>();
process.on("exit", () => {
  for (const group of groups) {
    try {
      process.kill(-group, "SIGTERM");
    } catch {
      // already gone, or somebody else's
    }
  }
});
