/** Complete: what may come next. Answered from the registry alone, so that a key press costs no library. */
import { commands } from "../commands/registry.ts";
import type { CommandEntry, FlagEntry } from "../commands/registry.ts";
import { groups } from "../commands/groups.ts";
import { listPlugins, thisPlace } from "../core/plugins.ts";
import { globalFlags, namingFlags, targetFlags } from "./globals.ts";

/** The shell completes file names itself. */
const files = ":files";

/** `words`: what stands after `ami-node`, the last one being typed. Lines `word<TAB>meaning`, or `:files`. */
export async function candidates(words: readonly string[], env: NodeJS.ProcessEnv): Promise<string[]> {
  const typed = words.at(-1) ?? "";
  const { path, entry, words: before, waiting, ended } = walk(words.slice(0, -1));
  const place = { env, sshConfig: valueOf("--ssh-config", words) };
  const attached = /^(--[^=]+)=(.*)$/s.exec(typed);
  if (waiting !== undefined) return valuesOf(waiting, typed, "", place);
  if (attached && !ended) {
    const [, name = "", value = ""] = attached;
    const flag = flagsOf(path, entry).find((known) => known.name === name);
    return flag?.takes === undefined ? [] : valuesOf(flag, value, `${name}=`, place);
  }
  if (typed.startsWith("-") && !ended)
    return matching(
      flagsOf(path, entry).map(({ name, says }) => line(name, says)),
      typed,
    );
  if (entry === undefined) return matching(nextWords(path, env), typed);
  const word = entry.words[before] ?? entry.words.findLast(({ takes }) => takes.endsWith("..."));
  // A verb may have verbs of its own: `ssh tunnel web1`, `ssh tunnel list`.
  const verbs = before === 0 && !ended ? matching(nextWords(path, env), typed) : [];
  return word === undefined ? verbs : [...verbs, ...(await valuesOf(word, typed, "", place))];
}

interface Place {
  readonly env: NodeJS.ProcessEnv;
  readonly sshConfig: string | undefined;
}

interface Walked {
  readonly path: readonly string[];
  readonly entry: CommandEntry | undefined;
  /** Positional words of the command so far. */
  readonly words: number;
  /** The flag whose value is being typed. */
  readonly waiting: FlagEntry | undefined;
  /** `--` was seen: flags are over. */
  readonly ended: boolean;
}

function walk(words: readonly string[]): Walked {
  let path: readonly string[] = [];
  let entry: CommandEntry | undefined;
  let count = 0;
  let waiting: FlagEntry | undefined;
  let ended = false;
  for (const word of words) {
    if (waiting !== undefined) waiting = undefined;
    else if (ended) count++;
    else if (word === "--") ended = true;
    else if (word.startsWith("-")) {
      const flag = flagsOf(path, entry).find((known) => known.name === word);
      if (flag?.takes !== undefined && flag.attached !== true) waiting = flag;
    } else if (entry === undefined) {
      if (path.length === 0 && word === "help") continue;
      path = [...path, word];
      entry = named(path);
    } else if (count === 0 && named([...path, word]) !== undefined) {
      path = [...path, word];
      entry = named(path);
    } else count++;
  }
  return { path, entry, words: count, waiting, ended };
}

function named(path: readonly string[]): CommandEntry | undefined {
  return commands.find(({ name }) => name === path.join(" "));
}

function nextWords(path: readonly string[], env: NodeJS.ProcessEnv): string[] {
  const start = path.map((word) => `${word} `).join("");
  const next = new Map<string, string>();
  for (const { name, summary } of commands) {
    if (!name.startsWith(start)) continue;
    const [word = "", more] = name.slice(start.length).split(" ");
    if (!next.has(word)) next.set(word, more === undefined ? summary : (groups[start + word] ?? ""));
  }
  if (path.length === 0) {
    next.set("help", "show how a command is used");
    for (const { name, path: file } of listPlugins(new Set(next.keys()), thisPlace(env)))
      if (!next.has(name)) next.set(name, file);
  }
  return [...next].map(([word, says]) => line(word, says));
}

function flagsOf(path: readonly string[], entry: CommandEntry | undefined): FlagEntry[] {
  const start = path.map((word) => `${word} `).join("");
  const possible = entry === undefined ? commands.filter(({ name }) => name.startsWith(start)) : [entry];
  const takesTargets = possible.some(({ targets }) => targets !== "none");
  const namesTargets = possible.some(({ targets }) => targets !== "none" && targets !== "words");
  const globals = globalFlags
    .filter((flag) => takesTargets || !targetFlags.has(flag.field))
    .filter((flag) => namesTargets || !namingFlags.has(flag.field))
    .map((flag): FlagEntry => {
      const takes = {
        ...(flag.kind === "switch" ? {} : { takes: flag.placeholder }),
        ...(flag.kind === "optional" ? { attached: true } : {}),
      };
      return {
        name: `--${flag.long}`,
        says: flag.summary,
        ...takes,
        ...(flag.choices.length > 0 ? { choices: flag.choices } : {}),
      };
    });
  return [...(entry?.flags ?? []), ...globals, { name: "--help", says: "show help" }];
}

async function valuesOf(
  wanted: Pick<FlagEntry, "takes" | "choices">,
  typed: string,
  before: string,
  place: Place,
): Promise<string[]> {
  if (wanted.choices !== undefined)
    return matching(
      wanted.choices.map((choice) => before + choice),
      before + typed,
    );
  if (/^(FILE|DIR|FOLDER|PATH|LOCAL)\b/.test(wanted.takes ?? "")) return [files];
  if (!/^(TARGET|HOST|PATTERN|NODE)/.test(wanted.takes ?? "")) return [];
  // Lists grow behind their last comma; a user stands before the name.
  const [, kept = "", user = "", name = ""] = /^(.*[,!])?([^@,!]+@)?(.*)$/s.exec(typed) ?? [];
  const { targetNames } = await import("./target-names.ts");
  return matching(
    (await targetNames(place.env, place.sshConfig)).map((known) => `${before}${kept}${user}${known}`),
    `${before}${kept}${user}${name}`,
  );
}

function matching(lines: readonly string[], typed: string): string[] {
  return lines.filter((known) => known.startsWith(typed));
}

function line(word: string, says: string): string {
  return says === "" ? word : `${word}\t${says.replaceAll(/\s+/g, " ")}`;
}

function valueOf(name: string, words: readonly string[]): string | undefined {
  const at = words.indexOf(name);
  const attached = words.find((word) => word.startsWith(`${name}=`));
  return at >= 0 ? words[at + 1] : attached?.slice(name.length + 1);
}
