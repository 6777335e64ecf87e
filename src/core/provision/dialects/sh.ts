/**
 * The sh dialect: probes and steps as programs for any POSIX shell (dash, bash, busybox ash) and any userland.
 *
 * A program is one compound command: a shell parses it to its end before it runs any of it, so a cut connection runs
 * nothing. Children get stdin from /dev/null, so none eats the rest of the program. All output is frames:
 * `\n@NONCE word args\n` and then bytes up to the next frame; the nonce is fresh and random, so no output can
 * look like a frame. Names start with `ami_`/`AMI_` since user's shell lines run in subshells of this shell.
 */
import { quote, quoteArgv } from "../../argv.ts";
import { napFunction, sendPart } from "../../detached.ts";
import type { Guard, Perms, Step } from "../../resource.ts";
import { aptSteps } from "./apt.ts";
import { unitSteps } from "./systemd.ts";

/** What the target answers for every observe program, whatever the probes: see `readOs`. */
const osFragment = `uname -srmn; id; printf '%s\\n' "$HOME"; for f in /etc/os-release /usr/lib/os-release; do if [ -r $f ]; then while IFS= read -r l || [ -n "$l" ]; do printf '%s\\n' "$l"; done <$f; break; fi; done; command -v sw_vers >/dev/null && sw_vers`;

/**
 * Lock, journal and run logs of the effective user; private (umask 077). By host name, for homes that several machines
 * share.
 */
export const stateFolder = `"$HOME/.ami-node/$(uname -n)"`;

export interface Section {
  readonly name: string;
  readonly sh: string;
}

/** Prints the answers to all sections, framed; ends with the frame `end`. */
export function observeProgram(
  nonce: string,
  sections: readonly Section[],
  options: { os: boolean; unlock?: string | undefined },
): string {
  const all = options.os ? [{ name: "os", sh: osFragment }, ...sections] : sections;
  const parts = all.map(({ name, sh }) => `printf '\\n@%s %s\\n' ${nonce} ${name}\n(\n${sh}\n)`);
  const unlock = options.unlock === undefined ? [] : [unlockLines(options.unlock)];
  return [
    "{",
    saveEnvironment,
    ...unlock,
    ...parts,
    `printf '\\n@%s end\\n' ${nonce}`,
    "} </dev/null 2>/dev/null",
    "",
  ].join("\n");
}

/** The user's own locale and umask come back for their shell lines; ours are fixed, so that output can be parsed. */
const saveEnvironment = `[ -n "\${AMI_U-}" ] || { AMI_U=$(umask); AMI_L=\${LC_ALL-}; }
LC_ALL=C; export LC_ALL; umask 077`;

export interface ApplyProgram {
  readonly nonce: string;
  readonly run: string;
  /** Who asks, for the one who finds the lock taken. No line breaks. */
  readonly who: string;
  readonly changes: readonly CompiledChange[];
  /** Seconds between two looks of what renews the lock; at every third it is renewed. */
  readonly beat?: number;
}

export interface CompiledChange {
  /** Number by which the frames speak of it. */
  readonly index: number;
  readonly steps: readonly CompilableStep[];
  /** Nothing is done when one of them holds. */
  readonly guards: readonly Guard[];
  /** Written before the first step. */
  readonly journal: readonly JournalEntry[];
  /** Journal files removed after the last step (a handler that ran). */
  readonly clear: readonly string[];
  readonly ignoreErrors: boolean;
  readonly retries: number;
  /** Seconds for each program of the change. */
  readonly timeout: number | undefined;
}

/** One handler that is owed: the name of its file, and the one line in it. */
export interface JournalEntry {
  readonly file: string;
  readonly line: string;
}

/** A `write` without a body: the bytes are already in the temp file beside the path. */
export type CompilableStep =
  | Exclude<Step, { do: "write" }>
  | (Omit<Extract<Step, { do: "write" }>, "body"> & { readonly body: Buffer | undefined });

