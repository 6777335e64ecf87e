/** Prompt: questions to the person at the terminal, one at a time. inquirer is loaded with the first of them. */
import { AmiError } from "../core/errors.ts";
import { Secret } from "../core/secret.ts";
import type { Paint } from "./paint.ts";

export interface Prompter {
  /** false: answered with no. */
  confirm(question: string): Promise<boolean>;
  /** Typed unseen. */
  secret(question: string): Promise<Secret>;
  line(question: string): Promise<string>;
}

export interface PromptPlace {
  readonly stdin: NodeJS.ReadStream;
  /** Questions are conversation, never part of the answer: they go to stderr. */
  readonly stderr: NodeJS.WriteStream;
  /** Colours of stderr. */
  readonly paint: Paint;
  readonly signal: AbortSignal;
  /** Ctrl-C at a question means the whole run: the terminal gives it to the prompt, not to the process. */
  interrupt(): void;
  /** Clears what is drawn while the question is asked. */
  suspend<T>(work: () => Promise<T>): Promise<T>;
}

type Question =
  | { readonly type: "confirm"; readonly message: string; readonly default: boolean }
  | { readonly type: "password"; readonly message: string; readonly mask: false }
  | { readonly type: "input"; readonly message: string };

/**
 * Throws `run.refused` when stdin is no terminal (nobody can answer), `run.cancelled` on Ctrl-C.
 * Several callers at once wait for each other.
 */
export function openPrompter(place: PromptPlace): Prompter {
  let last: Promise<unknown> = Promise.resolve();
  const ask = (question: Question): Promise<unknown> => {
    const answer = last.then(() => askOne(place, question));
    last = answer.catch(() => undefined);
    return answer;
  };
  return {
    confirm: async (message) => (await ask({ type: "confirm", message, default: false })) === true,
    secret: async (message) => new Secret(String(await ask({ type: "password", message, mask: false }))),
    line: async (message) => String(await ask({ type: "input", message })),
  };
}

async function askOne(place: PromptPlace, question: Question): Promise<unknown> {
  if (place.stdin.isTTY !== true) {
    throw new AmiError("run.refused", `nobody can answer: ${question.message}`, {
      hint: "run it at a terminal, or say beforehand: --yes for confirmations, keys or an agent for passwords",
    });
  }
  place.signal.throwIfAborted();
  const { default: inquirer } = await import("inquirer");
  const prompt = inquirer.createPromptModule({ input: place.stdin, output: place.stderr });
  return place.suspend(async () => {
    const asked = prompt<{ answer: unknown }>({
      ...question,
      name: "answer",
      ...split(question.message, place.stderr),
      theme: themeOf(place.paint),
    });
    const cancel = () => asked.ui.close();
    place.signal.addEventListener("abort", cancel, { once: true });
    try {
      return (await asked).answer;
    } catch (cause) {
      place.interrupt();
      throw new AmiError("run.cancelled", "interrupted at a question", { cause });
    } finally {
      place.signal.removeEventListener("abort", cancel);
    }
  });
}

function themeOf(paint: Paint) {
  return {
    prefix: { idle: paint.cyan("?"), done: paint.green("✔") },
    style: {
      answer: paint.cyan,
      message: paint.bold,
      defaultAnswer: (text: string) => paint.dim(`(${text})`),
      help: paint.dim,
      error: (text: string) => paint.red(`> ${text}`),
    },
  };
}

/** What comes before the last line is shown once; the prompt redraws only its own line. */
function split(message: string, stderr: NodeJS.WriteStream): { message: string } {
  const lines = message.trimEnd().split("\n");
  const question = lines.pop() ?? "";
  if (lines.length > 0) stderr.write(`${lines.join("\n")}\n`);
  return { message: question };
}
