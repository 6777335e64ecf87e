/**
 * Questions: one in the background has no terminal. Until it is up, whoever started it answers for it, over a channel
 * that nobody else sees; what it was told it keeps for the times when it has to connect again.
 */
import type { ChildProcess } from "node:child_process";
import { z } from "zod";
import { Secret } from "../secret.ts";

const question = z.object({
  kind: z.enum(["password", "challenge", "passphrase", "host-key"]),
  host: z.string(),
  text: z.string(),
  echo: z.boolean(),
  attempt: z.number().int(),
});

/** `kept`: is the passphrase of that key file kept somewhere? */
const asked = z.union([
  z.object({ id: z.number().int(), question }),
  z.object({ id: z.number().int(), kept: z.string() }),
]);
const answered = z.object({ id: z.number().int(), answer: z.string().optional() });

/** As ssh asks (`core/ssh/options.ts`). */
export interface Answers {
  readonly ask?: ((about: z.output<typeof question>) => Promise<Secret | undefined>) | undefined;
  readonly passphrase?: ((file: string) => Promise<Secret | undefined>) | undefined;
}

/** In the one that starts it. `fail`: whoever was asked wants to stop. */
export function answerFor(child: ChildProcess, answers: Answers, fail: (error: unknown) => void): void {
  child.on("message", (message) => {
    const read = asked.safeParse(message);
    if (!read.success) return;
    const { data } = read;
    const answer = "question" in data ? answers.ask?.(data.question) : answers.passphrase?.(data.kept);
    Promise.resolve(answer)
      .then((secret) => {
        if (child.connected) child.send({ id: data.id, answer: secret?.reveal() }, () => undefined);
      })
      .catch(fail);
  });
}

/** In the environment of the one in the background: the file of its record. */
export const recordVariable = "AMI_NODE_TUNNEL_RECORD";

/** In the one in the background. Undefined: this process is in the foreground. */
export function askStarter(env: NodeJS.ProcessEnv): Required<Answers> | undefined {
  if (env[recordVariable] === undefined || process.send === undefined || !process.connected) return undefined;
  const waiting = new Map<number, (secret: Secret | undefined) => void>();
  let last = 0;
  const settle = (id: number, answer: string | undefined): void => {
    waiting.get(id)?.(answer === undefined ? undefined : new Secret(answer));
    waiting.delete(id);
  };
  process.on("message", (message) => {
    const read = answered.safeParse(message);
    if (read.success) settle(read.data.id, read.data.answer);
  });
  process.on("disconnect", () => {
    for (const id of waiting.keys()) settle(id, undefined);
  });
  const send = (words: object): Promise<Secret | undefined> => {
    if (!process.connected) return Promise.resolve(undefined);
    const id = ++last;
    const { promise, resolve } = Promise.withResolvers<Secret | undefined>();
    waiting.set(id, resolve);
    process.send?.({ id, ...words }, undefined, undefined, (error) => {
      if (error instanceof Error) settle(id, undefined);
    });
    return promise;
  };
  return { ask: (about) => send({ question: about }), passphrase: (file) => send({ kept: file }) };
}