/** Seconds until a lock whose holder is not heard of any more may be taken. */
export const leaseSeconds = 60;

/**
 * Runs the changes as a background subshell that outlives the connection: it ignores HUP and PIPE, writes every frame
 * to `runs/RUN/out` and to the channel, and renews its lock. Frames:
 * `begin` · `start I` · `out I` bytes · `err I` bytes · `end I CODE` (or `end I same`) · `done` / `stopped` / `locked WHO` /
 * `broken WORDS` / `lost` (killed). `out I SIZE` says that only the end of SIZE bytes follows. The lock is kept: programs
 * of the same run may follow, and the last look of the run gives it back.
 */
export function applyProgram(program: ApplyProgram): string {
  const body = program.changes.map((change) => compileChange(change));
  return [
    "{ (",
    saveEnvironment,
    `AMI_N=${program.nonce} AMI_RUN=${quote(program.run)}`,
    `AMI_D=${stateFolder}; AMI_R=$AMI_D/runs/$AMI_RUN`,
    `trap '' HUP PIPE`,
    `AMI_M=$( { mkdir -p "$AMI_R" "$AMI_D/journal" && true >"$AMI_R/o" && printf x >"$AMI_R/e"; } 2>&1) || { printf '\\n@%s broken %s\\n' "$AMI_N" "$AMI_M" >&3; exit 0; }`,
    functions,
    lockFunctions(program.who, program.beat ?? 5),
    `ami_frame begin`,
    `ami_lock || { ami_frame "$AMI_WHO"; exit 0; }`,
    `trap 'ami_unlock; ami_frame stopped; true >"$AMI_R/done"; exit 0' TERM`,
    `printf '%s %s\\n' "$AMI_P" "$(ami_group)" >"$AMI_R/pid"`,
    ...body,
    `rm -f "$AMI_R/o" "$AMI_R/e"`,
    `ami_frame done`,
    `true >"$AMI_R/done"`,
    `ami_tidy; exit 0`,
    ") 3>&1 >/dev/null 2>&1 </dev/null &",
    // Whatever it comes to, a run ends with 0; else it was killed, or its shell gave up: it will not speak again.
    `wait $! || { ${unlockLines(program.run)}; printf '\\n@%s lost\\n' ${program.nonce}; }; }`,
    "",
  ].join("\n");
}

