/** Proxy: a program whose stdin and stdout are the connection (ProxyCommand). */
import type { Buffer } from "node:buffer";
import { spawn } from "node:child_process";
import { Duplex } from "node:stream";

export interface Proxy {
  readonly socket: Duplex;
  /** The last it said on stderr. */
  said(): string;
}

/** `line` has its tokens expanded already; a shell runs it, as ssh does. Ends with the socket. */
export function startProxy(line: string): Proxy {
  // `exec`: the program itself gets the signal, not a shell that leaves it behind.
  const child = spawn("sh", ["-c", `exec ${line}`], { stdio: ["pipe", "pipe", "pipe"] });
  let text = "";
  child.stderr.setEncoding("utf8");
  child.stderr.on("data", (said: string) => (text = (text + said).slice(-2000)));

  const socket = new Duplex({
    read: () => void child.stdout.resume(),
    write: (bytes: Buffer, _encoding, done) => void child.stdin.write(bytes, () => done()),
    final: (done) => void child.stdin.end(() => done()),
    destroy(error, done) {
      child.kill("SIGHUP");
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
