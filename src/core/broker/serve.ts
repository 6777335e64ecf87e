/**
 * Serve: the broker's side. Listens in its private folder, runs what visitors bring, closes connections that nobody has
 * used for a while, and ends when none are left.
 */
import { randomBytes, timingSafeEqual } from "node:crypto";
import { mkdirSync, readlinkSync, renameSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { type Server, type Socket, createServer } from "node:net";
import { basename, join } from "node:path";
import type { Answering } from "../visit.ts";
import { type Code, type Go, type Hello, type No, ask, bodyOf, frame, frameReader, say } from "./frames.ts";
import { type BrokerPlace, openPlace } from "./place.ts";
import { type Visitor, visitorOf } from "./visitor.ts";

export interface ServeOptions {
  readonly place: BrokerPlace;
  readonly version: string;
  readonly answering: Answering;
  /** Milliseconds that a connection stays open unused. */
  readonly persist: number;
  /** Ends it: visitors are cut off. */
  readonly signal: AbortSignal;
  /** Visitors can come. */
  onReady?(): void;
}

/** Why it ended. `idle`: nothing was left to keep. `told`: by `ssh close --all`. `replaced`: another one listens. */
export type ServeEnd = "idle" | "told" | "replaced" | "interrupted";

/** Rejects with `config.invalid`, or with what the system says, when it cannot listen. */
export async function serveBroker(options: ServeOptions): Promise<ServeEnd> {
  const { place, version, answering, persist, signal, onReady } = options;
  openPlace(place);
  const key = randomBytes(32).toString("hex");
  const visitors = new Set<Visitor>();
  const sockets = new Set<Socket>();
  const over = Promise.withResolvers<ServeEnd>();
  let lastVisit = Date.now();
  let ending: ServeEnd | undefined;

  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on("error", () => undefined).once("close", () => sockets.delete(socket));
    attend(socket);
  });
  const own = await listen(server, place, key);
  const isOurs = (): boolean => currentOf(place) === own;
  const stop = (): void => end("interrupted");
  signal.addEventListener("abort", stop, { once: true });
  const clock = setInterval(look, Math.min(5000, Math.max(20, persist / 4)));
  onReady?.();
  if (signal.aborted) stop();
  try {
    return await over.promise;
  } finally {
    clearInterval(clock);
    signal.removeEventListener("abort", stop);
    shut();
    server.close();
    for (const visitor of visitors) visitor.leave();
    for (const socket of sockets) socket.destroy();
    answering.close(answering.logins());
  }

  function shut(): void {
    if (isOurs()) rmSync(place.current, { force: true });
    rmSync(join(place.folder, own), { recursive: true, force: true });
  }

  /** No more visitors come; those that are here are served to their end. */
  function end(why: ServeEnd): void {
    ending ??= why;
    shut();
    if (visitors.size === 0 || why === "interrupted") over.resolve(ending);
  }

  function look(): void {
    answering.expire(persist);
    if (!isOurs() && ending === undefined) end("replaced");
    const isIdle = visitors.size === 0 && answering.logins().length === 0 && Date.now() - lastVisit >= persist;
    if (isIdle || (ending !== undefined && visitors.size === 0)) end("idle");
  }

  function attend(socket: Socket): void {
    let hello: Hello | undefined;
    let visitor: Visitor | undefined;
    const read = frameReader((letter, body) => {
      if (visitor !== undefined) visitor.heard(letter, body);
      else if (hello === undefined && letter === ask.hello) {
        hello = bodyOf<Hello>(body);
        greet(socket, hello);
      } else if (hello?.wish === "run" && letter === ask.go) {
        const go = bodyOf<Go>(body);
        visitor = visitorOf(socket, go);
        void serve(socket, visitor);
      }
    });
    socket.on("data", (bytes: Buffer) => {
      try {
        read(bytes);
      } catch {
        socket.destroy(); // that was no client of ours
      }
    });
    socket.once("close", () => visitor?.leave());
  }

  function greet(socket: Socket, hello: Hello): void {
    const no = (why: No["why"]): void => void socket.end(frame(say.no, JSON.stringify({ why, version })));
    const yes = (answer: unknown): void => void socket.write(frame(say.yes, JSON.stringify(answer)));
    if (!isSame(hello.key, key)) return no("key");
    // Every version can tell another to go.
    if (hello.wish === "retire") {
      yes({ pid: process.pid });
      return end("replaced");
    }
    if (hello.version !== version) return no("version");
    if (hello.wish === "run") return ending === undefined ? yes({}) : void socket.end();
    const logins = answering.logins();
    if (hello.wish === "list") return yes({ pid: process.pid, persist, logins });
    const { host } = hello;
    const closed = logins.filter((login) => host === undefined || login.host === host);
    answering.close(closed);
    yes({ logins: closed });
    if (host === undefined) end("told");
  }

  async function serve(socket: Socket, visitor: Visitor): Promise<void> {
    visitors.add(visitor);
    try {
      const exit = await answering.answer(visitor.visit);
      await visitor.printed();
      const code: Code | undefined = exit === undefined ? undefined : { exit };
      if (socket.writable) socket.end(code === undefined ? frame(say.declined) : frame(say.code, JSON.stringify(code)));
    } catch {
      socket.destroy(); // the client says that we are lost
    } finally {
      visitors.delete(visitor);
      visitor.leave();
      lastVisit = Date.now();
      if (ending !== undefined && visitors.size === 0) over.resolve(ending);
    }
  }
}

/**
 * Listens in a folder of its own, then takes the place of whoever was there: one that was killed, or that was started at
 * the same time. Who is replaced notices, and goes. Returns the name of the folder.
 */
async function listen(server: Server, place: BrokerPlace, key: string): Promise<string> {
  const own = randomBytes(4).toString("hex");
  const folder = join(place.folder, own);
  const before = currentOf(place);
  try {
    mkdirSync(folder, { mode: 0o700 });
    writeFileSync(join(folder, "key"), key, { mode: 0o600, flag: "wx" });
    await new Promise<void>((resolve, reject) => server.once("error", reject).listen(join(folder, "socket"), resolve));
    symlinkSync(own, join(folder, "link"));
    renameSync(join(folder, "link"), place.current);
  } catch (error) {
    server.close();
    rmSync(folder, { recursive: true, force: true });
    throw error;
  }
  if (before !== undefined) rmSync(join(place.folder, before), { recursive: true, force: true });
  return own;
}

function currentOf({ current }: BrokerPlace): string | undefined {
  try {
    return basename(readlinkSync(current));
  } catch {
    return undefined; // there is none
  }
}

function isSame(said: string, key: string): boolean {
  const [a, b] = [Buffer.from(said), Buffer.from(key)];
  return a.length === b.length && timingSafeEqual(a, b);
}