const functions = `ami_group() { if [ -r /proc/self/stat ]; then read -r _ _ _ _ ami_g _ </proc/self/stat && echo "$ami_g"; else ps -o pgid= -p "$AMI_P"; fi; }
ami_frame() { printf '\\n@%s %s\\n' "$AMI_N" "$1" >>"$AMI_R/out"; printf '\\n@%s %s\\n' "$AMI_N" "$1" >&3; }
ami_bytes() { ami_z=$(($(wc -c <"$3"))); [ $ami_z -gt 1048576 ] || ami_z=; ami_frame "$1 $2\${ami_z:+ $ami_z}"; tail -c 1048576 "$3" >>"$AMI_R/out"; tail -c 1048576 "$3" >&3; }
ami_end() {
[ -s "$AMI_R/o" ] && ami_bytes out "$1" "$AMI_R/o"
if [ -s "$AMI_R/e" ]; then ami_bytes err "$1" "$AMI_R/e"; elif [ "$2" -ne 0 ] && ! printf x >"$AMI_R/e"; then ami_frame "err $1"; printf '%s cannot be written: is the disk full?\\n' "$AMI_R" >&3; fi
[ ! -s "$AMI_R/limit" ] || true >"$AMI_R/limit"
ami_frame "end $1 $2"
}
ami_stop() { ami_unlock; rm -f "$AMI_R/o" "$AMI_R/e"; ami_frame done; true >"$AMI_R/done"; exit 0; }
ami_user() { trap - HUP PIPE TERM INT; umask "$AMI_U"; if [ -n "$AMI_L" ]; then LC_ALL=$AMI_L; else unset LC_ALL; fi; exec 3>&-; }
ami_limit() ( exec sh -c 'echo $$ >"$0"; exec timeout -k 5 "$@"' "$AMI_R/limit" "$@" )
ami_fresh() { if [ -e "$1" ] || [ -h "$1" ]; then rm -f -- "$1"; fi; }
ami_move() {
if [ -d "$2" ] && [ ! -h "$2" ]; then echo "$2 is a directory" >&2; return 1; fi
if [ -h "$2" ]; then mv -fT -- "$1" "$2" 2>/dev/null || { rm -f -- "$2" && mv -f -- "$1" "$2"; }; else mv -f -- "$1" "$2"; fi
}
ami_link() { ami_fresh "$2" && ln -s -- "$1" "$2" && ami_move "$2" "$3"; }
ami_append() ( grep -qaxF -e "$2" -- "$1" 2>/dev/null && exit 0; umask 022; if [ -s "$1" ] && [ -n "$(tail -c 1 -- "$1" | tr '\\000' x)" ]; then printf '\\n%s\\n' "$2" >>"$1"; else printf '%s\\n' "$2" >>"$1"; fi )
ami_drop() {
if [ -h "$1" ]; then ami_p=$(readlink -f -- "$1") || return 1; set -- "$ami_p" "$2" "\${ami_p%/*}/.ami-drop.ami-new"; fi
tr -d '\\000' <"$1" | cmp -s - "$1" || { echo "$1 holds NUL bytes: it is no text file" >&2; return 1; }
ami_fresh "$3" && cp -p -- "$1" "$3" && { grep -avxF -e "$2" -- "$1" >"$3"; [ $? -le 1 ]; } && mv -f -- "$3" "$1"
}
ami_tidy() { set -- "$AMI_D"/runs/*; while [ $# -gt 20 ]; do [ "$1" = "$AMI_R" ] || rm -rf -- "$1"; shift; done; }`;

/**
 * The lock is a symlink whose target is the text: making it is atomic, with content, in every file system.
 * `RUN EPOCH SESSION-PID RUNNER-PID BOOT WHO`. It is stale when it was not renewed for a lease, or at once when both
 * processes are known to be gone (same boot, same pid namespace), when it is from a time to come of another boot (the
 * clock was wrong then), or when it is no text of ours. `AMI_WHO`: the frame that says why it was not taken.
 */
