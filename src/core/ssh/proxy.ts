/** Proxy: a program whose stdin and stdout are the connection (ProxyCommand). */
import type { Buffer } from "node:buffer";
import { spawn } from "node:child_process";
import { Duplex } from "node:stream";
import type { ProxyPlace } from "./route.ts";

export interface Proxy {
  readonly socket: Duplex;
  /** The last it said on stderr. */
  said(): string;
}

/**
 * `line` has its tokens expanded already; the user's shell runs it, as ssh does. Ends with the socket, and with nothing
 * else: it keeps the terminal, where it may ask for a password, but a Ctrl-C there or the end of the terminal is for us.
 * We need the way it makes to end what runs on the other side.
 */
export function startProxy(line: string, { shell, env, cwd }: ProxyPlace): Proxy {
  // What sh ignores, every program after it ignores too. `exec`: the program itself gets our signal, not a shell that
  // leaves it behind.
  const program = `trap '' HUP INT QUIT; exec "$0" -c "exec $1"`;
  const child = spawn("sh", ["-c", program, shell, line], {
    stdio: ["pipe", "pipe", "pipe"],
    env: { ...(env ?? process.env) },
    cwd,
  });
  let text = "";
  child.stderr.setEncoding("utf8");
  child.stderr.on("data", (said: string) => (text = (text + said).slice(-2000)));

  const socket = new Duplex({
    read: () => void child.stdout.resume(),
    write: (bytes: Buffer, _encoding, done) => void child.stdin.write(bytes, () => done()),
    final: (done) => void child.stdin.end(() => done()),
    destroy(error, done) {
      child.kill("SIGTERM");
      done(error);
    },
  });
  // What goes wrong is told by the end of stdout, and by what the program said.
  child.stdin.on("error", () => undefined);
  child.stdout.on("error", () => undefined);
  child.on("error", (error) => {
    text += error.message;
    socket.push(null);
  });
  child.stdout.on("data", (bytes: Buffer) => {
    if (!socket.destroyed && !socket.push(bytes)) child.stdout.pause();
  });
  // `close` comes after stderr, so that its last words are there when the connection fails.
  child.on("close", () => {
    if (!socket.destroyed) socket.push(null);
    socket.end();
  });
  return { socket, said: () => text };
}
