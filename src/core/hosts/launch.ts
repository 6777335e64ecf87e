/**
 * Launch: what to start, and what to send first, so that a program runs with its env and cwd through any login shell.
 *
 * Plain words go directly: the login shell execs a small `sh` which says its pid on stderr and execs the program, so
 * nothing is forked. Words that fish or csh would spoil, env values (they must not be seen in `ps`) and a cwd go
 * over stdin instead, as one line which that `sh` reads and evaluates before the program gets the rest of stdin.
 *
 * The pid is said between a mark nobody else can know and a semicolon; `stripMarks` takes it out again. That is how
 * `kill` learns the process group: no extra round trip, no pid file left behind, nothing in the program's
 * environment, and no mark on children that were started to outlive the program.
 */
import { type Argv, isAnyShellSafe, quote, quoteArgv } from "../argv.ts";
import { AmiError } from "../errors.ts";
import type { SpawnOptions } from "../host.ts";

export interface Launch {
  readonly argv: Argv;
  /** To be written to stdin before anything else; after the first mark when there is a pty. */
  readonly firstLine?: string | undefined;
  /**
   * What will be said: the process (always), then `run` or `cwd` (the folder cannot be entered) when `marks` is 2.
   */
  readonly marks: 1 | 2;
}

export interface LaunchOptions extends Pick<SpawnOptions, "env" | "cwd" | "pty"> {
  /** Is `$$` the process group? Otherwise it is looked up in /proc. */
  readonly leads: boolean;
}

/** Words and first line for a program. `mark` holds letters, digits and colons only. */
export function launch(argv: Argv, mark: string, options: LaunchOptions): Launch {
  const say = options.leads ? sayPid : sayStat;
  const words = unstumbling(argv);
  const find = options.leads ? "" : `${findFirst}; `;
  const direct: Argv = ["sh", "-c", `${say}; shift; ${find}exec "$@"`, "sh", mark, ...words];
  const hasEnv = options.env !== undefined && Object.keys(options.env).length > 0;
  const line = quoteArgv(direct);
  if (!hasEnv && options.cwd === undefined && isAnyShellSafe(line) && line.length < maxLine)
    return { argv: direct, marks: 1 };

  const pty = options.pty !== undefined;
  const read = `IFS= read -r AMI_l && eval "$AMI_l"`;
  // Under a terminal the line must neither be echoed nor cut at 4095 bytes.
  const program = pty ? `AMI_t=$(stty -g); stty raw -echo; ${say}; ${read}` : `${say}; ${read}`;
  const confirmed = pty || options.cwd !== undefined;
  return {
    argv: ["sh", "-c", program, "sh", mark],
    firstLine: firstLine(words, mark, options, confirmed),
    marks: confirmed ? 2 : 1,
  };
}

/** Throws `usage.input` for what no process can be given. */
export function checkLaunch(argv: readonly string[], options: Pick<SpawnOptions, "env" | "cwd">): void {
  const name = Object.keys(options.env ?? {}).find((key) => !/^[A-Za-z_][A-Za-z0-9_]*$/.test(key));
  if (name !== undefined)
    throw new AmiError("usage.input", `${JSON.stringify(name)} is no name of an environment variable`);
  const fixed = Object.keys(options.env ?? {}).find((key) => ofTheShell.has(key));
  if (fixed !== undefined)
    throw new AmiError("usage.input", `${fixed} cannot be set: the shell there keeps it for itself`, {
      hint: `give the value another name, or set it with env: env ${fixed}=VALUE PROGRAM`,
    });
  if (argv.length === 0) throw new AmiError("usage.input", "there is no program to start: the argv is empty");
  const all = [...argv, options.cwd ?? "", ...Object.values(options.env ?? {})];
  if (all.some((word) => word.includes("\0"))) {
    throw new AmiError("usage.input", `${argv[0] ?? ""}: a word holds a NUL byte, which no program can be given`);
  }
}

/** Read-only where sh is bash: a program would not start. Refused everywhere, so that it does not depend on the sh. */
const ofTheShell: ReadonlySet<string> = new Set(["BASHOPTS", "BASH_VERSINFO", "EUID", "PPID", "SHELLOPTS", "UID"]);

/** What the first mark said. `group` is undefined where only `ps` can tell it. */
export function readProcess(said: string, leads: boolean): { pid: number; group: number | undefined } {
  const [pid = "", stat = ""] = said.split(/ (.*)/s);
  // /proc/PID/stat: pid (name, which may hold anything) state parent group session ...
  const group = leads ? pid : /^.*\) \S+ \S+ (\d+)/s.exec(stat)?.[1];
  return { pid: Number(pid), group: group === undefined ? undefined : Number(group) };
}

/** Linux takes no single word beyond 128 KiB, and the whole line is one word of the login shell. */
const maxLine = 100_000;

const sayPid = `printf "%s" "$1$$;" >&2`;
const sayStat = `{ read -r AMI_s </proc/$$/stat; } 2>/dev/null; printf "%s" "$1$$ \${AMI_s-};" >&2`;

/**
 * Another user's PATH may hold folders that are closed to this one; exec then says 126 where it means 127. Only after a
 * switch of users, so that the common case does not pay for it.
 */
const findFirst = `case $1 in */*) ;; *) command -v "$1" >/dev/null || { echo "$1: not found" >&2; exit 127; };; esac`;

function firstLine(words: readonly string[], mark: string, options: LaunchOptions, confirmed: boolean): string {
  const steps = ["unset AMI_l AMI_s"];
  if (options.pty !== undefined) steps.push(`stty "$AMI_t"; unset AMI_t`);
  // A newline without a newline: the default IFS is space, tab, newline, and no shell takes IFS from its environment.
  steps.push(`set -- "\${IFS#??}"`);
  if (options.cwd !== undefined) {
    const failed = `{ printf '%s' '${mark}cwd;' >&2; exit 126; }`;
    steps.push(`cd ${folderWord(options.cwd)} 2>/dev/null || ${failed}`);
  }
  for (const [key, value] of Object.entries(options.env ?? {})) steps.push(`export ${key}=${oneLine(value)}`);
  if (confirmed) steps.push(`printf '%s' '${mark}run;' >&2`);
  const program = words.map(oneLine).join(" ");
  steps.push(options.leads ? `exec ${program}` : `set -- ${program}; ${findFirst}; exec "$@"`);
  return `${steps.join("; ")}\n`;
}

/** No folder may look like an option, or like the `-` of `cd -`. */
function folderWord(cwd: string): string {
  if (/^~(?=\/|$)/.test(cwd)) return `"$HOME"${oneLine(`${cwd.slice(1)}/`)}`;
  return oneLine(cwd.startsWith("/") ? cwd : `./${cwd}`);
}

/** A quoted word on one line: newlines become `$1`, which holds one. */
function oneLine(word: string): string {
  return word.split("\n").map(quote).join(`"$1"`);
}

/** `exec -x` would take the program for an option, and not every sh knows `exec --`: there is no such program. */
function unstumbling(argv: Argv): Argv {
  return argv[0].startsWith("-") ? ["sh", "-c", `echo "$1: not found" >&2; exit 127`, "sh", argv[0]] : argv;
}