function lockFunctions(who: string, beat: number): string {
  return `AMI_P=$(exec sh -c 'echo $PPID')
AMI_B=; [ -r /proc/sys/kernel/random/boot_id ] && read -r AMI_B </proc/sys/kernel/random/boot_id; AMI_B=$AMI_B.$(readlink /proc/self/ns/pid)
ami_info() { printf '%s' "$AMI_RUN $(date +%s) $$ $AMI_P $AMI_B "${quote(who)}; }
ami_lock() {
ami_try=0
while [ $ami_try -lt 5 ]; do
ami_try=$((ami_try+1))
ln -s -- "$(ami_info)" "$AMI_D/lock" 2>/dev/null && { ami_renew & return 0; }
ami_old=$(readlink "$AMI_D/lock") || continue
if ami_parse "$ami_old"; then
[ "$ami_1" = "$AMI_RUN" ] && { ami_again; return 0; }
ami_age=$(($(date +%s)-ami_2))
if [ $ami_age -le ${leaseSeconds} ] && if [ "$ami_5" = "$AMI_B" ] && [ "$ami_5" != . ]; then kill -0 "$ami_3" 2>/dev/null || kill -0 "$ami_4" 2>/dev/null; else [ $ami_age -ge -${leaseSeconds} ]; fi; then AMI_WHO="locked $ami_age $ami_6"; return 1; fi
fi
mv -f -- "$AMI_D/lock" "$AMI_D/lock.$AMI_RUN" 2>/dev/null || continue
[ "$(readlink "$AMI_D/lock.$AMI_RUN")" = "$ami_old" ] || { mv -f -- "$AMI_D/lock.$AMI_RUN" "$AMI_D/lock"; AMI_WHO="locked 0 another run"; return 1; }
rm -f -- "$AMI_D/lock.$AMI_RUN"
done
if [ -e "$AMI_D/lock" ] || [ -h "$AMI_D/lock" ]; then AMI_WHO="locked 0 unknown"; else AMI_WHO="broken $(ln -s x "$AMI_D/lock" 2>&1)"; fi; return 1
}
ami_parse() {
ami_6=
IFS=' ' read -r ami_1 ami_2 ami_3 ami_4 ami_5 ami_6 <<EOF
$1
EOF
for ami_x in "$ami_2" "$ami_3" "$ami_4"; do case $ami_x in ''|0*|*[!0-9]*) return 1;; esac; done
[ -n "$ami_6" ]
}
ami_mine() { case $(readlink "$AMI_D/lock") in "$AMI_RUN "*) return 0;; esac; return 1; }
ami_again() { rm -f -- "$AMI_D/lock.$AMI_RUN" && ln -s -- "$(ami_info)" "$AMI_D/lock.$AMI_RUN" && mv -f -- "$AMI_D/lock.$AMI_RUN" "$AMI_D/lock"; }
ami_renew() {
exec 3>&-
ami_i=0
while sleep ${beat}; do
ami_mine && ami_parse "$(readlink "$AMI_D/lock")" || return
AMI_P=$ami_4
kill -0 "$ami_3" 2>/dev/null || kill -0 "$ami_4" 2>/dev/null || return
ami_i=$((ami_i+1)); [ $((ami_i%3)) -eq 0 ] && ami_again
done
}
ami_unlock() { ami_mine && rm -f -- "$AMI_D/lock"; }`;
}

/** For a program that has none of the functions above. */
function unlockLines(run: string): string {
  return `ami_d=${stateFolder}; case $(readlink "$ami_d/lock") in ${quote(`${run} `)}*) rm -f -- "$ami_d/lock";; esac`;
}

/**
 * Sends what a run has written from `offset` on, and what it still writes until it is done, then `end`;
 * says `lost` when it neither ended nor lives.
 */
export function attachProgram(nonce: string, run: string, offset: number): string {
  return `{
R=${stateFolder}/runs/${quote(run)}; o=${offset}
${napFunction}
printf '\\n@%s attached\\n' ${nonce}
while [ -d "$R" ]; do
d=0; [ -e "$R/done" ] && d=1
n=$(($(wc -c <"$R/out")))
[ $n -gt $o ] && { ${sendPart('"$R/out"', "o", "n")}; o=$n; }
[ $d = 1 ] && break
p=; read -r p _ <"$R/pid"; kill -0 "$p" || { ami_nap 0.2; [ -e "$R/done" ] || { printf '\\n@%s lost\\n' ${nonce}; break; }; }
ami_nap 0.2
done
[ -d "$R" ] || printf '\\n@%s absent\\n' ${nonce}
printf '\\n@%s end\\n' ${nonce}
} </dev/null 2>/dev/null
`;
}

/** Ends a run: the group of its shell, and that of a program with a time limit (`timeout` makes its own). */
export function cancelProgram(run: string): string {
  return `{ R=${stateFolder}/runs/${quote(run)}; read -r _ g <"$R/pid" && kill -s TERM -- "-$g"; read -r g <"$R/limit" && kill -s TERM -- "-$g"; } </dev/null 2>/dev/null\n`;
}

