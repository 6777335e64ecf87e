/** ssh execute: runs a command on every target and shows what it says. */
import { z } from "zod";
import { act } from "../../core/act.ts";
import { type Context, defineCommand } from "../../core/command.ts";
import { type Deed, lineWords } from "../../core/deed.ts";
import { AmiError, errorJson } from "../../core/errors.ts";
import { bytesJson } from "../../core/events.ts";
import { type Call, type Ran, executeOn, titleOf } from "../../core/execute.ts";
import type { Fan } from "../../core/fanout.ts";
import { fold } from "../../core/fold.ts";
import { exitStatus } from "../../core/host.ts";
import { type Input, fileInput, streamInput } from "../../core/input.ts";
import { errorSchema } from "../../core/report.ts";
import { readScript } from "../../core/script.ts";
import type { Target } from "../../core/targets.ts";

const input = z.strictObject({
  command: z
    .array(z.string())
    .default([])
    .describe(
      "one word is a line for the login shell; several are a program and its words, passed on exactly as they are",
    ),
  then: z.array(z.string()).default([]).describe("a further shell line, run when all before it succeeded"),
  script: z
    .string()
    .min(1)
    .optional()
    .describe("run this file of this machine instead; the words of the command are its arguments"),
  interpreter: z
    .string()
    .min(1)
    .optional()
    .describe("what runs the script, as in 'python3 -u'; else its first line (#!) says, else sh"),
  stdin: z.boolean().default(false).describe("pass on what is piped in here; every target gets all of it"),
  stdinFile: z.string().min(1).optional().describe("give the command this file of this machine as stdin"),
  env: z
    .record(z.string(), z.string())
    .refine((env) => oddName(env) === undefined, {
      error: (issue) => `${JSON.stringify(oddName(issue.input))} is no name of a variable`,
    })
    .default({})
    .describe("set a variable for the command; it is never seen in a process list"),
  cwd: z.string().min(1).optional().describe("folder of the target to run it in"),
  retries: z
    .number()
    .int()
    .min(0)
    .max(100)
    .default(0)
    .describe("try again so often when no connection comes about; never once the command may have run"),
  fold: z.boolean().default(false).describe("show equal output of several targets once, with the list of them"),
  pty: z.boolean().default(false).describe("run it under a terminal of the target; stderr then comes with stdout"),
});

const output = z.object({
  hosts: z.array(
    z.object({
      host: z.string(),
      exit: z.number().int().optional().describe("of the last command that ran; 128 + n for signal n"),
      signal: z.string().optional(),
      ms: z.number(),
      attempts: z.number().int().optional(),
      error: errorSchema.optional(),
    }),
  ),
});

export const command = defineCommand({
  name: "ssh execute",
  summary: "Run a command on every target",
  description: `One word is a line for the login shell of the user there, as in 'df -h | grep sda'. Several words are a program and its words: nothing is interpreted on the way, and dashes belong to that program. Flags of ours may also follow a single word, when that word is a line (white space is in it) or one of them is --target, --targets-file or --then; -- before the word ends all doubt.

The output of one target is passed on byte for byte, and so is the exit code (128 + n for signal n). Of several targets each line is prefixed by its host. Ctrl-C ends the command on the targets too.`,
  examples: [
    { line: "ami-node ssh execute uptime --target web1", says: "on one host" },
    { line: "ami-node ssh execute --target web1 'df -h | grep sda'", says: "a line for the shell there" },
    { line: "ami-node ssh execute --target 'web*' --fold -- uname -r", says: "on many, equal answers shown once" },
    {
      line: "ami-node ssh execute --target web1 --script setup.py --interpreter python3 -- --fast",
      says: "a script of this machine, with an argument",
    },
    {
      line: "ami-node ssh execute --target web1 'apt-get update' --then 'apt-get -y upgrade' --become",
      says: "one after the other, as root",
    },
    { line: "ami-node ssh execute --target web1,web2 --stdin 'cat > /tmp/list' < list", says: "with stdin" },
  ],
  input,
  args: {
    positional: ["command"],
    passThrough: true,
    values: { script: "FILE", stdinFile: "FILE", then: "LINE", cwd: "DIR", interpreter: "WORDS" },
  },
  output,
  effect: "change",
  programs: "user",
  announces: announced,
  shows: "events",
  targets: "settings",
  route: { method: "POST", path: "/api/ssh/execute" },
  exits: { 3: "several targets, and at least one failed", 4: "no target could be reached", 130: "interrupted" },
  run: execute,
});

type Wish = z.output<typeof input>;

/** A script is one for some shell, whatever it holds. */
function announced({ command: words, script, then, pty }: Wish): Deed[] {
  const [word = "", ...others] = words;
  const first = script !== undefined ? ["sh", script, ...words] : others.length === 0 ? lineWords(word) : words;
  return [first, ...then.map(lineWords)].map((argv) => ({ does: "run", argv, pty }));
}

