/** Script: a file of this machine, run on another with the interpreter it names. */
import { randomBytes } from "node:crypto";
import { readFile } from "node:fs/promises";
import { basename } from "node:path";
import type { Argv } from "./argv.ts";
import { meaning } from "./deed.ts";
import { AmiError } from "./errors.ts";
import type { Host } from "./host.ts";
import { whyUnreadable } from "./unreadable.ts";

export interface Script {
  readonly name: string;
  readonly body: Buffer;
  /** Words before the script's path; none: the file is a program itself. */
  readonly interpreter: readonly string[];
}

/** Reads a script. `interpreter` (`python3 -u`) goes before its own first line. Throws `usage.input`. */
export async function readScript(file: string, interpreter?: string): Promise<Script> {
  let body: Buffer;
  try {
    body = await readFile(file);
  } catch (error) {
    throw new AmiError("usage.input", `the script ${file} cannot be read: ${whyUnreadable(error)}`, { cause: error });
  }
  const words = interpreter?.split(/\s+/).filter((word) => word !== "");
  return {
    name: basename(file),
    body,
    interpreter: words === undefined || words.length === 0 ? interpreterOf(body) : words,
  };
}

/**
 * The words of `#!/usr/bin/env -S python3 -u`, split as the kernel does: a program and at most one word. Text without
 * such a line is for sh; a program of the machine's own kind (it holds NUL bytes) needs nobody.
 */
export function interpreterOf(body: Buffer): readonly string[] {
  const end = body.indexOf(0x0a);
  const line = body
    .subarray(0, end < 0 ? body.length : end)
    .toString("utf8")
    .trim();
  const [, program, argument] = /^#!\s*(\S+)(?:\s+(.*))?$/.exec(line) ?? [];
  if (program !== undefined) return argument === undefined ? [program] : [program, argument];
  return body.subarray(0, 1024).includes(0) ? [] : ["sh"];
}

export interface Placed {
  readonly argv: Argv;
  /** Takes the file away where the program could not do it itself. Never rejects. */
  remove(): Promise<void>;
}

/**
 * Puts the script on the host, readable to nobody else, and says how to run it. The program that runs it takes the
 * file away when the script ends, whether or not anybody is still connected then.
 */
export async function placeScript(
  host: Host,
  script: Script,
  args: readonly string[],
  signal: AbortSignal,
): Promise<Placed> {
  if (host.family !== "posix")
    throw new AmiError("host.unsupported", "scripts need a POSIX machine", { host: host.name });
  const words = scriptWords(script, args);
  const path = `/tmp/ami-${randomBytes(16).toString("hex")}.${script.name.replaceAll(/[^A-Za-z0-9._-]/g, "_")}`;
  await host.put(script.body, path, { mode: 0o700, signal });
  return {
    argv: meaning(["/bin/sh", "-c", runProgram, "sh", path, ...script.interpreter, path, ...args], words),
    async remove() {
      // With a deadline of its own: it is called when the other signal has been aborted.
      await host.exec(meaning(["rm", "-f", path], []), { timeout: 5000 }).catch(() => undefined);
    },
  };
}

/** What it is judged as: nobody can tell what a script does, so it is one for a shell at least. */
export function scriptWords({ name, interpreter }: Script, args: readonly string[]): readonly string[] {
  return [...(interpreter.length === 0 ? ["sh"] : interpreter), name, ...args];
}

/** With paths: PATH may have been set for the script, and lead nowhere. $1 the file, then the words. Ending signals reach the whole group, so the script has them from the same hand. */
const runProgram =
  'f=$1; shift; x() { rm -f "$f" 2>/dev/null || /bin/rm -f "$f"; }; trap x EXIT; trap "exit 129" HUP; trap "exit 130" INT; trap "exit 143" TERM; "$@"; exit $?';
