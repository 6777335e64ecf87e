/**
 * Master: an ssh of the system that logs in, holds the connection, and lends it through a control socket in a private
 * folder. A small shell stands between: when we are gone, however that came, it ends ssh and removes the folder.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { existsSync } from "node:fs";
import { mkdtemp, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { Argv } from "../../argv.ts";
import { AmiError } from "../../errors.ts";
import type { Ask } from "../options.ts";
import type { Patience } from "../patience.ts";
import { askpassProgram, createAskpassReader, questionOf } from "./askpass.ts";
import { refusalOf } from "./refusal.ts";

export interface Master {
  /** Path of its control socket. The folder it is in is ours to use. */
  readonly socket: string;
  /** Somebody had to answer, or to touch a key. */
  readonly asked: boolean;
  /** What it said besides questions. */
  said(): string;
  /** Idempotent. */
  end(): void;
}

export interface MasterInit {
  /** What the target is called, and where it is (`host:port`). */
  readonly name: string;
  readonly at: string;
  /** For a control socket at this path. */
  argv(socket: string): Argv;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly ask: Ask | undefined;
  readonly patience: Patience;
  /** It waits for a person to touch a key. */
  notice(text: string): void;
}

/** Resolves when it is logged in. Rejects with `ssh.*`, `hostkey.*`, `tool.missing` or the reason of `patience`. */
export async function startMaster(init: MasterInit): Promise<Master> {
  const { name, patience } = init;
  patience.signal.throwIfAborted();
  const folder = await mkdtemp(join(shortFolder(), "ami-ssh-"));
  const [socket, askpass] = [join(folder, "c"), join(folder, "askpass")];
  await writeFile(askpass, askpassProgram, { mode: 0o700 });
  const mark = randomBytes(16).toString("hex");
  const child = spawn("/bin/sh", ["-c", keeper, "sh", folder, ...init.argv(socket)], {
    detached: true,
    stdio: ["pipe", "ignore", "pipe"],
    // DISPLAY: an ssh older than 8.4 asks by a program only where there may be a screen.
    env: { DISPLAY: "none", ...init.env, SSH_ASKPASS: askpass, SSH_ASKPASS_REQUIRE: "force", AMI_NODE_ASK: mark },
  });
  child.stdin.on("error", () => undefined); // it is gone: told by `exit`
  let said = "";
  let asked = false;
  /** By us: nobody answers, or waits any longer. */
  const failed = Promise.withResolvers<never>();
  failed.promise.catch(() => undefined); // raced
  const read = createAskpassReader(mark);
  const attempts = new Map<string, number>();

  const answer = async (text: string): Promise<void> => {
    const attempt = (attempts.get(text) ?? 0) + 1;
    attempts.set(text, attempt);
    const question = questionOf(name, text, attempt);
    asked ||= question.kind !== "host-key" && question.kind !== "passphrase";
    const given = await patience.pause(async () => init.ask?.(question));
    if (given !== undefined) return void child.stdin.write(`y${given.reveal()}\n`);
    // ssh would go on with an empty password, and the account might be locked for it.
    if (question.kind === "password" || question.kind === "challenge") throw unanswered(name, attempt);
    if (question.kind === "host-key") said += `${text}\n`; // it holds the fingerprint
    child.stdin.write("n\n");
  };
  child.stderr.setEncoding("utf8");
  child.stderr.on("data", (bytes: string) => {
    const heard = read(bytes);
    said = (said + heard.rest).slice(-8000);
    for (const { kind, text } of heard.asked) {
      if (kind === "none") {
        asked = true;
        init.notice(text);
      } else {
        answer(text).catch(failed.reject);
      }
    }
  });

  const end = (): void => void child.stdin.end();
  const stop = (): void => failed.reject(patience.signal.reason);
  patience.signal.addEventListener("abort", stop, { once: true });
  try {
    patience.waitFor("the ssh of this machine");
    const over = ended(child);
    while (!existsSync(socket)) {
      const isOver = await Promise.race([failed.promise, over, sleep(10)]);
      if (isOver !== undefined) throw refusalOf({ name, at: init.at, said, canAsk: init.ask !== undefined });
    }
  } catch (error) {
    end();
    throw error;
  } finally {
    patience.signal.removeEventListener("abort", stop);
  }
  return {
    socket,
    get asked() {
      return asked;
    },
    said: () => said,
    end,
  };
}

/**
 * Starts its words after the first, which is the folder. Each line that comes is an answer for the askpass program; the
 * end of the lines is the end of everything, which it has made a process group of. It says nothing itself (a shell tells
 * how its children ended): with nobody left to listen, that would be its death before it has cleared up. And it
 * minds no TERM only when ssh has begun, which must.
 */
export const keeper = `dir=$1; shift
mkfifo -m 600 "$dir/answer" || { rm -rf "$dir"; exit 1; }
exec 3<&0 </dev/null
"$@" 3<&- & ssh=$!
trap : TERM
exec 2>/dev/null
{
  while IFS= read -r answer; do { printf '%s\\n' "$answer" >"$dir/answer"; } & done
  kill -TERM 0
} <&3 3<&- &
exec 3<&-
wait "$ssh"
wait "$ssh"
trap '' TERM
kill -TERM 0
rm -rf "$dir"`;

/** The path of a socket may have a hundred characters, and ssh adds some of its own; it reads quotes and `$` in it, too. */
export function shortFolder(temp: string = tmpdir()): string {
  return temp.length > 60 || !/^\/[^"'\\$]*$/.test(temp) ? "/tmp" : temp;
}

/** With all it said. */
function ended(child: ChildProcess): Promise<true> {
  return new Promise((resolve) => {
    child.once("close", () => resolve(true));
    child.once("error", () => resolve(true));
  });
}

function unanswered(name: string, attempt: number): AmiError {
  const what =
    attempt > 1 ? "the server took no password or code that was given" : "the server asks for a password or a code";
  return new AmiError("ssh.auth", what, {
    host: name,
    hint: "give a key with --identity FILE, or the right password with --ask-pass",
  });
}
