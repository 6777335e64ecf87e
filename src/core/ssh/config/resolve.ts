/**
 * Resolve: what the ssh config says about a host. Own reading; `ssh -G` is asked only where the files use something
 * that we do not evaluate.
 */
import { resolve } from "node:path";
import { askSsh } from "./ask-ssh.ts";
import { type Place, readConfig, whatIsAsked } from "./read.ts";
import { settle } from "./settle.ts";
import type { SshConfig } from "./ssh-config.ts";

export type { AddKeysToAgent, SshConfig, UnsupportedOption } from "./ssh-config.ts";

export interface ResolveOptions {
  /** Read in place of both files (`ssh -F`); `none`: no file at all. Missing is an error. */
  readonly configFile?: string | undefined;
  /** Read after `~/.ssh/config`. Default /etc/ssh/ssh_config. */
  readonly systemFile?: string | undefined;
  /** Win over the files, as `-l` and `-p` do. */
  readonly user?: string | undefined;
  readonly port?: number | undefined;
  /** Where `~` and `.ssh` are. Default: HOME (ssh itself takes the password file's word). */
  readonly home?: string | undefined;
  /** Who we are here. */
  readonly localUser?: string | undefined;
  /** For `${NAME}`. Default: `process.env`. */
  readonly env?: Readonly<Record<string, string | undefined>> | undefined;
  /** Where relative paths are from, and `Match exec` runs. Default: where we are, and paths stay as written. */
  readonly cwd?: string | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** Rejects with `config.invalid`: every mistake with its file and line. Missing usual files are fine. */
export async function resolveSshConfig(host: string, options: ResolveOptions = {}): Promise<SshConfig> {
  const { signal, ...rest } = options;
  const asked = whatIsAsked(host, rest);
  const read = readConfig(asked);
  const { settings, hostName } = read.state === "done" ? read : await askSsh(asked, read, signal);
  const config = settle(asked, settings, hostName, read.state === "done" ? "own" : "ssh -G");
  return options.cwd === undefined ? config : from(options.cwd, config);
}

/** Files are read from the folder of whoever asked, which need not be ours. */
function from(cwd: string, config: SshConfig): SshConfig {
  const { identityAgent, forwardAgent } = config;
  const path = (file: string): string => resolve(cwd, file);
  const isPath = (word: string): boolean => word !== "none" && word !== "SSH_AUTH_SOCK";
  return {
    ...config,
    identityFiles: config.identityFiles.map(path),
    certificateFiles: config.certificateFiles.map(path),
    userKnownHostsFiles: config.userKnownHostsFiles.map(path),
    globalKnownHostsFiles: config.globalKnownHostsFiles.map(path),
    revokedHostKeys: config.revokedHostKeys.map(path),
    ...(identityAgent !== undefined && isPath(identityAgent) ? { identityAgent: path(identityAgent) } : {}),
    ...(typeof forwardAgent === "string" ? { forwardAgent: path(forwardAgent) } : {}),
  };
}

/** Never asks ssh. What is beyond our reading is passed over, and said. */
export async function resolveAlone(
  host: string,
  options: ResolveOptions = {},
): Promise<{ readonly config: SshConfig; readonly passedOver: readonly Place[] }> {
  const { signal, ...rest } = options;
  signal?.throwIfAborted();
  const asked = whatIsAsked(host, rest);
  const read = readConfig(asked, true);
  if (read.state !== "done") throw new Error("our own reading asked ssh after all");
  return { config: settle(asked, read.settings, read.hostName, "own"), passedOver: read.passedOver };
}
