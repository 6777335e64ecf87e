/** Read: applies the config files to one host. Two passes when `Match final` asks for them, as ssh does. */
import { homedir, hostname, networkInterfaces } from "node:os";
import { isAbsolute, join } from "node:path";
import { AmiError } from "../../errors.ts";
import { localUser } from "../../runtime-compat.ts";
import { normalHostName } from "./address.ts";
import { type CachedFile, cachedReader } from "./file-cache.ts";
import { globFiles } from "./glob.ts";
import { type Option, findKeyword } from "./keywords.ts";
import { evaluateMatch } from "./match.ts";
import { type ParsedLine, parseSshConfig } from "./parse.ts";
import { matchPatternList, matchesPattern } from "./patterns.ts";
import { type Settings, createSettings } from "./settings.ts";
import { type Env, expand, expandTilde, tokensOf } from "./tokens.ts";

export interface Asked {
  readonly host: string;
  readonly user: string | undefined;
  readonly port: number | undefined;
  /** Read in place of both usual files; `none`: no file at all. */
  readonly configFile: string | undefined;
  readonly systemFile: string;
  readonly home: string;
  readonly localUser: string;
  readonly env: Env;
  /** Where `Match exec` runs. undefined: where we are. */
  readonly cwd: string | undefined;
}

/** Every gap filled from this machine. */
export function whatIsAsked(host: string, options: Partial<{ [K in keyof Asked]: Asked[K] | undefined }>): Asked {
  return {
    host,
    user: options.user,
    port: options.port,
    configFile: options.configFile,
    systemFile: options.systemFile ?? "/etc/ssh/ssh_config",
    home: options.home ?? homedir(),
    localUser: options.localUser ?? localUser().name,
    env: options.env ?? process.env,
    cwd: options.cwd,
  };
}

export type ReadResult =
  | {
      readonly state: "done";
      readonly settings: Settings;
      readonly hostName: string;
      /** Only when we read alone: what was beyond us, and counts as if it were not there. */
      readonly passedOver: readonly Place[];
    }
  /** Something in the files is beyond us. */
  | { readonly state: "ask-ssh"; readonly why: string; readonly file: string; readonly line: number };

/** Throws `config.invalid` with every mistake of all files read, one per line: `file:line: what`. */
export function readConfig(asked: Asked, alone = false): ReadResult {
  const settings = createSettings();
  givenBefore(settings, asked);
  const first = pass(asked, settings, undefined);
  const hostName = normalHostName(hostNameSoFar(asked, settings), settings.word("AddressFamily"));
  const beyond = first.beyondUs ?? canonicalization(settings);
  if (beyond !== undefined && !alone) return { state: "ask-ssh", ...beyond };
  if (first.wantsFinalPass) {
    // The name is settled: a HostName that only the second pass sees comes too late.
    given(settings, "HostName", hostName.replaceAll("%", "%%"));
    const second = pass(asked, settings, hostName);
    if (second.beyondUs !== undefined && !alone) return { state: "ask-ssh", ...second.beyondUs };
  }
  return { state: "done", settings, hostName, passedOver: beyond === undefined ? [] : [beyond] };
}

export interface Place {
  readonly why: string;
  readonly file: string;
  readonly line: number;
}

function givenBefore(settings: Settings, { user, port }: Asked): void {
  given(settings, "User", user);
  given(settings, "Port", port?.toString());
}

/** As if it stood above all files. */
function given(settings: Settings, option: Option, value: string | undefined): void {
  const keyword = findKeyword(option.toLowerCase());
  if (keyword !== undefined && value !== undefined) settings.add(keyword, [value], "command line", 0);
}

function canonicalization(settings: Settings): Place | undefined {
  const asks = settings.get("CanonicalizeHostname");
  if (asks !== undefined && asks.words[0] !== "no") return { ...asks, why: `CanonicalizeHostname ${asks.words[0]}` };
  const names = settings.get("CanonicalizePermittedCNAMEs");
  if (names !== undefined && names.words[0]?.toLowerCase() !== "none")
    return { ...names, why: "CanonicalizePermittedCNAMEs" };
  return undefined;
}

