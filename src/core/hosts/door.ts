/**
 * Door: su and doas take a password from a terminal only, and a terminal mixes stdout with stderr and spoils bytes.
 * So the terminal is only the door: the program behind it takes its stdin, stdout and stderr from three fifos, whose
 * other ends a second program without a terminal joins to its own, byte for byte and with a real end of stdin.
 *
 * The folder of the fifos cannot be listed and their names are secret, told over stdin and the terminal, never in argv:
 * so another user of that machine cannot open them, and the user we become can.
 */
import { randomBytes } from "node:crypto";
import { type Argv, quote, quoteArgv } from "../argv.ts";
import { cancelled } from "../cancelled.ts";
import { AmiError } from "../errors.ts";
import type { Host, Running } from "../host.ts";
import { type Switch, switchArgv } from "./switch.ts";
import { converse } from "./converse.ts";
import { afterMark, newMark, stripMarks } from "./marks.ts";
import type { RawProcess, RawStart } from "./raw.ts";

export async function startBehindDoor(host: Host, to: Switch, argv: Argv, { signal }: RawStart): Promise<RawProcess> {
  const cut = new AbortController();
  const both = signal === undefined ? cut.signal : AbortSignal.any([cut.signal, signal]);
  const secret = randomBytes(16).toString("hex");
  try {
    const outside = await openOutside(host, secret, both);
    const inside = await openInside(host, to, both);
    const fifo = (fd: 0 | 1 | 2): string => quote(`${outside.folder}/${secret}${fd}`);
    inside.stdin.write(`(exec <${fifo(0)} >${fifo(1)} 2>${fifo(2)}; exec $AMI_s ${quoteArgv(argv)}); exit $?\n`);
    // What it says on the terminal from here on is said to nobody.
    inside.stdout.resume();
    inside.exit.catch(() => cut.abort());
    return {
      stdin: outside.running.stdin,
      stdout: outside.running.stdout,
      stderr: outside.stderr,
      exit: inside.exit,
      abandon: () => cut.abort(),
    };
  } catch (error) {
    cut.abort();
    throw signal?.aborted === true ? cancelled(host.name, signal?.reason) : error;
  }
}

async function openOutside(
  host: Host,
  secret: string,
  signal: AbortSignal,
): Promise<{ running: Running; folder: string; stderr: Running["stderr"] }> {
  const mark = newMark();
  const running = await host.spawn(["sh", "-c", outsideProgram, "sh", mark], { signal });
  running.stdin.write(`${secret}\n`);
  const { stream, said } = stripMarks(running.stderr, mark, 1);
  running.exit.catch(() => undefined);
  const folder = await said[0];
  if (folder === undefined)
    throw new AmiError("host.become", "no folder for fifos could be made: mktemp or mkfifo failed", {
      host: host.name,
      hint: "look at the space and the rights of /tmp on that machine",
    });
  return { running, folder, stderr: stream };
}

async function openInside(host: Host, to: Switch, signal: AbortSignal): Promise<RawProcess> {
  const mark = newMark();
  const prompt = newMark();
  // Words of an rc file are no question of the switch.
  const begin = newMark();
  const wrapped = switchArgv(to, ["sh", "-c", insideProgram, "sh", mark], prompt);
  const announced: Argv = ["sh", "-c", `printf %s "$1"; shift; exec "$@"`, "sh", begin, ...wrapped];
  const running = await host.spawn(announced, { signal, pty: { columns: 80, rows: 24, term: "dumb" } });
  const process = converse(
    {
      ...running,
      stdout: afterMark(running.stdout, begin),
      abandon: () => void running.kill("KILL").catch(() => undefined),
    },
    { name: host.name, to, mark, prompt, mayAsk: true, pty: true },
  );
  process.stdout.resume();
  await process.started;
  return process;
}

/** Makes the fifos and joins them to its own streams. Its stdin may outlive the program: nobody waits for that. */
const outsideProgram = [
  'umask 077; d=$(mktemp -d "${TMPDIR:-/tmp}/ami.XXXXXXXXXX") || exit 125; i=',
  'f() { rm -rf "$d"; [ -z "$i" ] || kill "$i" 2>/dev/null; }; trap f EXIT; trap "exit 1" HUP INT TERM PIPE',
  'IFS= read -r k || exit 125; chmod 711 "$d"; mkfifo -m 644 "$d/${k}0" && mkfifo -m 622 "$d/${k}1" "$d/${k}2" || exit 125',
  'exec 3<&0; printf "%s%s;" "$1" "$d" >&2',
  'cat <&3 >"$d/${k}0" & i=$!; cat <"$d/${k}1" & o=$!; cat <"$d/${k}2" >&2; wait "$o"',
].join("; ");

/**
 * Raw: no echo, no line length, no characters with a meaning. In a session of its own, where there is setsid, the program
 * has no terminal, as without a door: what it leaves running gets no HUP when the terminal goes.
 */
const insideProgram =
  'stty raw -echo; printf "%s;" "$1" >&2; AMI_s=$(command -v setsid); IFS= read -r AMI_l && eval "unset AMI_l; $AMI_l"';
