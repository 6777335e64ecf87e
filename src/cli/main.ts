/** Main: from words to an exit code. Loads no more than the words ask for. */
import { commands } from "../commands/registry.ts";
import type { CommandEntry } from "../commands/registry.ts";
import type { Context } from "../core/command.ts";
import { AmiError, exitCodeOf, exitCodes, failureJson } from "../core/errors.ts";
import { nearest } from "../core/nearest.ts";
import { findPlugin, listPlugins, thisPlace } from "../core/plugins.ts";
import { version } from "../core/version.ts";
import { errorText } from "../ui/error.ts";
import { findCommand, isHelp, isVersion } from "./words.ts";
import type { Found } from "./words.ts";

export interface World {
  readonly stdio: {
    readonly stdin: NodeJS.ReadStream;
    readonly stdout: NodeJS.WriteStream;
    readonly stderr: NodeJS.WriteStream;
  };
  readonly env: NodeJS.ProcessEnv;
  readonly signal: AbortSignal;
  /** Aborts the signal, as Ctrl-C does. */
  interrupt(): void;
  /** What is printed is not taken any more. */
  hasReaderLeft(): boolean;
}

/** Never rejects: what goes wrong is printed and becomes the exit code. */
export async function main(argv: readonly string[], world: World): Promise<number> {
  try {
    return await answer(argv, world);
  } catch (error) {
    // Nothing has run, so nothing else was printed.
    return failed(error, argv, world.stdio);
  }
}

/** Prints an error that no command has printed; returns the exit code. */
export function failed(error: unknown, argv: readonly string[], { stdout, stderr }: World["stdio"]): number {
  const exit = exitCodeOf(error);
  if (argv.includes("--json")) stdout.write(`${JSON.stringify(failureJson(error, exit))}\n`);
  stderr.write(errorText(error, { verbose: argv.includes("--verbose") }));
  return exit;
}

async function answer(argv: readonly string[], world: World): Promise<number> {
  const [first] = argv;
  if (first === "__complete") return complete(argv.slice(1), world);
  if (first === "help") return help(argv.slice(1), world);
  const found = findCommand(
    argv,
    commands.map(({ name }) => name),
  );
  if (found.is === "command") return runCommand(argv, found, world);
  if (found.is === "nothing" && isVersion(found.rest[0])) return print(world, `${version}\n`);
  if (found.rest.length === 0 || isHelp(found.rest[0])) return help(found.path, world);
  if (found.is === "group") {
    if (found.rest[0] === "help") return help([...found.path, ...found.rest.slice(1)], world);
    throw unknownVerb(found);
  }
  return plugin(found, world);
}

async function runCommand(argv: readonly string[], found: Found, world: World): Promise<number> {
  const entry = entryOf(found.path);
  const [command, { parse, commandHelp }, { run }] = await Promise.all([
    entry.load(),
    import("./parse.ts"),
    import("../app.ts"),
  ]);
  const parsed = parse(command, found.before, found.rest);
  if (parsed.want === "help") return print(world, commandHelp(command, columnsOf(world)));
  if (command.name === "ssh execute") {
    const { throughBroker } = await import("./through-broker.ts");
    const exit = await throughBroker(argv, world);
    if (exit !== undefined) return exit;
  }
  const answering: Context["answering"] = async () => (await import("./answer.ts")).openAnswering();
  return run({ command, input: parsed.input, globals: parsed.globals, ...world, answering });
}

/** `ami-node help ssh execute`, `ami-node ssh --help`, `ami-node`. */
async function help(words: readonly string[], world: World): Promise<number> {
  const path = words.filter((word) => !isHelp(word));
  const found = findCommand(
    path,
    commands.map(({ name }) => name),
  );
  if (found.is === "command") {
    const { commandHelp } = await import("./parse.ts");
    return print(world, commandHelp(await entryOf(found.path).load(), columnsOf(world)));
  }
  if (found.rest.length > 0) {
    if (found.is === "group") throw unknownVerb(found);
    return plugin({ ...found, rest: [...found.rest, "--help"] }, world);
  }
  const [{ firstPage, groupPage }, { groups }] = await Promise.all([
    import("./help.ts"),
    import("../commands/groups.ts"),
  ]);
  const group = found.path.join(" ");
  return print(world, group === "" ? firstPage(commands, groups, version) : groupPage(group, commands, groups));
}

async function complete(words: readonly string[], world: World): Promise<number> {
  const { candidates } = await import("./complete.ts");
  return print(world, (await candidates(words, world.env)).map((line) => `${line}\n`).join(""));
}

async function plugin(found: Found, world: World): Promise<number> {
  const [name = "", ...rest] = found.rest;
  const path = findPlugin(name, thisPlace(world.env));
  if (path === undefined) throw unknownCommand(name, found, world);
  if (found.before.length > 0) {
    throw new AmiError(
      "usage.input",
      `${found.before.join(" ")} stands before ${name}, which is a program of its own`,
      {
        hint: `flags of ${path} stand after its name`,
      },
    );
  }
  const { runPlugin } = await import("./run-plugin.ts");
  return runPlugin(path, rest);
}

function unknownCommand(word: string, { before }: Found, { env }: World): AmiError {
  if (before.at(-1) === "--become") {
    return new AmiError("usage.command", `unknown command ${JSON.stringify(word)}`, {
      hint: `a user is named with =, as in --become=${word}`,
    });
  }
  const meant = new Map<string, string>();
  for (const { name } of commands) {
    const [first = name] = name.split(" ", 1);
    meant.set(first, first);
  }
  for (const { name } of listPlugins(new Set(meant.keys()), thisPlace(env))) meant.set(name, name);
  // A verb whose group was forgotten; one that several groups have is no guess.
  for (const [verb, [only, ...others]] of Map.groupBy(commands, ({ name }) => name.split(" ").slice(1).join(" ")))
    if (only !== undefined && others.length === 0 && !meant.has(verb)) meant.set(verb, only.name);
  const near = meant.get(nearest(word, meant.keys()) ?? "");
  return new AmiError("usage.command", `unknown command ${JSON.stringify(word)}`, {
    hint: near === undefined ? "list them all with: ami-node --help" : `did you mean ami-node ${near}?`,
  });
}

function unknownVerb({ path, rest }: Found): AmiError {
  const group = path.join(" ");
  const verbs = commands
    .filter(({ name }) => name.startsWith(`${group} `))
    .map(({ name }) => name.slice(group.length + 1));
  const word = rest[0] ?? "";
  const near = nearest(word, verbs);
  return new AmiError("usage.command", `${group} has no verb ${JSON.stringify(word)}`, {
    hint: near === undefined ? `it has: ${verbs.join(", ")}` : `did you mean ami-node ${group} ${near}?`,
  });
}

function entryOf(path: readonly string[]): CommandEntry {
  const entry = commands.find(({ name }) => name === path.join(" "));
  if (entry === undefined) throw new Error(`${path.join(" ")} is not registered`);
  return entry;
}

function columnsOf(world: World): number {
  return Math.min(world.stdio.stdout.columns ?? 100, 120);
}

function print(world: World, text: string): number {
  world.stdio.stdout.write(text);
  return exitCodes.ok;
}