function compileChange(change: CompiledChange): string {
  const i = String(change.index);
  const slow = change.steps.some(
    (step) => step.do === "run" || step.do === "shell" || step.do === "apt" || step.do === "unit",
  );
  const journal = change.journal.map(
    ({ file, line }) => `printf '%s\\n' ${quote(line)} >"$AMI_D/journal/"${quote(file)}`,
  );
  const steps = change.steps.map((step) => compileStep(step, change.timeout)).join(" &&\n") || ":";
  const clear = change.clear.map((name) => `rm -f -- "$AMI_D/journal/"${quote(name)}`);
  const once = `{\n${[...(journal.length > 0 ? [`${journal.join(" && ")} &&`] : []), steps].join("\n")}\n}`;
  const retried = change.retries === 0 ? once : retry(once, change.retries);
  const run = `${slow ? `ami_frame "start ${i}"\n` : ""}{ ${retried}\n} >"$AMI_R/o" 2>"$AMI_R/e" </dev/null
ami_rc=$?
ami_end ${i} $ami_rc
${change.ignoreErrors ? "" : `[ $ami_rc -eq 0 ] || ami_stop`}${clear.length === 0 ? "" : `\n[ $ami_rc -ne 0 ] || ${clear.join(" && ")}`}`;
  if (change.guards.length === 0) return run;
  return `if ${change.guards.map((guard) => `{ ${compileGuard(guard)}; }`).join(" || ")}; then ami_frame "end ${i} same"; else\n${run}\nfi`;
}

function retry(body: string, retries: number): string {
  return `ami_n=0; while :; do ${body}\nami_rc=$?; [ $ami_rc -eq 0 ] && break; [ $ami_n -ge ${retries} ] && break; ami_n=$((ami_n+1)); sleep $ami_n; done; ( exit $ami_rc )`;
}

function compileGuard(guard: Guard): string {
  if ("exists" in guard) return `[ -e ${quote(guard.exists)} ] || [ -h ${quote(guard.exists)} ]`;
  const cd = guard.cwd === undefined ? "" : `cd ${quote(guard.cwd)} && `;
  return `( ami_user; ${cd}eval ${quote(guard.shell)} ) >/dev/null 2>&1 </dev/null`;
}

function compileStep(step: CompilableStep, timeout: number | undefined): string {
  switch (step.do) {
    case "write":
      return compileWrite(step);
    case "mkdir": {
      const mode = step.mode === undefined ? "" : ` -m ${quote(step.mode)}`;
      return [`( umask 022 && mkdir -p${mode} -- ${quote(step.path)} )`, ...owner(step, step.path)].join(" && ");
    }
    case "chmod":
      return `chmod ${quote(step.mode)} -- ${quote(step.path)}`;
    case "chown":
      return owner(step, step.path).join(" && ") || ":";
    case "symlink":
      return `ami_link ${quote(step.target)} ${quote(temp(step.path))} ${quote(step.path)}`;
    case "remove":
      return step.recursive
        ? `rm -rf -- ${quote(step.path)}`
        : `{ if [ -d ${quote(step.path)} ] && [ ! -h ${quote(step.path)} ]; then rmdir -- ${quote(step.path)}; else rm -f -- ${quote(step.path)}; fi; }`;
    case "append":
      return `ami_append ${quote(step.path)} ${quote(step.line)}`;
    case "drop-line":
      return `ami_drop ${quote(step.path)} ${quote(step.line)} ${quote(temp(step.path))}`;
    case "run": {
      const input = step.stdin === undefined ? "" : `printf %s ${quote(step.stdin.reveal())} | `;
      return `${input}( ${environment(step.env)}trap - HUP PIPE TERM INT; exec 3>&-; ${limit(timeout)}${quoteArgv(step.argv)} )`;
    }
    case "shell": {
      const cd = step.cwd === undefined ? "" : `cd ${quote(step.cwd)} && `;
      // The line may hold a secret: it stands in no list of processes.
      const line =
        timeout === undefined
          ? `eval ${quote(step.line)}`
          : `export AMI_E=${quote(step.line)} && ${limit(timeout)}sh -c ${quote('ami_e=$AMI_E; unset AMI_E; eval "$ami_e"')}`;
      return `( ami_user; ${environment(step.env)}${cd}${line} )`;
    }
    case "account": {
      // Behind su the PATH may lack the folders of the system's tools.
      const guard = step.unless === undefined ? "" : `${quoteArgv(step.unless)} >/dev/null 2>&1 || `;
      return `( trap - HUP PIPE TERM INT; exec 3>&-; umask 022; PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin; ${guard}${limit(timeout)}${quoteArgv(step.argv)} )`;
    }
    case "apt":
      return aptSteps(step, timeout);
    case "unit":
      return unitSteps(step, timeout);
    case "daemon-reload":
      return "systemctl daemon-reload";
  }
}