/** HostName may use `%h`; anything wrong with it is reported when it is put to use. */
function hostNameSoFar({ host }: Asked, settings: Settings): string {
  const name = settings.word("HostName");
  const expanded = name === undefined ? undefined : expand(name, { h: host });
  return expanded !== undefined && "text" in expanded ? expanded.text : host;
}

const readFile = cachedReader(parseSshConfig);

/** `finalHost` undefined: the first pass. */
function pass(
  asked: Asked,
  settings: Settings,
  finalHost: string | undefined,
): { wantsFinalPass: boolean; beyondUs: Place | undefined } {
  const mistakes: Mistake[] = [];
  const result: { wantsFinalPass: boolean; beyondUs: Place | undefined } = {
    wantsFinalPass: false,
    beyondUs: undefined,
  };
  const { host, configFile, systemFile, home } = asked;

  const file = (path: string, how: How): void => {
    if (how.depth > maxDepth) {
      mistakes.push({
        file: path,
        line: 1,
        text: `included more than ${maxDepth} files deep: does it include itself?`,
      });
      // At once: a file that includes itself twice would be read 2^16 times.
      throw invalid(mistakes);
    }
    let found: CachedFile<readonly ParsedLine[]> | undefined;
    try {
      found = readFile(path);
      if (found === undefined && how.required) throw new Error("there is no such file");
    } catch (error) {
      const text = `cannot be read: ${error instanceof Error ? error.message : String(error)}`;
      mistakes.push({ file: path, line: 0, text });
    }
    if (found === undefined) return;
    if (how.checkOwner && isForeign(found)) {
      const text = "has a bad owner or mode: it must belong to you or root and be writable by no one else";
      mistakes.push({ file: path, line: 0, text, hint: `chmod go-w ${path}` });
      return;
    }
    let active = how.active;
    for (const line of found.value) {
      if (line.kind === "host") active = how.canMatch && isHost(line.patterns, finalHost ?? host);
      else if (line.kind === "match") active = isMatch(line, path, how);
      else if (line.kind === "include") include(line, path, { ...how, active });
      else if (line.kind === "problem") mistakes.push({ file: path, line: line.line, text: line.text });
      else if (line.kind === "unknown") unknown(line, path);
      else if (active) set(line, path);
    }
  };

  const set = (line: Extract<ParsedLine, { kind: "set" }>, path: string): void => {
    if (line.keyword.name === "RefuseConnection") {
      mistakes.push({ file: path, line: line.line, text: `RefuseConnection: ${line.words.join(" ")}` });
    }
    settings.add(line.keyword, line.words, path, line.line);
  };

  const unknown = (line: Extract<ParsedLine, { kind: "unknown" }>, path: string): void => {
    const ignored = settings.word("IgnoreUnknown");
    if (ignored !== undefined && matchPatternList(line.name, ignored.toLowerCase()) === "match") return;
    const hint = `if another ssh knows it, put "IgnoreUnknown ${line.name}" above it`;
    mistakes.push({ file: path, line: line.line, text: `unknown option ${JSON.stringify(line.name)}`, hint });
  };

  const isMatch = (line: Extract<ParsedLine, { kind: "match" }>, path: string, how: How): boolean => {
    if (line.criteria.some((criterion) => criterion.name === "final" && !criterion.negated))
      result.wantsFinalPass = true;
    const answer = evaluateMatch(line.criteria, {
      host: finalHost ?? hostNameSoFar(asked, settings),
      originalHost: host,
      user: settings.word("User") ?? asked.localUser,
      localUser: asked.localUser,
      tag: settings.word("Tag") ?? "",
      finalPass: finalHost !== undefined,
      addresses: localAddresses,
    });
    if (answer === "ask-ssh" && how.canMatch) {
      const names = line.criteria.filter(({ name }) => name === "exec" || name === "version").map(({ name }) => name);
      result.beyondUs ??= { why: `Match ${names.join(" ")}`, file: path, line: line.line };
    }
    return how.canMatch && answer === "yes";
  };

  const include = (line: Extract<ParsedLine, { kind: "include" }>, path: string, how: How): void => {
    for (const word of line.paths) {
      const expanded = expand(word, includeTokens(asked, settings, finalHost), asked.env);
      // A variable that is not set here names no file.
      if ("problem" in expanded) continue;
      if (expanded.text.startsWith("~") && !how.isUserFile) {
        mistakes.push({ file: path, line: line.line, text: `a system file cannot include ${word}` });
        continue;
      }
      const whole = expandTilde(expanded.text, home);
      if ("problem" in whole) continue;
      const folder = how.isUserFile ? join(home, ".ssh") : "/etc/ssh";
      for (const found of globFiles(isAbsolute(whole.text) ? whole.text : join(folder, whole.text))) {
        file(found, {
          ...how,
          required: false,
          checkOwner: true,
          canMatch: how.canMatch && how.active,
          depth: how.depth + 1,
        });
      }
    }
  };

  const top = { active: true, canMatch: true, depth: 0 };
  if (configFile === undefined) {
    file(join(home, ".ssh", "config"), { ...top, required: false, checkOwner: true, isUserFile: true });
    file(systemFile, { ...top, required: false, checkOwner: false, isUserFile: false });
  } else if (configFile.toLowerCase() !== "none") {
    file(configFile, { ...top, required: true, checkOwner: false, isUserFile: true });
  }
  if (mistakes.length > 0) throw invalid(mistakes);
  return result;
}

