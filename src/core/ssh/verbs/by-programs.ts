/** By programs: the verbs where there is no sftp, or none for the user one has become: stat, find, rm, mkdir, mv, chmod. */
import { randomBytes } from "node:crypto";
import type { Argv } from "../../argv.ts";
import { AmiError } from "../../errors.ts";
import { type Host, exitStatus } from "../../host.ts";
import { visible } from "../../visible.ts";
import { type Found, type Verbs, below, nameIn, typeOf } from "./verbs.ts";

export interface ProgramVerbs extends Verbs {
  /** All that is below a folder, in no order; what is in a folder that may not be looked into is not told. */
  listTree(path: string): Promise<readonly Found[]>;
}

export async function programVerbs(host: Host, signal: AbortSignal): Promise<ProgramVerbs> {
  /** Its output after a word that nobody else can know: rc files may have said something before. */
  const ask = async (
    path: string,
    program: string,
    words: readonly string[] = [],
    forgives?: RegExp,
  ): Promise<string[]> => {
    const mark = randomBytes(12).toString("hex");
    const argv = ["sh", "-c", program, "sh", mark, ...words] as const;
    const { exit, stdout, stderr } = await host.exec(argv, { signal });
    const [, ...answer] = stdout.toString("utf8").split(mark);
    const said = stderr.toString("utf8").trim();
    const isWell = exitStatus(exit) === 0 || said.split("\n").every((line) => forgives?.test(line));
    if (!isWell || answer.length === 0) throw fileError(host, path, said);
    return answer;
  };
  const run = async (path: string, argv: Argv): Promise<void> => {
    const { exit, stderr } = await host.exec(argv, { signal });
    if (exitStatus(exit) !== 0) throw fileError(host, path, stderr.toString("utf8"));
  };
  const look = async (path: string, flag: "-L" | ""): Promise<Found | undefined> => {
    const [, status = "", leadsTo = ""] = await ask(path, lookProgram, [path, flag]);
    const found = readStatus(status, path);
    return found?.type === "symlink" ? { ...found, leadsTo } : found;
  };

  const [start = "/", home = "/"] = await ask(".", `printf "%s%s%s%s" "$1" "$PWD" "$1" "$HOME"`);
  return {
    start,
    home,
    look: (path) => look(path, ""),
    follow: (path) => look(path, "-L"),
    list: async (path) => readAll(await ask(path, listProgram, [path, "-prune"], vanished), path),
    listTree: async (path) => readAll(await ask(path, listProgram, [path, ""], shut), path),
    remove: ({ path, type }) => run(path, type === "folder" ? ["rmdir", "--", path] : ["rm", "-f", "--", path]),
    async makeFolder(path, mode) {
      await run(path, ["mkdir", ...(mode === undefined ? [] : ["-m", octal(mode)]), "--", path]);
    },
    async move(from, to, { replace }) {
      await ask(from, moveProgram, [from, to, replace ? "yes" : ""]);
    },
    chmod: (path, mode) => run(path, ["chmod", octal(mode), "--", path]),
    end: () => undefined,
  };
}

function readAll([, ...answers]: readonly string[], path: string): Found[] {
  const links = new Map<string, string>();
  const found: Found[] = [];
  for (const answer of answers) {
    const [, link, leadsTo] = /^> \.\/(.*?)\0(.*)$/s.exec(answer) ?? [];
    if (link !== undefined && leadsTo !== undefined) links.set(below(path, link), leadsTo);
    const each = link === undefined ? readListed(answer, path) : undefined;
    if (each !== undefined) found.push(each);
  }
  return found.map((each) => (each.type === "symlink" ? { ...each, leadsTo: links.get(each.path) ?? "" } : each));
}

function octal(mode: number): string {
  return mode.toString(8).padStart(4, "0");
}

