/** Converse: answers the password question of sudo, su and doas, and tells a refused switch from a program that ran. */
import { PassThrough, type Readable, Transform, type TransformCallback, pipeline } from "node:stream";
import { AmiError } from "../errors.ts";
import { visible } from "../visible.ts";
import type { Switch } from "./switch.ts";
import type { RawProcess } from "./raw.ts";

export interface Conversation {
  readonly name: string;
  readonly to: Switch;
  /** What the program says first, once it runs as that user. */
  readonly mark: string;
  /** What sudo was told to ask with. Others ask in words of their own. */
  readonly prompt: string;
  /** May it ask for a password? Then stdin is kept back until the switch is done, or the question would eat it. */
  readonly mayAsk: boolean;
  readonly pty: boolean;
}

/** The process with `started`; questions and answers are taken out of its output. */
export function converse(process: RawProcess, at: Conversation): RawProcess & { started: Promise<void> } {
  const started = Promise.withResolvers<void>();
  started.promise.catch(() => undefined);
  let said = "";
  let answered: number | undefined;
  let isOver = false;

  const fail = (error: AmiError): void => {
    if (isOver) return;
    isOver = true;
    started.reject(error);
    process.stdin.end();
    process.abandon();
  };
  const answer = (): void => {
    if (at.to.password === undefined) return fail(refused(at, "a password is needed"));
    if (answered !== undefined) return fail(refused(at, "the password was not accepted"));
    answered = said.length;
    process.stdin.write(`${at.to.password.reveal()}\n`);
  };
  /** Everything up to the mark; undefined as long as it has not come. */
  const listen = (chunk: Buffer): Buffer | undefined => {
    // latin1: bytes and characters are the same, whatever is cut in the middle.
    said += chunk.toString("latin1");
    const mark = said.indexOf(at.mark);
    if (mark >= 0) {
      isOver = true;
      started.resolve();
      // What was said before the switch (a lecture, the question) is no output of the program.
      const before = answered === undefined ? said.slice(0, mark) : "";
      return Buffer.from(before + said.slice(mark), "latin1");
    }
    if (at.mayAsk && isQuestion(said.slice(answered ?? 0), at.prompt)) answer();
    return undefined;
  };

  const heard = Promise.withResolvers<void>();
  const source = at.pty ? process.stdout : process.stderr;
  const filter = new Transform({
    transform(chunk: Buffer, _encoding, done: TransformCallback) {
      if (isOver) return done(null, chunk);
      const out = listen(chunk);
      done(null, out);
    },
    flush(done: TransformCallback) {
      done(null, isOver ? undefined : Buffer.from(said, "latin1"));
    },
  });
  filter.on("error", () => undefined);
  pipeline(source, filter, () => heard.resolve());
  // When the user switch beneath this one is refused, that is the reason.
  const beneath = process.started?.catch((error: unknown) => {
    isOver = true;
    started.reject(error);
  });
  process.exit.then(
    async () => {
      await heard.promise;
      await beneath;
      fail(refused(at, words(said.slice(answered ?? 0), at.prompt)));
    },
    (error: unknown) => started.reject(error),
  );

  const stdin = at.mayAsk ? heldBack(process, started.promise) : process.stdin;
  const { stdout, stderr } = process;
  const outputs: { stdout: Readable; stderr: Readable } = at.pty
    ? { stdout: filter, stderr }
    : { stdout, stderr: filter };
  return { stdin, ...outputs, exit: process.exit, started: started.promise, abandon: () => process.abandon() };
}

function heldBack(process: RawProcess, started: Promise<void>): PassThrough {
  const held = new PassThrough();
  held.on("error", () => undefined);
  started.then(
    () => pipeline(held, process.stdin, () => undefined),
    () => held.destroy(),
  );
  return held;
}

/** A line that is not ended and stops at a colon: every su and doas asks like that, in every language. */
function isQuestion(said: string, prompt: string): boolean {
  if (said.includes(prompt)) return true;
  const line = /[^\r\n]*$/.exec(said)?.[0] ?? "";
  return /(?::|\xef\xbc\x9a) ?$/.test(line) && !/^(?:sudo|su|doas): ?$/.test(line); // the latter begin a complaint
}

function words(said: string, prompt: string): string {
  const text = Buffer.from(said.replaceAll(prompt, ""), "latin1").toString("utf8");
  return visible(text.replaceAll(/\s*[\r\n]+\s*/g, "; ")).replace(/^; |; $/g, "") || "it ended without a word";
}

function refused({ name, to }: Conversation, why: string): AmiError {
  return new AmiError("host.become", `${to.method} did not let us become ${to.user}: ${why}`, {
    host: name,
    hint: hintFor(to, why),
  });
}

function hintFor({ method, user, password }: Switch, why: string): string {
  if (/not accepted|try again|incorrect|authentication fail/i.test(why))
    return "check the password: sudo and doas want your own, su wants that of the other user";
  if (/(sudo|doas|su)\b.*not found|no such file/i.test(why))
    return `${method} is not installed there; choose another method: sudo, su or doas`;
  if (/does not exist|unknown user/i.test(why)) return `there is no user ${user} on that machine`;
  if (/password|authentication|authorization/i.test(why) && password === undefined)
    return "give the password with --ask-become-pass, or allow it without one";
  return `look at the rules of ${method} on that machine: it must allow sh as ${user}`;
}