interface How {
  /** Do lines above the first Host or Match count? */
  readonly active: boolean;
  /** false: included from a block that is not in force; read for its mistakes only. */
  readonly canMatch: boolean;
  readonly depth: number;
  readonly required: boolean;
  readonly checkOwner: boolean;
  readonly isUserFile: boolean;
}

interface Mistake {
  readonly file: string;
  /** 0: the file as a whole. */
  readonly line: number;
  readonly text: string;
  readonly hint?: string;
}

const maxDepth = 16;

function invalid(mistakes: readonly Mistake[]): AmiError {
  const lines = new Set(
    mistakes.map(({ file, line, text }) => (line === 0 ? `${file} ${text}` : `${file}:${line}: ${text}`)),
  );
  return new AmiError("config.invalid", [...lines].join("\n"), {
    hint:
      mistakes.find(({ hint }) => hint !== undefined)?.hint ??
      "see man ssh_config, or name another file with --ssh-config",
  });
}

function isHost(patterns: readonly string[], host: string): boolean {
  let found = false;
  for (const pattern of patterns) {
    const negated = pattern.startsWith("!");
    if (!matchesPattern(host, negated ? pattern.slice(1) : pattern)) continue;
    if (negated) return false;
    found = true;
  }
  return found;
}

/** Somebody else could have written it. */
function isForeign({ stat }: CachedFile<unknown>): boolean {
  const me = process.getuid?.();
  if (me === undefined) return false;
  return (stat.uid !== 0n && stat.uid !== BigInt(me)) || (stat.mode & 0o22n) !== 0n;
}

function includeTokens(
  asked: Asked,
  settings: Settings,
  finalHost: string | undefined,
): Readonly<Record<string, string>> {
  const host = finalHost ?? hostNameSoFar(asked, settings);
  const jump = settings.word("ProxyJump") ?? "none";
  return tokensOf({
    originalHost: asked.host,
    host,
    port: Number(settings.word("Port") ?? 22),
    user: settings.word("User") ?? asked.localUser,
    jump: jump === "none" ? "" : jump,
    keyAlias: settings.word("HostKeyAlias") ?? host,
    localUser: asked.localUser,
    localHost: hostname(),
    home: asked.home,
    uid: process.getuid?.() ?? 0,
  });
}

function localAddresses(): readonly string[] {
  return Object.values(networkInterfaces()).flatMap((list) => (list ?? []).map(({ address }) => address));
}
