/** ssh run: starts a job that goes on without its connection. */
import { z } from "zod";
import { act } from "../../core/act.ts";
import { type Argv, quoteArgv, shellLine } from "../../core/argv.ts";
import { type Context, defineCommand } from "../../core/command.ts";
import { lineWords } from "../../core/deed.ts";
import { AmiError, errorJson } from "../../core/errors.ts";
import { exitStatus } from "../../core/host.ts";
import { type JobState, newJobId } from "../../core/jobs/job.ts";
import { showJob } from "../../core/jobs/show.ts";
import { startJob } from "../../core/jobs/start.ts";
import { errorSchema } from "../../core/report.ts";
import { onInterrupt } from "./jobs/words.ts";

const input = z.strictObject({
  command: z
    .array(z.string())
    .default([])
    .describe("one word is a line for the login shell; several are a program and its words, passed on as they are"),
  detach: z.boolean().default(false).describe("only start it, and print its id"),
  onInterrupt: onInterrupt("pass"),
  env: z.record(z.string(), z.string()).default({}).describe("set a variable for the job; it is not kept"),
  cwd: z.string().min(1).optional().describe("folder of the target to run it in"),
});

const output = z.object({
  id: z.string().describe("the same on every host"),
  hosts: z.array(
    z.object({
      host: z.string(),
      state: z.enum(["running", "ended"]).optional(),
      exit: z.number().int().optional().describe("128 + n for signal n"),
      signal: z.string().optional(),
      ms: z.number(),
      error: errorSchema.optional(),
    }),
  ),
});

export const command = defineCommand({
  name: "ssh run",
  summary: "Run a command that survives its connection",
  description: `The command is started there as a job: in a session of its own, with nothing to read, its output kept in files. What it says is shown, and its exit code becomes ours. When the connection is lost another one is made, later each time, and nothing is lost or shown twice. Whatever becomes of this side, the job goes on; ssh jobs lists, shows and stops it.

Ctrl-C is passed on to the job. One that does not end within 4 seconds is left running, and at once with a second Ctrl-C. A terminal that is closed leaves it running.

Jobs live in ~/.ami-node/jobs of the user there, and are taken away 30 days after their end.`,
  examples: [
    { line: "ami-node ssh run web1 -- make -j4 all", says: "shown until it ends" },
    {
      line: "ami-node ssh run web1 --detach -- 'pg_dump app > /srv/app.sql'",
      says: "a line for the shell; prints the id",
    },
    { line: "ami-node ssh run --target web1,web2 --become -- apt-get -y upgrade", says: "on two hosts, as root" },
  ],
  input,
  args: { targetWord: true, positional: ["command"], passThrough: true, values: { cwd: "DIR", onInterrupt: "WHAT" } },
  output,
  effect: "change",
  programs: "user",
  announces: ({ command: words }) => [{ does: "run", argv: words.length === 1 ? lineWords(words[0] ?? "") : words }],
  shows: "events",
  targets: "settings",
  exits: { 3: "several targets, and at least one failed", 4: "no target could be reached", 130: "interrupted" },
  run,
});

type Wish = z.output<typeof input>;

async function run(wish: Wish, ctx: Context): Promise<{ output: z.output<typeof output>; exit: number }> {
  const argv = argvOf(wish.command);
  const { env, cwd, detach } = wish;
  const id = newJobId();
  const title = wish.command.length === 1 ? (wish.command[0] ?? "") : quoteArgv(wish.command);
  const { fans, exit } = await act<JobState>(ctx, {
    title,
    async work(target, signal) {
      const open = (): ReturnType<Context["hosts"]["open"]> => ctx.hosts.open(target, { signal });
      const onUnknown = (): void => {
        const text = `nobody knows whether job ${id} was started; look with: ami-node ssh jobs list ${target.name}`;
        ctx.events.emit({ kind: "note", host: target.name, level: "warn", text });
      };
      await startJob(open, { id, argv, about: { command: title }, env, cwd, onUnknown }, signal);
      ctx.events.emit({ kind: "job", host: target.name, id, attached: !detach });
      if (detach) return { is: "running" };
      const show = { id, follow: true, isThere: true, onInterrupt: wish.onInterrupt, mustEnd: true };
      return showJob(target, show, ctx, signal);
    },
    ended: (state) => {
      if (state.is !== "ended") return { ended: "ok" };
      const status = exitStatus(state.exit);
      return { ended: status === 0 ? "ok" : "failed", exit: status };
    },
  });
  const hosts = fans.map((fan): z.output<typeof output>["hosts"][number] => {
    const common = { host: fan.target.name, ms: fan.ms };
    if (fan.state !== "done") return { ...common, error: errorJson(fan.error) };
    if (fan.value.is !== "ended") return { ...common, state: "running" };
    return { ...common, state: "ended", exit: exitStatus(fan.value.exit), signal: fan.value.exit.signal };
  });
  return { output: { id, hosts }, exit };
}

function argvOf([word, ...words]: readonly string[]): Argv {
  if (word === undefined || (words.length === 0 && word.trim() === "")) {
    throw new AmiError("usage.input", "there is nothing to run", {
      hint: "the command stands after --, as in: ami-node ssh run web1 -- make all",
    });
  }
  return words.length === 0 ? shellLine(word) : [word, ...words];
}
