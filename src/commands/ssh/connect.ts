/** ssh connect: a terminal on a target. */
import { lstatSync, rmSync } from "node:fs";
import { z } from "zod";
import { shellLine } from "../../core/argv.ts";
import { type Context, defineCommand } from "../../core/command.ts";
import { ownPaths } from "../../core/config/paths.ts";
import { lineWords } from "../../core/deed.ts";
import { AmiError, asAmiError, exitCodes } from "../../core/errors.ts";
import { exitStatus } from "../../core/host.ts";
import { sessionName, sitInSession } from "../../core/jobs/session.ts";
import { beginRecording } from "../../core/recording/begin.ts";
import type { Recorder } from "../../core/recording/record.ts";
import { recordedTerminal } from "../../core/recording/terminal.ts";
import { type Seat, sit, takeSeat } from "../../core/seat.ts";

const input = z.strictObject({
  run: z.string().min(1).optional().describe("run this line there instead of the login shell, as in 'top -d 1'"),
  resume: sessionName
    .optional()
    .describe("into a session that survives the connection, made when there is none, and into it again after a loss"),
  record: z
    .string()
    .optional()
    .describe("record what is to be seen, in this file or in one of its own; see ssh replay"),
  recordInput: z.boolean().default(false).describe("record what is typed too; passwords are among it"),
});

const output = z.object({
  host: z.string(),
  exit: z.number().int().optional().describe("of the shell; absent when it was left by ~."),
  recording: z.string().optional().describe("the file of the recording that was asked for"),
});

export const command = defineCommand({
  name: "ssh connect",
  summary: "Open a terminal on a target",
  description: `The login shell of the user there, in this terminal: keys, colours, full-screen programs and changes of the window's size all pass. It ends with the shell, whose exit code becomes ours.

At the beginning of a line ~. closes the connection, also one that hangs; ~~ sends a tilde, ~? lists these keys. EscapeChar and RemoteCommand of the ssh config are heeded.

A recording is an asciicast (version 3), readable to you only, and complete up to the last moment whatever ends us.`,
  examples: [
    { line: "ami-node ssh connect user@host", says: "the login shell" },
    { line: "ami-node ssh connect web1 --become", says: "as root" },
    { line: "ami-node ssh connect web1 --run 'journalctl -f'", says: "one program" },
    {
      line: "ami-node ssh connect web1 --resume",
      says: "goes on where it was left; by tmux or screen where there is one",
    },
    { line: "ami-node ssh connect web1 --record=demo.cast", says: "recorded, to be shown by ssh replay" },
  ],
  input,
  args: {
    targetWord: true,
    values: { run: "LINE", resume: "NAME", record: "FILE" },
    alone: { resume: "main", record: "" },
  },
  output,
  effect: "change",
  programs: "user",
  announces: ({ run }) => [{ does: "terminal", argv: run === undefined ? undefined : lineWords(run) }],
  shows: "events",
  interactive: true,
  targets: "settings",
  exits: { 130: "left by ~." },
  run: connect,
});

async function connect(
  wish: z.output<typeof input>,
  ctx: Context,
): Promise<{ output: z.output<typeof output>; exit: number }> {
  const seat = takeSeat(ctx);
  if (wish.resume !== undefined && wish.run !== undefined)
    throw new AmiError("usage.input", "--resume is for the shell of a session, and --run for one line: leave one out");
  const { name } = seat.target;
  const host = await ctx.hosts.open(seat.target, { signal: ctx.signal });
  const recorder = await startRecording(wish, name, ctx);
  let broken: AmiError | undefined;
  recorder?.failed.catch((error: unknown) => {
    broken = asAmiError(error);
  });
  const recorded: Seat =
    recorder === undefined
      ? seat
      : { ...seat, through: (terminal) => recordedTerminal(terminal, recorder, { keys: wish.recordInput }) };
  let status: number | undefined;
  try {
    const exit =
      wish.resume === undefined
        ? await sit(ctx, recorded, host, wish.run === undefined ? undefined : shellLine(wish.run))
        : await sitInSession(ctx, recorded, wish.resume, "if absent");
    status = exit === undefined ? undefined : exitStatus(exit);
  } finally {
    recorder?.end(status);
  }
  const said = { host: name, ...(recorder === undefined ? {} : { recording: recorder.file }) };
  // Only now is there room for it on the screen.
  if (broken !== undefined) {
    ctx.events.emit({ kind: "note", host: name, level: "warn", text: broken.message });
  } else if (recorder !== undefined) {
    ctx.events.emit({ kind: "note", host: name, level: "info", text: `recorded as ${recorder.file}` });
  }
  if (status === undefined) return { output: said, exit: exitCodes.interrupted };
  return { output: { ...said, exit: status }, exit: status };
}

/** Throws `usage.input`, `recording.file`; a file that is there is only replaced when somebody says so. */
async function startRecording(
  { record, recordInput, run }: z.output<typeof input>,
  host: string,
  { terminal, confirm }: Context,
): Promise<Recorder | undefined> {
  if (record === undefined || terminal === undefined) {
    if (!recordInput) return undefined;
    throw new AmiError("usage.input", "--record-input is about a recording: add --record");
  }
  const file = record === "" ? undefined : record;
  const there = file === undefined ? undefined : lstatSync(file, { throwIfNoEntry: false });
  if (file !== undefined && there !== undefined) {
    // A folder, or a device: /dev/null must stay what it is.
    if (!there.isFile() && !there.isSymbolicLink())
      throw new AmiError("recording.file", `${file} is there already, and is no file`);
    await confirm(`${file} is there already; replace it?`);
    rmSync(file, { force: true });
  }
  return beginRecording({ file, folder: ownPaths().recordings, host, terminal, command: run });
}