function limit(timeout: number | undefined): string {
  return timeout === undefined ? "" : `ami_limit ${String(timeout)} `;
}

function environment(env: Readonly<Record<string, string>> | undefined): string {
  return Object.entries(env ?? {})
    .map(([key, value]) => `${key}=${quote(value)}; export ${key}; `)
    .join("");
}

/** The temp file is ours alone (umask 077) until its mode and owner are right and it gets its name. */
function compileWrite(step: Extract<CompilableStep, { do: "write" }>): string {
  const t = quote(temp(step.path));
  const prints = (step.body === undefined ? [] : printBody(step.body)).map(
    (print, index) => `${print} ${index === 0 ? ">" : ">>"}${t}`,
  );
  return [
    // What a killed run, or somebody else, left there is not written into.
    ...(prints.length === 0 ? [] : [`ami_fresh ${t}`]),
    ...prints,
    ...owner(step, temp(step.path)),
    `chmod ${quote(step.mode ?? "0644")} -- ${t}`,
    `ami_move ${t} ${quote(step.path)}`,
  ].join(" && ");
}

/** chown before chmod: changing the owner drops setuid and setgid bits. */
function owner(perms: Perms, path: string): string[] {
  if (perms.owner === undefined && perms.group === undefined) return [];
  return [
    `chown -h ${quote(`${perms.owner ?? ""}${perms.group === undefined ? "" : `:${perms.group}`}`)} -- ${quote(path)}`,
  ];
}

/** Beside the target, hidden, and the same in every run: what a killed run leaves is replaced by the next. */
export function temp(path: string): string {
  const slash = path.lastIndexOf("/");
  // A name has at most 255 bytes; a character is not cut in two.
  let name = "";
  for (const character of path.slice(slash + 1)) {
    if (Buffer.byteLength(name + character) > 200) break;
    name += character;
  }
  return `${path.slice(0, slash + 1)}.${name}.ami-new`;
}

/** Bodies whose text is larger than this travel by `host.put` instead. */
export const largestBody = 96 * 1024;

/** How many characters of program a body takes. */
export function bodyCost(body: Buffer): number {
  return printBody(body).reduce((sum, part) => sum + part.length, 0);
}

/** printf is a builtin of every sh: no fork, no limit on length, and no word of it in any process list. */
function printBody(body: Buffer): string[] {
  const text = body.toString("utf8");
  // eslint-disable-next-line no-control-regex
  if (Buffer.from(text, "utf8").equals(body) && !/[\0-\x08\x0b\x0c\x0e-\x1f\x7f]/.test(text))
    return [`printf %s ${quote(text)}`];
  const parts: string[] = [];
  for (let at = 0; at < body.length; at += 4096) {
    let format = "";
    for (const byte of body.subarray(at, at + 4096)) {
      const plain = byte >= 0x20 && byte < 0x7f && byte !== 0x25 && byte !== 0x5c && byte !== 0x27;
      format += plain ? String.fromCharCode(byte) : `\\${byte.toString(8).padStart(3, "0")}`;
    }
    parts.push(`printf -- '${format}'`);
  }
  return parts;
}
