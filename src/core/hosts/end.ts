/** End: signals process groups on the target through a channel of its own, as the same user. */
import type { Argv } from "../argv.ts";
import type { RawTransport } from "./raw.ts";
import { settledWithin } from "./settled.ts";
import { newMark } from "./marks.ts";

/** `END`: TERM, and KILL for what is left after 2 s. */
export type Ending = "TERM" | "KILL" | "INT" | "HUP" | "END";

export interface Victim {
  readonly pid: number;
  readonly group: number | undefined;
}

/** Resolves when the signals are delivered; for `END` when nothing of the groups is left. Never rejects. */
export type EndGroups = (victim: Victim, ending: Ending) => Promise<void>;

/**
 * Requests that come while one is under way are sent together, so that ending any number of programs takes one
 * channel.
 */
export function createEndGroups(raw: RawTransport): EndGroups {
  const waiting = new Map<Ending, { victims: Victim[]; done: PromiseWithResolvers<void> }>();
  let busy = false;

  const work = async (): Promise<void> => {
    busy = true;
    // Requests of this very moment join.
    await Promise.resolve();
    for (let [next] = waiting; next !== undefined; [next] = waiting) {
      const [ending, { victims, done }] = next;
      waiting.delete(ending);
      await signalGroups(raw, victims, ending);
      done.resolve();
    }
    busy = false;
  };
  return (victim, ending) => {
    const batch = waiting.get(ending) ?? { victims: [], done: Promise.withResolvers<void>() };
    waiting.set(ending, batch);
    batch.victims.push(victim);
    if (!busy) void work();
    return batch.done.promise;
  };
}

/** A dead connection must not hold the caller: then nobody can say what became of the programs anyway. */
const patience = 20_000;

async function signalGroups(raw: RawTransport, victims: readonly Victim[], ending: Ending): Promise<void> {
  const giveUp = new AbortController();
  const run = async (): Promise<void> => {
    const mark = newMark();
    const process = await raw.start(endArgv(victims, ending, mark), { signal: giveUp.signal, mark, urgent: true });
    for (const stream of [process.stdin, process.stdout, process.stderr]) stream.on("error", () => undefined);
    process.started?.catch(() => undefined);
    process.stdin.end();
    process.stdout.resume();
    process.stderr.resume();
    giveUp.signal.addEventListener("abort", () => process.abandon(), { once: true });
    await process.exit;
  };
  if (!(await settledWithin(run(), patience))) giveUp.abort();
}

/** Pure: the program that signals groups. Safe in any login shell. */
export function endArgv(victims: readonly Victim[], ending: Ending, mark: string): Argv {
  const [signal, tenths] = ending === "END" ? ["TERM", "20"] : [ending, "3"];
  const groups = victims.map(({ pid, group }) => (group === undefined ? `p${pid}` : String(group)));
  return ["sh", "-c", endProgram, "sh", mark, signal, tenths, ending === "END" ? "KILL" : "", ...groups];
}

/**
 * $1 mark, then signal, tenths of a second to watch, last signal or nothing; then groups, `p123` for the group of
 * process 123. A group that goes on answering "not permitted" is alive but all of it is somebody else's, a root child
 * under sudo: then sudo or doas, without a password, may signal it. Zombies count as gone: in a container nobody may
 * ever reap them. No single quote, backslash, newline or exclamation mark in here.
 */
const endProgram = [
  'printf "%s;" "$1" >&2; LC_ALL=C; export LC_ALL; s=$2; w=$3; k=$4; shift 4; l=',
  'for g; do case $g in p*) g=$(ps -o pgid= -p "${g#p}" 2>/dev/null | tr -d " ");; esac; [ -z "$g" ] || l="$l $g"; done',
  'r() { sudo -n sh -c "kill -$1 -$2" || doas -n sh -c "kill -$1 -$2"; }',
  'v() { [ -r /proc/self/stat ] || return 0; for d in /proc/[0-9]*/stat; do read -r x <"$d" || continue; x=${x##*) }',
  'case $x in [ZX]*) continue;; esac; x=${x#* }; x=${x#* }; [ "${x%% *}" = "$1" ] && return 0; done; return 1; }',
  'f() { s=$1; w=$2; shift 2; t=" "; n=0; for g; do kill "-$s" "-$g"; done',
  "while :; do a=",
  'for g; do if m=$(kill -0 "-$g" 2>&1); then v "$g" && a=1; else case $m in *ermitted*) a=1; case $n$t in [01]" "*|*" $g "*) ;; *) t="$t$g "; r "$s" "$g";; esac;; esac; fi; done',
  '[ -n "$a" ] || return 0; [ "$n" -lt "$w" ] || return 1; if sleep 0.1; then n=$((n + 1)); else sleep 1; n=$((n + 10)); fi; done; }',
  '{ f "$s" "$w" $l || [ -z "$k" ] || f "$k" 3 $l; } >/dev/null 2>&1',
].join("; ");