/** Names of users may have spaces in them (`domain users`), but no colons. GNU and busybox have one stat, BSD and macOS another. $1 is the mark each answer begins with. */
const statProgram = `LC_ALL=C; export LC_ALL; m=$1
if stat -c %f / >/dev/null 2>&1; then c=-c f="$m%f:%s:%U:%G:%Y:%n"; else c=-f f="$m%Xp:%z:%Su:%Sg:%m:%N"; fi`;

/** $2 path, $3 -L or nothing. */
const lookProgram = `${statProgram}
printf "%s" "$m"
{ [ -e "$2" ] || [ -h "$2" ]; } || exit 0
if [ -n "$3" ] && [ ! -e "$2" ]; then exit 0; fi
stat $3 $c "$f" -- "$2" || exit
if [ -h "$2" ]; then printf "%s" "$m"; printf "%s" "$(readlink "$2")"; fi`;

/** $2 the folder, $3 `-prune` or, for all that is below it, nothing. Links follow with a > before them. */
const listProgram = `${statProgram}
cd "$2" || exit; printf "%s" "$m"
r=0; find . ! -name . $3 -exec stat $c "$f" {} + || r=1
find . ! -name . $3 -type l -exec sh -c 'm=$1; shift; for n do printf "%s> %s\\0%s" "$m" "$n" "$(readlink "$n")"; done' sh "$m" {} + || r=1
exit $r`;

/** What went while it was listed is not there. */
const vanished = /: No such file or directory$/;
/** Below the folder itself. */
const shut = /^(?!find: .?\.\W?: ).*: (?:No such file or directory|Permission denied)$/;

/** $2 from, $3 to, $4 whether to replace. A link is made where nothing may be replaced: that fails by itself. */
const moveProgram = `
printf "%s" "$1"; e() { echo "there is something already" >&2; exit 1; }
if [ -z "$4" ]; then
  if [ -e "$3" ] || [ -h "$3" ]; then e; fi
  if [ -f "$2" ] && [ ! -h "$2" ]; then if ln "$2" "$3" 2>/dev/null; then exec rm -f -- "$2"; fi; fi
  mv -n -- "$2" "$3" && { [ ! -e "$2" ] && [ ! -h "$2" ] || e; }
else
  mv -fT -- "$2" "$3" 2>/dev/null || { [ ! -d "$3" ] || e; mv -f -- "$2" "$3"; }
fi`;

function readStatus(status: string, path: string): Found | undefined {
  const found = /^([0-9a-f]+):(\d+):([^:]+):([^:]+):(-?\d+):/.exec(status);
  if (found === null) return undefined;
  const [, bits = "", size, owner = "", group = "", mtime] = found;
  const mode = Number.parseInt(bits, 16);
  return {
    path,
    name: nameIn(path),
    type: typeOf(mode),
    size: Number(size),
    mode: mode & 0o7777,
    owner,
    group,
    mtime: Number(mtime),
  };
}

/** The name may hold anything, a newline too; the answer ends in one that is not part of it. */
function readListed(answer: string, folder: string): Found | undefined {
  const name = /^(?:[^:]+:){5}\.\/(.*)\n$/s.exec(answer)?.[1];
  return name === undefined ? undefined : readStatus(answer, below(folder, name));
}

function fileError(host: Host, path: string, said: string): AmiError {
  const line = said.trim().split("\n").at(-1) ?? "";
  const why = visible(line)
    .replace(/^(?:sh|stat|find|rm|rmdir|mkdir|mv|chmod): (?:(?:line )?\d+: )?/, "")
    .replace(/^.*: (?=[A-Z][^:]*$)/, "");
  const hint = /permission denied|not permitted/i.test(why) ? "become a user who may: --become" : undefined;
  return new AmiError("host.file", `${path}: ${lower(why) || "the programs there say nothing"}`, {
    host: host.name,
    hint: /no such file/i.test(why) ? "look at the path" : hint,
  });
}

function lower(words: string): string {
  return words.slice(0, 1).toLowerCase() + words.slice(1);
}
