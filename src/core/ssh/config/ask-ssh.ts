/** Ask ssh: `ssh -G host`, for what our own reading does not evaluate (`Match exec`, canonical host names). */
import { execFile } from "node:child_process";
import { AmiError } from "../../errors.ts";
import { localUser } from "../../runtime-compat.ts";
import { findKeyword } from "./keywords.ts";
import type { Asked, ReadResult } from "./read.ts";
import { type Settings, createSettings } from "./settings.ts";

type Beyond = Extract<ReadResult, { state: "ask-ssh" }>;

/**
 * The settings as ssh prints them; those that only repeat ssh's own defaults are left out.
 * Throws `config.invalid` with the file and line that made it necessary when ssh is missing or refuses.
 */
export async function askSsh(
  asked: Asked,
  beyond: Beyond,
  signal?: AbortSignal,
): Promise<{ settings: Settings; hostName: string }> {
  const { host, user, port, configFile, home } = asked;
  const usual = localUser().home;
  if (configFile === undefined && home !== usual) {
    throw refusal(beyond, `and ssh would read the config of ${usual}, not of ${home}`);
  }
  const words = [
    ...(configFile === undefined ? [] : ["-F", configFile]),
    ...(user === undefined ? [] : ["-l", user]),
    ...(port === undefined ? [] : ["-p", String(port)]),
  ];
  const defaults = new Set((await sshG(["-F", "none"], asked, beyond, signal)).split("\n"));
  const printed = (await sshG(words, asked, beyond, signal)).split("\n");

  const settings = createSettings();
  const variables: string[] = [];
  let hostName = host;
  for (const row of printed) {
    const [, name, value] = /^(\S+) (.*)$/.exec(row) ?? [];
    const keyword = name === undefined ? undefined : findKeyword(name);
    if (name === undefined || value === undefined || keyword === undefined) continue;
    if (name === "hostname") hostName = value;
    const isDefault = defaults.has(row) && !["user", "port", "identityfile"].includes(name);
    if (isDefault) continue;
    // Most values are printed without their quotes: one word, whatever it holds.
    const read = keyword.read(listed.has(name) ? value.split(" ") : [value], value);
    if (!("words" in read)) continue;
    // One line for each variable, while in a file the first line says them all.
    if (keyword.name === "SetEnv") variables.push(...read.words);
    else settings.add(keyword, read.words, "ssh -G", 0);
  }
  const setEnv = findKeyword("setenv");
  if (setEnv !== undefined) settings.add(setEnv, variables, "ssh -G", 0);
  return { settings: withoutDefaultIdentities(settings, defaults), hostName };
}

const listed = new Set(["addkeystoagent", "globalknownhostsfile", "userknownhostsfile", "revokedhostkeys"]);

/** Default key names are printed whether they were asked for or not. */
function withoutDefaultIdentities(settings: Settings, defaults: ReadonlySet<string>): Settings {
  const isDefault = settings.every("IdentityFile").every(({ words }) => defaults.has(`identityfile ${words[0]}`));
  if (!isDefault) return settings;
  return { ...settings, every: (option) => (option === "IdentityFile" ? [] : settings.every(option)) };
}

function sshG(
  words: readonly string[],
  { host, env, cwd }: Asked,
  beyond: Beyond,
  signal: AbortSignal | undefined,
): Promise<string> {
  return new Promise((resolve, reject) => {
    const limits = { timeout: 60_000, maxBuffer: 1 << 20, signal } as const;
    const options = { env: { ...env }, cwd, encoding: "utf8", ...limits } as const;
    const child = execFile("ssh", ["-G", ...words, "--", host], options, (error, stdout, stderr) => {
      if (error === null) resolve(stdout);
      else if (error.code === "ENOENT") reject(refusal(beyond, "and there is no ssh here"));
      else if (error.name === "AbortError") reject(error);
      else reject(refusal(beyond, `and ssh said: ${stderr.trim() === "" ? error.message : stderr.trim()}`, error));
    });
    child.stdin?.end();
  });
}

function refusal({ why, file, line }: Beyond, what: string, cause?: unknown): AmiError {
  return new AmiError("config.invalid", `${file}:${line}: ${why} is left to ssh to work out (ssh -G), ${what}`, {
    hint: "install the OpenSSH client, or give a file without it with --ssh-config",
    cause,
  });
}
