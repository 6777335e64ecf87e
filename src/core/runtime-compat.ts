/** Runtime compat: what Node and Bun (which the standalone binary runs on) do differently, told apart nowhere else. */
import { fstatSync, read, readFileSync } from "node:fs";
import { homedir, userInfo } from "node:os";
import { Readable } from "node:stream";
import { isatty } from "node:tty";

export interface LocalUser {
  readonly name: string;
  /** Of the password file, whatever HOME says. */
  readonly home: string;
}

/**
 * Who runs this process, by its user id. Bun 1.4's `os.userInfo()` repeats USER and HOME instead ("unknown" without
 * them, as under cron), so the password file is asked first. A user id without a name is its own name.
 */
export function localUser(env: NodeJS.ProcessEnv = process.env): LocalUser {
  const uid = process.getuid?.();
  const entry = uid === undefined ? undefined : passwordEntry((fields) => fields[2] === String(uid));
  if (entry !== undefined) return entry;
  try {
    const { username, homedir: home } = userInfo();
    return { name: username, home };
  } catch {
    // Node throws for a user id that has no name, as containers like to have.
    return { name: env["USER"] ?? env["LOGNAME"] ?? String(uid), home: homedir() };
  }
}

/** The home folder of a user by name; undefined: there is no such user, or no password file to ask. */
export function homeOf(name: string): string | undefined {
  return passwordEntry((fields) => fields[0] === name)?.home;
}

function passwordEntry(isWanted: (fields: readonly string[]) => boolean): LocalUser | undefined {
  let text: string;
  try {
    text = readFileSync("/etc/passwd", "utf8");
  } catch {
    // Windows has none; then nobody is found in it.
    return undefined;
  }
  const fields = text
    .split("\n")
    .map((line) => line.split(":"))
    .find((line) => line.length >= 7 && isWanted(line));
  const [name, home] = [fields?.[0], fields?.[5]];
  return name === undefined || home === undefined ? undefined : { name, home };
}

/**
 * The words that start this program once more, whatever it was started as: its sources, a bundle, or a standalone
 * executable, which has its script inside (Bun calls that /$bunfs/..., Node repeats the executable).
 */
export function ownProgram(): readonly [string, ...string[]] {
  const node = process.execPath;
  const script = process.argv[1] ?? node;
  const isStandalone = script === node || /^(?:\/\$bunfs\/|[A-Z]:[\\/]~BUN[\\/])/.test(script);
  return isStandalone ? [node] : [node, ...process.execArgv, script];
}

/**
 * Bun 1.4.5 now and then loses the end of process.stdin when it is a socket or a pipe that is paused and resumed: the
 * reader then waits for ever. Unless it is a terminal, a stream of our own takes its place. To be called before anything
 * touches process.stdin; does nothing under Node.
 */
export function mendStdin(): void {
  if (process.versions["bun"] === undefined || isatty(0) || !isOpen(0)) return;
  // oxlint-disable-next-line house/printing -- nothing is printed: what is read is replaced
  Object.defineProperty(process, "stdin", { value: readerOf(0), configurable: true, enumerable: true });
}

/** A stream of what a descriptor brings; nothing is read before it is asked for. Leaves the descriptor open. */
export function readerOf(fd: number): Readable {
  return new Readable({
    highWaterMark: 65536,
    read(size) {
      const take = (): void =>
        read(fd, Buffer.allocUnsafe(size), 0, size, null, (error, count, bytes) => {
          if (error === null) this.push(count === 0 ? null : bytes.subarray(0, count));
          // Somebody who shares it made it non-blocking.
          else if (error.code === "EAGAIN") setTimeout(take, 5);
          // Windows says so at the end of a pipe.
          else if (error.code === "EOF") this.push(null);
          else this.destroy(error);
        });
      take();
    },
  });
}

/**
 * Calls back when all that was written to stdout or stderr has been taken; nothing is written to it afterwards. Under
 * Node the stream is not ended: that would shut down a socket which others share, the next programs of a script among
 * them. Under Bun ending it is the one way to know (writableLength is 0 while megabytes wait), and shuts nothing down.
 */
export function whenWritten(stream: NodeJS.WriteStream, done: () => void): void {
  if (process.versions["bun"] === undefined) stream.write("", () => done());
  else stream.end(done);
}

function isOpen(fd: number): boolean {
  try {
    fstatSync(fd);
    return true;
  } catch {
    return false;
  }
}