function oddName(env: unknown): string | undefined {
  return Object.keys(env ?? {}).find((name) => !/^[A-Za-z_][A-Za-z0-9_]*$/.test(name));
}

async function execute(wish: Wish, ctx: Context): Promise<{ output: z.output<typeof output>; exit: number }> {
  const calls = await readCalls(wish);
  const stdin = await openStdin(wish, ctx);
  const folds = wish.fold && ctx.targets.length > 1;
  const { env, cwd, retries } = wish;
  const job = { calls, stdin, env, cwd, pty: wish.pty ? terminalOf(ctx) : undefined, retries, keep: folds };
  try {
    const { fans, exit } = await act<Ran>(ctx, {
      title: calls.map(titleOf).join(" && "),
      work: (target, signal) => executeOn(target, job, ctx, signal),
      ended: (ran) => ({ ended: exitStatus(ran.exit) === 0 ? "ok" : "failed", exit: exitStatus(ran.exit) }),
      ...(folds ? { beforeEnds: (all: readonly Fan<Target, Ran>[]) => emitFolds(all, ctx) } : {}),
    });
    return { output: { hosts: fans.map(reportOf) }, exit };
  } finally {
    await stdin?.close();
  }
}

/** What to run, in sequence. Throws `usage.input`. */
async function readCalls(wish: Wish): Promise<Call[]> {
  const [word, ...words] = wish.command;
  const then = wish.then.map((line): Call => ({ line }));
  if (wish.script !== undefined)
    return [{ script: await readScript(wish.script, wish.interpreter), args: wish.command }, ...then];
  if (wish.interpreter !== undefined)
    throw new AmiError("usage.input", "--interpreter says what runs a --script, and there is none");
  if (word === undefined || (words.length === 0 && word.trim() === "")) {
    throw new AmiError("usage.input", "there is nothing to run", {
      hint: "give a command, as in: ami-node ssh execute uptime, or a --script; for a terminal use: ami-node ssh connect",
    });
  }
  return [words.length === 0 ? { line: word } : { argv: [word, ...words] }, ...then];
}

async function openStdin(wish: Wish, ctx: Context): Promise<Input | undefined> {
  if (wish.stdinFile !== undefined) {
    if (wish.stdin) throw new AmiError("usage.input", "--stdin and --stdin-file are two inputs; give one");
    return fileInput(wish.stdinFile);
  }
  if (!wish.stdin) return undefined;
  if (ctx.stdio === undefined)
    throw new AmiError("usage.input", "there is no stdin to pass on here", { hint: "name a file: --stdin-file FILE" });
  if (ctx.stdio.stdin.readableEnded) {
    throw new AmiError("usage.input", "--stdin: standard input was the list of targets, and nothing is left of it", {
      hint: "name a file: --stdin-file FILE, or --targets-file FILE",
    });
  }
  return streamInput(ctx.stdio.stdin, ctx.targets.length, ctx.signal);
}

function terminalOf({ terminal }: Context): { columns: number; rows: number; term: string } {
  return terminal === undefined
    ? { columns: 80, rows: 24, term: "xterm" }
    : { columns: terminal.columns, rows: terminal.rows, term: terminal.term };
}

/** Equal answers once, the commonest first. */
function emitFolds(fans: readonly Fan<Target, Ran>[], { events }: Context): void {
  const done = fans.filter((fan) => fan.state === "done");
  const bytes = ({ value }: (typeof done)[number], stream: "stdout" | "stderr"): Buffer =>
    Buffer.concat(value.kept.map((kept) => kept[stream]));
  const keyOf = (fan: (typeof done)[number]): string =>
    JSON.stringify([
      exitStatus(fan.value.exit),
      bytes(fan, "stdout").toString("base64"),
      bytes(fan, "stderr").toString("base64"),
    ]);
  for (const { members } of fold(done, keyOf)) {
    const [one] = members;
    if (one === undefined) continue;
    const hosts = members.map(({ target }) => target.name);
    events.emit({
      kind: "fold",
      hosts,
      exit: exitStatus(one.value.exit),
      stdout: bytesJson(bytes(one, "stdout")),
      stderr: bytesJson(bytes(one, "stderr")),
    });
  }
}

function reportOf(fan: Fan<Target, Ran>): z.output<typeof output>["hosts"][number] {
  const common = { host: fan.target.name, ms: fan.ms };
  if (fan.state !== "done") return { ...common, error: errorJson(fan.error) };
  const { exit, attempts } = fan.value;
  return { ...common, exit: exitStatus(exit), signal: exit.signal, attempts };
}
