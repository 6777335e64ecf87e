/** Authorized: the authorized_keys file of the user on a target, read and changed there, whole or not at all. */
import { Buffer, isUtf8 } from "node:buffer";
import { createHash, randomBytes } from "node:crypto";
import { AmiError } from "../../errors.ts";
import { type Host, exitStatus } from "../../host.ts";
import { visible } from "../../visible.ts";

export interface Authorized {
  /** Absolute, links followed. */
  readonly path: string;
  readonly text: string;
  /** How its bytes are read and written; an old comment may be no UTF-8, and must stay what it is. */
  readonly encoding: "utf8" | "latin1";
  /** Why sshd might pass the file over, in words: others may write the home folder. */
  readonly problem?: string | undefined;
}

export interface Place {
  /**
   * Undefined: `~/.ssh/authorized_keys`, which is then kept at the modes that sshd wants. Else as AuthorizedKeysFile has
   * it: `%h` and `~/` are the home, `%u` the user, `%%` a percent sign.
   */
  readonly file?: string | undefined;
  readonly signal: AbortSignal;
}

/** A file that is not there is empty. Rejects with `host.file`. */
export async function readAuthorized(host: Host, { file, signal }: Place): Promise<Authorized> {
  // Login scripts may print before us, and after us.
  const mark = randomBytes(12).toString("hex");
  const ran = await host.exec(["sh", "-c", readProgram, "sh", file ?? "", mark], { signal, onlyLooks: true });
  const stdout = between(ran.stdout, mark);
  const lineEnd = stdout?.indexOf(10) ?? -1;
  if (exitStatus(ran.exit) !== 0 || stdout === undefined || lineEnd < 1) {
    throw unusable(host, "read", ran.stderr.toString("utf8"));
  }
  const path = stdout.toString("utf8", 0, lineEnd);
  const textStart = stdout.indexOf(10, lineEnd + 1) + 1;
  const problem = stdout.toString("utf8", lineEnd + 1, textStart - 1);
  const bytes = stdout.subarray(textStart);
  const encoding = isUtf8(bytes) ? "utf8" : "latin1";
  return { path, text: bytes.toString(encoding), encoding, ...(problem === "" ? {} : { problem }) };
}

/**
 * Changes the text and says what it was and is; nothing is written when `change` gives the same text back, though
 * modes that sshd would refuse are set right. Somebody else's change in between is seen: then it is read again.
 */
export async function changeAuthorized(
  host: Host,
  place: Place,
  change: (text: string) => string,
): Promise<{
  readonly path: string;
  readonly before: string;
  readonly after: string;
  readonly problem?: string | undefined;
}> {
  for (let attempt = 1; ; attempt++) {
    const { path, text: before, encoding, problem } = await readAuthorized(host, place);
    const after = change(before);
    const bytes = Buffer.from(after, encoding);
    const words = [
      place.file === undefined ? "own" : "named",
      path,
      sha256(Buffer.from(before, encoding)),
      String(bytes.length),
    ];
    const argv = ["sh", "-c", writeProgram, "sh", ...words] as const;
    const { exit, stderr } = await host.exec(argv, { stdin: bytes, signal: place.signal });
    const code = exitStatus(exit);
    if (code === 0) return { path, before, after, problem };
    if (code !== changedMeanwhile || attempt === 5) throw unusable(host, "written", stderr.toString("utf8"));
  }
}

/** Undefined: it did not come whole. */
function between(all: Buffer, mark: string): Buffer | undefined {
  const start = all.indexOf(`${mark}\n`);
  const end = all.lastIndexOf(`${mark}.`);
  return start === -1 || end === -1 ? undefined : all.subarray(start + mark.length + 1, end);
}

function unusable(host: Host, how: "read" | "written", said: string): AmiError {
  const why = said.trim() === "" ? "sh gave no answer: is a command forced on this key?" : visible(said.trim());
  return new AmiError("host.file", `authorized_keys cannot be ${how}: ${why}`, { host: host.name });
}

function sha256(bytes: Buffer): string {
  return createHash("sha256").update(bytes).digest("hex");
}

const changedMeanwhile = 75;

/** Prints the path, what is wrong with the home folder, and the text, between marks. Reading a bare home is no error. */
const readProgram = `
f=\${1:-$HOME/.ssh/authorized_keys}; m=$2
case $f in '~/'*) f=$HOME/\${f#'~/'} ;; esac
case $f in *%*) p=; while case $f in *%*) ;; *) false ;; esac; do
  p=$p\${f%%%*}; f=\${f#*%}
  case $f in h*) p=$p$HOME ;; u*) p=$p$(id -un) ;; %*) p=$p% ;; *) echo "a file may be named with %h, %u and %%" >&2; exit 1 ;; esac
  f=\${f#?}
done; f=$p$f ;; esac
case $f in /*) ;; *) f=$HOME/$f ;; esac
[ ! -L "$f" ] || f=$(readlink -f "$f") || { echo "$f leads nowhere" >&2; exit 1; }
printf '%s\\n%s\\n' "$m" "$f"
set -f; set -- $(ls -ldLn "$HOME"); case $1 in ?????w*|????????w*) echo "others may write the home folder ($HOME), so sshd trusts no key in it";; *) echo;; esac
if [ -e "$f" ]; then cat "$f" || exit 1; fi
printf '%s.' "$m"`;

/**
 * $1 own or named, $2 path, $3 sha256 of what was read, $4 length of what comes on stdin. Exits with 75 when the file is
 * no longer what was read. The copy beside it keeps owner and modes of what it replaces.
 */
const writeProgram = `
umask 077
d=\${2%/*}; t=$2.ami-$$
sum() { if command -v sha256sum >/dev/null 2>&1; then sha256sum; elif command -v shasum >/dev/null 2>&1; then shasum -a 256; else openssl dgst -sha256 -r; fi | cut -d ' ' -f 1; }
now() { if [ -e "$1" ]; then sum < "$1"; else sum < /dev/null; fi; }
trap 'rm -f "$t"' EXIT
trap 'exit 1' HUP INT TERM PIPE
[ -d "$d" ] || mkdir -p "$d" || exit 1
if [ -e "$2" ]; then cp -p "$2" "$t" || exit 1; fi
cat > "$t" || exit 1
[ "$(wc -c < "$t")" -eq "$4" ] || { echo "the connection broke off" >&2; exit 1; }
[ "$(now "$2")" = "$3" ] || exit ${changedMeanwhile}
if [ "$1" = own ]; then chmod 700 "$HOME/.ssh" && chmod 600 "$t" || exit 1; fi
if [ "$(now "$t")" = "$3" ] && [ -e "$2" ]; then
  [ "$1" != own ] || chmod 600 "$2" || exit 1
else
  sync "$t" 2>/dev/null
  mv -f "$t" "$2" || exit 1
fi
if command -v restorecon >/dev/null 2>&1; then restorecon -F "$d" "$2" >/dev/null 2>&1; fi
exit 0`;
