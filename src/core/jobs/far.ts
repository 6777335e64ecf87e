/**
 * Far: the programs that jobs need on their machine, for any POSIX shell (dash, bash, busybox ash).
 *
 * A job is a folder `$HOME/.ami-node/jobs/ID` (0700) of the effective user: `about` (what was asked for, JSON), `out` and
 * `err`, `pid` (`PID MARK GROUP SESSION STARTED MACHINE SPACE` of its runner) and `end` (`exit CODE ENDED [full]`). The
 * last two are made as lines of blanks before the job begins and written in place, so that a disk that is full by then
 * cannot keep its end from being told.
 *
 * What a job inherits must stay what it was: where one is started all variables of ours begin with `ami_`.
 */
import { quote, quoteArgv } from "../argv.ts";
import { napFunction, sendPart } from "../detached.ts";

/** Variable of every job's environment: which processes are its own can be told by it when its runner is gone. */
export const jobVariable = "AMI_NODE_JOB";

/** Variable that carries the wished environment past the runner, which needs its own; in no argv and on no disk. */
const wishedVariable = "ami_wished";

/** Days that jobs which have ended are kept. */
export const keptDays = 30;

const folder = `"$HOME/.ami-node/jobs"`;

/** Sets `ami_m`: when a process was started, in words no later owner of its pid has; empty: there is none. */
const markFunction = `ami_mark() {
ami_m=
if [ -r /proc/self/stat ]; then
{ read -r ami_s </proc/$1/stat; } 2>/dev/null || return 0
read -r ami_b </proc/sys/kernel/random/boot_id
set -- \${ami_s##*) }
case $1 in Z|X) ;; *) ami_m=$ami_b.\${20} ami_g=$3 ami_t=$4;; esac
else ami_m=$(ps -o lstart= -p "$1" 2>/dev/null | tr -s ' ' _) ami_g=$(($(ps -o pgid= -p "$1" 2>/dev/null))) ami_t=; fi
}`;

/**
 * Reads the folder of a job; sets `ami_end` (and the rest of its end), else `ami_alive`. False: there is no such
 * job. A home may be shared by machines and by containers of one; a machine may be given another name while jobs run.
 */
const readFunction = `ami_renamed() {
case $ami_mine in "$(cat /proc/sys/kernel/random/boot_id 2>/dev/null)".?*) [ "$ami_space" = "$(readlink /proc/self/ns/pid)" ];; *) return 1;; esac
}
ami_read() {
ami_pid=; { read -r ami_pid ami_mine ami_group ami_session ami_began ami_node ami_space <"$1/pid"; } 2>/dev/null
[ -n "$ami_pid" ] || return 1
[ "$ami_node" = "$(uname -n)" ] || ami_renamed || return 1
ami_look "$1"
}
ami_look() {
ami_end= ami_alive=; read -r ami_w ami_code ami_at ami_full <"$1/end" || return 1
if [ "$ami_w" = exit ]; then ami_end=1; return 0; fi
ami_mark "$ami_pid"; [ "$ami_m" = "$ami_mine" ] && ami_alive=1
# It may have ended between the two looks.
[ -n "$ami_alive" ] || { read -r ami_w ami_code ami_at ami_full <"$1/end" && [ "$ami_w" = exit ] && ami_end=1; }
return 0
}`;

/**
 * Sets `ami_l`: the processes of a job beside its runner. Those of its session, when the runner was seen to lead it, and those
 * that carry the job in their environment (Linux only): they left the session, or outlived the runner.
 */
function membersFunction(id: string): string {
  return `ami_led=
ami_members() {
ami_l=; [ -z "$ami_alive" ] || [ "$ami_session" != "$ami_pid" ] || ami_led=$ami_pid
if [ -r /proc/self/stat ]; then
ami_e=" $(grep -ls "${jobVariable}=${id}" /proc/[0-9]*/environ | tr -c 0-9 ' ') "
for f in /proc/[0-9]*/stat; do
{ read -r s <$f; } 2>/dev/null || continue
p=\${s%% *}; set -- \${s##*) }
case $1 in Z|X) continue;; esac
[ $p != $ami_pid ] || continue
[ "$4" = "$ami_led" ] || case $ami_e in *" $p "*) ;; *) continue;; esac
ami_l="$ami_l $p"
done
elif [ -n "$ami_alive" ]; then ami_l=$(ps -A -o pid= -o pgid= | while read -r p g; do [ "$g" != "$ami_group" ] || [ "$p" = "$ami_pid" ] || printf ' %s' "$p"; done); fi
}`;
}

/**
 * Runs the job and keeps its end. It ignores the signals that are meant for the job, which gets them back as they were.
 * Words: folder, umask, who waits to be killed, whether hang-ups reach the job; then the command.
 */
