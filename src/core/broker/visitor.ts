/** Visitor: a client of the broker as a visit: its streams, its Ctrl-C, and the person at its terminal. */
import { Readable, Writable } from "node:stream";
import type { Socket } from "node:net";
import { AmiError, isErrorCode } from "../errors.ts";
import { Secret } from "../secret.ts";
import type { Visit } from "../visit.ts";
import { type Answer, type Go, type Look, type Question, type Stop, ask, bodyOf, frame, say } from "./frames.ts";

export interface Visitor {
  readonly visit: Visit;
  heard(letter: string, body: Buffer): void;
  /** Resolves when all that was printed is on its way. */
  printed(): Promise<void>;
  /** The client is gone, or nothing more is said to it. */
  leave(): void;
}

export function visitorOf(socket: Socket, { argv, cwd, env, ...looks }: Go): Visitor {
  const control = new AbortController();
  let hasReaderLeft = false;
  let hasLeft = false;
  let asked: PromiseWithResolvers<string> | undefined;
  const tell = (letter: string, body?: Uint8Array | string, done?: () => void): void => {
    // What is printed for somebody who is gone has been taken.
    if (hasLeft || !socket.writable) done?.();
    else socket.write(frame(letter, body), () => done?.());
  };

  const stdin = new Readable({ highWaterMark: 1, read: () => tell(say.want) });
  const output = (letter: string): Writable =>
    new Writable({
      decodeStrings: true,
      write: (bytes: Buffer, _encoding, done) => tell(letter, bytes, done),
    });

  const [stdout, stderr] = [output(say.stdout), output(say.stderr)];

  /** One at a time: whoever comes later waits. */
  let last: Promise<unknown> = Promise.resolve();
  const question = (wish: Question): Promise<string> => {
    const answer = last.then(() => {
      control.signal.throwIfAborted();
      if (hasLeft) throw new AmiError("run.cancelled", "interrupted at a question");
      asked = Promise.withResolvers();
      tell(say.question, JSON.stringify(wish));
      return asked.promise;
    });
    last = answer.catch(() => undefined);
    return answer;
  };
  const abort = (): void => control.abort();

  return {
    visit: {
      argv,
      cwd,
      env,
      stdio: {
        stdin: withLook(stdin, looks.stdin, isReadStream),
        stdout: withLook(stdout, looks.stdout, isWriteStream),
        stderr: withLook(stderr, looks.stderr, isWriteStream),
      },
      signal: control.signal,
      interrupt: abort,
      hasReaderLeft: () => hasReaderLeft,
      prompter: {
        confirm: async (text) => (await question({ kind: "confirm", text })) === "yes",
        secret: async (text) => new Secret(await question({ kind: "secret", text })),
        line: (text) => question({ kind: "line", text }),
      },
    },
    heard(letter, body) {
      if (letter === ask.stdin) stdin.push(Buffer.from(body));
      if (letter === ask.stdinEnd) stdin.push(null);
      if (letter === ask.stop) {
        const stop = bodyOf<Stop>(body);
        hasReaderLeft ||= stop.hasReaderLeft;
        abort();
      }
      if (letter === ask.answer) {
        const { text, refused } = bodyOf<Answer>(body);
        if (text !== undefined) asked?.resolve(text);
        else asked?.reject(refusalOf(refused));
        asked = undefined;
      }
    },
    async printed() {
      await Promise.all([stdout, stderr].map((stream) => new Promise<void>((done) => stream.end(() => done()))));
    },
    leave() {
      if (hasLeft) return;
      hasLeft = true;
      abort();
      asked?.reject(new AmiError("run.cancelled", "interrupted at a question"));
      if (!stdin.readableEnded) stdin.destroy();
    },
  };
}

function refusalOf(refused: Answer["refused"]): AmiError {
  const { code = "", message = "not answered", hint } = refused ?? {};
  return new AmiError(isErrorCode(code) ? code : "run.refused", message, { hint });
}

/** A stream that looks like the visitor's own: on a terminal or not, so wide. */
function withLook<T>(
  stream: Readable | Writable,
  { isTTY, ...size }: Partial<Look>,
  isMeant: (stream: unknown) => stream is T,
): T {
  const looking: unknown = Object.assign(stream, size, isTTY === true ? { isTTY } : {});
  if (isMeant(looking)) return looking;
  throw new Error("a stream is no stream");
}

function isReadStream(stream: unknown): stream is NodeJS.ReadStream {
  return stream instanceof Readable;
}

function isWriteStream(stream: unknown): stream is NodeJS.WriteStream {
  return stream instanceof Writable;
}
