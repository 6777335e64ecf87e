/** Words: how ssh is told to log in and hold the connection for us. Pure. */
import { existsSync } from "node:fs";
import { join, resolve } from "node:path";
import type { Argv } from "../../argv.ts";
import type { SshConfig } from "../config/ssh-config.ts";
import type { SshOptions } from "../options.ts";

export interface MasterWish {
  /** The program. */
  readonly ssh: string;
  readonly config: SshConfig;
  readonly options: Pick<SshOptions, "configFile" | "identities" | "acceptNew" | "ask">;
  readonly home: string;
  /** Where ssh itself looks for its files, whatever HOME says. */
  readonly usualHome: string;
  /** Where its control socket is to be. */
  readonly socket: string;
}

/** It reads the config by itself; what is said here wins over it. */
export function masterArgv({ ssh, config, options, home, usualHome, socket }: MasterWish): Argv {
  const isElsewhere = home !== usualHome;
  const files = isElsewhere && options.configFile === undefined ? userConfig(home) : options.configFile;
  const keys = (options.identities ?? []).map((path) => resolve(path.replace(/^~(?=\/|$)/, home)));
  const settings = [
    ["ControlMaster", "yes"],
    ["ControlPath", quoted(socket)],
    ["ControlPersist", "no"],
    ["ClearAllForwardings", "yes"],
    ["PermitLocalCommand", "no"],
    ["Tunnel", "no"],
    // Only ssh 8.7 and newer know it; where the config says it, this one does.
    ...(config.forkAfterAuthentication ? ([["ForkAfterAuthentication", "no"]] as const) : []),
    ["UpdateHostKeys", "no"],
    ["VisualHostKey", "no"],
    ["LogLevel", "INFO"], // its words are how we learn why it failed
    ["NoHostAuthenticationForLocalhost", "no"],
    ["StrictHostKeyChecking", hostKeys(config, options)],
    ["BatchMode", options.ask === undefined ? "yes" : "no"],
    ["ServerAliveInterval", String(config.serverAliveInterval > 0 ? config.serverAliveInterval : 15)],
    ...(isElsewhere ? homeOf(config) : []),
  ] as const;
  return [
    ssh,
    "-NTx",
    ...(files === undefined ? [] : ["-F", files]),
    ...keys.flatMap((path) => ["-i", path]),
    ...settings.flatMap(([name, value]) => ["-o", `${name}=${value}`]),
    "-l",
    config.user,
    "-p",
    String(config.port),
    "--",
    config.host,
  ];
}

/** Our rules: a changed key is never taken, and an unknown one only when somebody or something said so. */
function hostKeys(config: SshConfig, { acceptNew, ask }: MasterWish["options"]): string {
  const policy = config.strictHostKeyChecking;
  if (acceptNew === true || policy === "accept-new" || policy === "no") return "accept-new";
  return policy === "ask" && ask !== undefined && !config.batchMode ? "ask" : "yes";
}

function userConfig(home: string): string {
  const file = join(home, ".ssh", "config");
  return existsSync(file) ? file : "none";
}

/** ssh takes the home of the password file for ours; HOME may say another. */
function homeOf(config: SshConfig): (readonly [string, string])[] {
  const known = config.userKnownHostsFiles.map(quoted).join(" ");
  const keys = config.identityFiles.filter((path) => config.identityFilesExplicit || existsSync(path));
  return [
    ["UserKnownHostsFile", known === "" ? "none" : known],
    ...keys.map((path) => ["IdentityFile", quoted(path)] as const),
  ];
}

/** `%` begins a token, and a space the next word. */
function quoted(path: string): string {
  return `"${path.replaceAll("%", "%%")}"`;
}