const runner = `${markFunction}
ami_d=$1 ami_u=$2 ami_k=$3 ami_h=$4; shift 4
trap '' HUP INT QUIT TERM PIPE
ami_mark $$
printf '%s' "$$ $ami_m \${ami_g:-0} \${ami_t:-0} $(date +%s) $(uname -n) $(readlink /proc/self/ns/pid 2>/dev/null)" 1<>"$ami_d/pid"
kill -9 "$ami_k"
( trap - $ami_h INT QUIT TERM PIPE; umask "$ami_u"; eval "unset ${wishedVariable}; $${wishedVariable}"; exec "$@" ) </dev/null >"$ami_d/out" 2>"$ami_d/err"
ami_c=$?
ami_f=; { printf x >"$ami_d/full"; } 2>/dev/null || ami_f=full
rm -f "$ami_d/full"
printf '%s' "exit $ami_c $(date +%s) $ami_f" 1<>"$ami_d/end"
`;

/**
 * Starts the runner as the leader of a session of its own. A list in the background would make it, and so the job, deaf
 * to INT for good where there is no job control; so it is started in the foreground and ends the shell that waits for it.
 */
const launcher = `ami_d=$1 ami_u=$2; shift 2; exec 3>&- 4>&- 5>&- 6>&- 7>&- 8>&- 9>&-
if command -v setsid >/dev/null; then setsid sh "$ami_d/run" "$ami_d" "$ami_u" $$ HUP "$@"
elif perl -MPOSIX -e 1; then perl -MPOSIX -e 'POSIX::setsid(); exec @ARGV' sh "$ami_d/run" "$ami_d" "$ami_u" $$ HUP "$@"
elif python3 -c 1; then python3 -c 'import os,sys; os.setsid(); os.execvp(sys.argv[1],sys.argv[1:])' sh "$ami_d/run" "$ami_d" "$ami_u" $$ HUP "$@"
else sh "$ami_d/run" "$ami_d" "$ami_u" $$ '' "$@"; fi
:`;

export interface StartWords {
  readonly nonce: string;
  readonly id: string;
  readonly argv: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  /** One line. */
  readonly about: string;
}

/**
 * Starts a job, once however often it is run with the same id. Says `@NONCE started`, or `@NONCE broken WORDS`. Takes
 * jobs away that have ended long ago.
 */
export function startProgram({ nonce, id, argv, env, about }: StartWords): string {
  const wished = Object.entries({ ...env, [jobVariable]: id }).map(([name, value]) => `export ${name}=${quote(value)}`);
  return `{
ami_u=$(umask); umask 077; ami_j=${folder}; ami_d=$ami_j/${id}
${napFunction}
${markFunction}
${readFunction}
${membersFunction('$(basename "$ami_d")')}
# By cat, which tells why it cannot: some shells only say that they cannot.
ami_make() { printf '%s\\n' ${quote(about)} | cat >"$ami_d/about" && printf '%s' ${quote(runner)} | cat >"$ami_d/run" && printf '%200s\\n' '' | cat >"$ami_d/pid" && printf '%80s\\n' '' | cat >"$ami_d/end" && true >"$ami_d/out" && true >"$ami_d/err"; }
ami_home() { case \${HOME-} in /*) ;; *) echo "the user has no home folder"; return 1;; esac; }
if ! ami_why=$( { ami_home && mkdir -p "$ami_j" && mkdir "$ami_d"; } 2>&1); then
# Who made it before us starts it.
if [ -d "$ami_d" ]; then ami_why=; ami_i=0; while [ $ami_i -lt 50 ] && ! ami_read "$ami_d"; do ami_nap 0.2; ami_i=$((ami_i+1)); done; fi
elif ami_why=$(ami_make 2>&1); then
export ${jobVariable}=${id} ${wishedVariable}=${quote(wished.join("; "))}
{ sh -c ${quote(launcher)} sh "$ami_d" "$ami_u" ${quoteArgv(argv)}; } </dev/null >/dev/null 2>&1
unset ${jobVariable} ${wishedVariable}
ami_read "$ami_d" || { ami_why="its runner ended at once"; rm -rf "$ami_d"; }
else rm -rf "$ami_d"; fi
if [ -d "$ami_d" ] && ami_read "$ami_d"; then printf '\\n@%s started\\n' ${nonce}; else printf '\\n@%s broken %s\\n' ${nonce} "\${ami_why:-it is begun and does not come to run}"; fi
# Nothing in the folder is younger. How long one has been lost nobody knows: it is kept as long from when that is seen.
find "$ami_j" -path "$ami_j/*/end" -mtime +${keptDays} | while read -r ami_d; do ami_d=\${ami_d%/end}
[ -z "$(find "$ami_d" ! -mtime +${keptDays})" ] && ami_read "$ami_d" && [ -z "$ami_alive" ] || continue
if [ -n "$ami_end" ] || [ -e "$ami_d/lost" ]; then rm -rf "$ami_d"; else ami_members; [ -n "$ami_l" ] || true >"$ami_d/lost"; fi
done 2>/dev/null
} </dev/null
`;
}

