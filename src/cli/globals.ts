/** Globals: the flags every command has, before or after its words. */
import type { Globals } from "../app.ts";
import { parseDuration } from "../core/duration.ts";
import { AmiError } from "../core/errors.ts";
import { parseSource } from "../core/source.ts";
import { transports } from "../core/ssh/options.ts";
import { kebab } from "./flags.ts";
import type { Flag, FlagKind } from "./flags.ts";

/** `--ask-pass` alone: a person is asked. */
const asked = "ask";

export const globalFlags: readonly Flag[] = [
  global("target", "list", "targets: [user@]host[:port], alias, name, pattern, @group, comma lists", "TARGET"),
  global("targetsFile", "value", "file with one target per line, # for comments", "FILE"),
  global("sshConfig", "value", "ssh config instead of ~/.ssh/config", "FILE"),
  global("identity", "list", "private key to offer", "FILE"),
  global("transport", "value", "who logs in: this program, or the ssh of this machine", "HOW", transports),
  {
    ...global("askPass", "optional", "ask for the ssh password once, or take it from vault:, env: or file:", "SOURCE"),
    alone: asked,
  },
  { ...global("become", "optional", "work as another user there (root when none is named)", "USER"), alone: "root" },
  global("becomeMethod", "value", "how to become the other user", "HOW", ["sudo", "su", "doas"]),
  {
    ...global(
      "askBecomePass",
      "optional",
      "ask for the password of sudo, su or doas once, or take it as above",
      "SOURCE",
    ),
    alone: asked,
  },
  global("acceptNew", "switch", "accept and remember host keys never seen before"),
  global("parallel", "value", "targets worked on at once (default 50)", "N"),
  global("timeout", "value", "deadline for each target: 30, 30s, 5m", "TIME"),
  global("json", "switch", "print JSON: one value, or one event a line"),
  global("quiet", "switch", "print only the answer and errors"),
  global("verbose", "switch", "print steps that change nothing, output of steps, causes of errors"),
  { ...global("color", "switch", "no colours"), long: "no-color" },
  global("yes", "switch", "answer every question with yes"),
];

/** Of those, the ones that say where and how to reach targets: no use to a command that takes none. */
export const targetFlags: ReadonlySet<string> = new Set([
  "target",
  "targetsFile",
  "sshConfig",
  "identity",
  "transport",
  "askPass",
  "become",
  "becomeMethod",
  "askBecomePass",
  "acceptNew",
  "parallel",
  "timeout",
]);

/** Those that name targets: no use to a command whose words do. */
export const namingFlags: ReadonlySet<string> = new Set(["target", "targetsFile"]);

function global(
  field: string,
  kind: FlagKind,
  summary: string,
  placeholder = "",
  choices: readonly string[] = [],
): Flag {
  return { field, long: kebab(field), kind, numeric: false, placeholder, choices, summary, required: false };
}

/** From the words as typed, by field. Throws `usage.input`. */
export function readGlobals(raw: ReadonlyMap<string, unknown>): Globals {
  const text = (field: string) => {
    const value = raw.get(field);
    return typeof value === "string" ? value : undefined;
  };
  const list = (field: string) => {
    const value = raw.get(field);
    return Array.isArray(value) ? value.map(String) : [];
  };
  const on = (field: string) => raw.get(field) === true;
  return {
    targets: list("target"),
    targetsFile: text("targetsFile"),
    sshConfig: text("sshConfig"),
    identities: list("identity"),
    transport: readTransport(text("transport")),
    askPass: readSourceFlag("--ask-pass", text("askPass")),
    askBecomePass: readSourceFlag("--ask-become-pass", text("askBecomePass")),
    become: readUser(text("become")),
    becomeMethod: readMethod(text("becomeMethod")),
    acceptNew: on("acceptNew"),
    parallel: readCount(text("parallel")),
    timeout: readTimeout(text("timeout")),
    json: on("json"),
    quiet: on("quiet"),
    verbose: on("verbose"),
    color: raw.get("color") !== false,
    yes: on("yes"),
  };
}

function readSourceFlag(flag: string, text: string | undefined): Globals["askPass"] {
  return text === undefined || text === asked ? text : parseSource(text, flag);
}

function readUser(text: string | undefined): string | undefined {
  if (text === undefined || /^[A-Za-z0-9_][A-Za-z0-9_.@-]*\$?$/.test(text)) return text;
  throw new AmiError("usage.input", `--become: ${JSON.stringify(text)} is no user name`);
}

function readMethod(text: string | undefined): Globals["becomeMethod"] {
  if (text === undefined || text === "sudo" || text === "su" || text === "doas") return text;
  throw new AmiError("usage.input", `--become-method: ${JSON.stringify(text)} is not one of sudo, su, doas`);
}

function readTransport(text: string | undefined): Globals["transport"] {
  const transport = transports.find((known) => known === text);
  if (text === undefined || transport !== undefined) return transport;
  throw new AmiError("usage.input", `--transport: ${JSON.stringify(text)} is not one of ${transports.join(", ")}`);
}

function readCount(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const count = Number(text);
  if (/^\d+$/.test(text) && count >= 1 && count <= 10_000) return count;
  throw new AmiError("usage.input", `--parallel: ${JSON.stringify(text)} is not a number from 1 to 10000`);
}

function readTimeout(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const ms = parseDuration(text);
  if (ms !== undefined && ms > longest)
    throw new AmiError("usage.input", `--timeout: ${JSON.stringify(text)} is more than 24 days`);
  if (ms !== undefined && ms > 0) return ms;
  throw new AmiError("usage.input", `--timeout: ${JSON.stringify(text)} is not a time like 30, 30s or 5m`);
}

/** A timer for longer goes off at once. */
const longest = 24 * 86_400_000;
