/** Screen: chooses who draws the events of a run, and prints its answer or its error. */
import type { Command, GlobalOptions } from "../core/command.ts";
import { errorJson, failureJson } from "../core/errors.ts";
import type { Listener } from "../core/events.ts";
import { errorText } from "./error.ts";
import { jsonListener } from "./json.ts";
import type { Write } from "./lines.ts";
import { openPaint, wantsColor } from "./paint.ts";
import type { ColorWish, Paint } from "./paint.ts";
import { openSink } from "./sink.ts";
import { openText } from "./text.ts";
import type { HealthTable } from "./health-table.ts";
import type { Tree } from "./tree.ts";
import { openWait } from "./wait.ts";

export interface Streams {
  readonly stdout: NodeJS.WriteStream;
  readonly stderr: NodeJS.WriteStream;
}

export interface Screen {
  /** Colours of the conversation. */
  readonly paint: Paint;
  readonly listener: Listener;
  /** How many targets there will be. */
  expect(hosts: number): void;
  /** Prints the document of a verb that answers. */
  answer(output: unknown): void;
  /** Prints why the command failed, unless a host's failure already said it. */
  fail(error: unknown, exit: number): void;
  /** Takes the drawing away while a question is asked. */
  suspend<T>(work: () => Promise<T>): Promise<T>;
  /** Resolves when what was printed has been taken, but for a little. */
  caughtUp(): Promise<void>;
  /** Draws what is left. */
  close(): Promise<void>;
}

export interface ScreenWish {
  readonly command: Pick<Command, "name" | "shows" | "interactive" | "passesOutput" | "text" | "args" | "live">;
  readonly options: Pick<GlobalOptions, "json" | "quiet" | "verbose">;
  readonly color: { readonly flag: boolean; readonly setting: ColorWish };
  readonly env: NodeJS.ProcessEnv;
  /** Hides secrets. */
  readonly mask: (text: string) => string;
}

export async function openScreen(streams: Streams, wish: ScreenWish): Promise<Screen> {
  const { command, options } = wish;
  const colored = (stream: NodeJS.WriteStream) =>
    wantsColor(wish.color.flag, wish.color.setting, stream.isTTY === true, wish.env);
  const paint = { stdout: await openPaint(colored(streams.stdout)), stderr: await openPaint(colored(streams.stderr)) };
  const tree = isDrawn(streams.stdout, wish) ? await openPicture(command, streams.stdout, paint.stdout) : undefined;
  let hosts = 0;
  const waits = command.shows === "answer" && streams.stderr.isTTY === true && canDraw(wish);
  const drawing =
    tree ??
    (waits ? openWait(streams.stderr, () => waitText(command.name, hosts), colored(streams.stderr)) : undefined);
  const sink = openSink(streams);
  const write: Write = (stream, data) => {
    if (drawing === undefined) sink.write(stream, data);
    else drawing.above(() => sink.write(stream, data));
  };
  const columns = streams.stdout.isTTY === true ? streams.stdout.columns : undefined;
  const text = openText({
    write,
    paint,
    quiet: options.quiet,
    verbose: options.verbose,
    columns,
    ...(tree === undefined ? {} : { isDrawn: () => !tree.crowded }),
  });
  const json = jsonListener(write);
  const asEvents = options.json && command.shows === "events";
  return {
    paint: paint.stderr,
    listener(event) {
      if (asEvents) return json(event);
      tree?.listener(event);
      text.listener(event);
    },
    expect(count) {
      hosts = count;
      text.expect(count);
    },
    answer(output) {
      if (options.json) write("stdout", `${JSON.stringify(output, null, streams.stdout.isTTY === true ? 2 : 0)}\n`);
      else
        write(
          "stdout",
          withNewline(
            command.text?.(output, { columns: columns ?? 80, verbose: options.verbose }) ??
              JSON.stringify(output, null, 2),
          ),
        );
    },
    fail(error, exit) {
      if (options.json && !asEvents) write("stdout", `${wish.mask(JSON.stringify(failureJson(error, exit)))}\n`);
      if (!text.hasTold(errorJson(error)))
        write("stderr", wish.mask(errorText(error, { verbose: options.verbose, paint: paint.stderr })));
    },
    caughtUp: sink.caughtUp,
    suspend: (work) => (drawing === undefined ? work() : drawing.suspend(work)),
    async close() {
      await drawing?.close();
      if (tree !== undefined) text.printSummary();
    },
  };
}

async function openPicture(
  { live }: ScreenWish["command"],
  terminal: NodeJS.WriteStream,
  paint: Paint,
): Promise<Tree | HealthTable> {
  // Who goes on for ever has no steps to draw.
  if (live !== undefined) return (await import("./health-table.ts")).openHealthTable(terminal, paint);
  return (await import("./tree.ts")).openTree(terminal, paint);
}

function waitText(name: string, hosts: number): string {
  return hosts > 1 ? `${name} on ${hosts} targets` : name;
}

/** A tree is drawn where it can be seen, and not around programs that write to the terminal themselves. */
function isDrawn(stdout: NodeJS.WriteStream, wish: ScreenWish): boolean {
  return stdout.isTTY === true && wish.command.shows === "events" && !passesOutput(wish) && canDraw(wish);
}

function passesOutput({ command }: ScreenWish): boolean {
  return command.args.passThrough === true || command.passesOutput === true;
}

function canDraw({ command, options, env }: ScreenWish): boolean {
  return env["TERM"] !== "dumb" && command.interactive !== true && !options.json && !options.quiet;
}

function withNewline(text: string): string {
  return text === "" || text.endsWith("\n") ? text : `${text}\n`;
}