/** For each job four lines: `job ID ALIVE OUT ERR`, those of `pid` and `end`, and `about`; then `@NONCE end`. */
export function listProgram(nonce: string): string {
  return `{
J=${folder}
${markFunction}
${readFunction}
printf '\\n@%s list\\n' ${nonce}
for D in "$J"/*; do
case \${D##*/} in *[!a-z2-9]*) continue;; esac
ami_read "$D" 2>/dev/null || continue
{ read -r a <"$D/about"; } 2>/dev/null || a=
printf 'job %s %s %s %s\\n%s\\n%s\\n%s\\n' "\${D##*/}" "\${ami_alive:-0}" $(($(wc -c <"$D/out"))) $(($(wc -c <"$D/err"))) "$ami_pid $ami_mine $ami_group $ami_session $ami_began $ami_node" "$ami_w $ami_code $ami_at $ami_full" "$a"
done
printf '@%s end %s\\n' ${nonce} "$(date +%s)"
} </dev/null
`;
}

/**
 * Sends what a job has said from these places on: lines `out SIZE` and `err SIZE`, each followed by so many bytes; then
 * `end CODE ENDED FULL`, `lost`, `absent`, or, of one that goes on and is not followed, `more`.
 * Ends when its stdin does, so that it does not outlive a connection that was cut.
 * Words: nonce, id, where in out, where in err, `follow` or nothing.
 */
export const followProgram = `N=$1 D=$HOME/.ami-node/jobs/$2 o=$3 e=$4 F=$5 i=0
${napFunction}
${markFunction}
${readFunction}
ami_send() {
n=$(($(wc -c <"$D/$1"))); [ $n -gt $2 ] || return 1
[ $((n-$2)) -le 4194304 ] || { n=$(($2+4194304)); more=1; }
printf '%s %s\\n' $1 $((n-$2)); ${sendPart('"$D/$1"', "$2", "n")}
}
trap 'exit 0' TERM
exec 3<&0 </dev/null
( cat <&3; kill -s TERM $$ ) >/dev/null 2>&1 &
W=$!
exec 3<&-
printf '\\n@%s\\n' "$N"
if ami_read "$D"; then
while :; do
more=; ami_look "$D" || { printf 'absent\\n'; break; }
ami_send out $o && o=$n i=0
ami_send err $e && e=$n i=0
[ -z "$more" ] || continue
[ -z "$ami_end" ] || { printf 'end %s %s %s\\n' "$ami_code" "$ami_at" "$ami_full"; break; }
[ -n "$ami_alive" ] || { printf 'lost\\n'; break; }
[ -n "$F" ] || { printf 'more\\n'; break; }
i=$((i+1)); if [ $i -lt 20 ]; then ami_nap 0.05; elif [ $i -lt 100 ]; then ami_nap 0.2; else ami_nap 0.5; fi
done
else printf 'absent\\n'; fi
wait $W`;

/** How long killed processes are waited for: those of another user, and those stuck in the kernel, do not end. */
const secondsToDie = 5;

/**
 * Signals a job: all its processes, so that what made a group of its own (`timeout`, a shell with job control) is not left
 * out; the runner, which ignores it, stays to tell the end. With a grace time it waits for the end, and kills what is left
 * when that has passed. Says `@NONCE ended`, `sent` or `killed` (and the exit code), `remains PIDS` or `absent`.
 */
export function signalProgram(nonce: string, id: string, signal: string, grace?: number): string {
  return `{
D=${folder}/${id}
${napFunction}
${markFunction}
${readFunction}
${membersFunction(id)}
ami_kill() { ami_members; [ -z "$ami_l" ] || kill -s $1 -- $ami_l; }
ami_clock() { { read -r ami_n ami_x </proc/uptime && ami_n=\${ami_n%.*}; } || ami_n=$(date +%s); }
ami_over() { ami_look "$D"; [ -z "$ami_alive" ] || return 1; ami_members; [ -z "$ami_l" ]; }
if ami_read "$D"; then
if ami_over; then R=ended; else ami_kill ${signal}; R=sent; fi
${
  grace === undefined
    ? ""
    : `ami_clock; T=$((ami_n+${Math.ceil(grace / 1000)}))
while ! ami_over; do
ami_clock
if [ $ami_n -ge $((T+${secondsToDie})) ]; then R=remains; break; fi
if [ $ami_n -ge $T ]; then ami_kill KILL; R=killed; fi
ami_nap 0.1
done`
}
else R=absent; fi
if [ $R = remains ]; then ami_code=$ami_l; fi
printf '\\n@%s %s %s\\n' ${nonce} $R "$ami_code"
} </dev/null 2>/dev/null
`;
}

/** Takes jobs away that run no more, nor anything of a lost one, which nobody could find again. Says `@NONCE ID removed`, `running` or `absent` for each. */
export function removeProgram(nonce: string, ids: readonly string[]): string {
  return `{
${markFunction}
${readFunction}
${membersFunction("$i")}
for i in ${quoteArgv(ids)}; do D=${folder}/$i
if ! ami_read "$D"; then R=absent
elif [ -n "$ami_alive" ] || { [ -z "$ami_end" ] && ami_members && [ -n "$ami_l" ]; }; then R=running
elif rm -rf "$D"; then R=removed; else R=kept; fi
printf '\\n@%s %s %s\\n' ${nonce} "$i" "$R"
done
} </dev/null
`;
}
