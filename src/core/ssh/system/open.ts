/** Open: a connection that the ssh of this machine logs in and holds, with channels of ours on it. */
import { accessSync, constants, statSync } from "node:fs";
import { delimiter, join } from "node:path";
import type { Duplex } from "node:stream";
import type { Argv } from "../../argv.ts";
import { AmiError, asAmiError } from "../../errors.ts";
import type { Endpoint, Listening } from "../../host.ts";
import { localUser } from "../../runtime-compat.ts";
import { visible } from "../../visible.ts";
import type { SshConfig } from "../config/ssh-config.ts";
import { type Connection, connection } from "../connection.ts";
import type { Memory } from "../login.ts";
import type { Ask, SshOptions } from "../options.ts";
import { startPatience } from "../patience.ts";
import { gatherWrites } from "../route.ts";
import { adopt } from "./adopt.ts";
import type { Choice } from "./choose.ts";
import { openProxy } from "./control.ts";
import { listenThere } from "./listen.ts";
import { type Master, startMaster } from "./master.ts";
import { masterArgv } from "./words.ts";

export interface SystemInit {
  /** What the target is called. */
  readonly name: string;
  readonly config: SshConfig;
  readonly options: SshOptions;
  readonly home: string;
  readonly ask: Ask | undefined;
  readonly memory: Memory;
  readonly choice: Choice & { readonly transport: "system" };
  readonly signal: AbortSignal;
}

/** Rejects with `tool.missing`, `ssh.*`, `hostkey.*` or `run.cancelled`. */
export async function openSystem(init: SystemInit): Promise<Connection> {
  const { name, config, options, home, memory, choice, signal } = init;
  const env = options.env ?? process.env;
  const ssh = findSsh(env);
  if (ssh === undefined) throw missing(name, choice.why);
  const ask = config.batchMode ? undefined : init.ask;
  const note = (text: string): void => options.note?.({ host: name, level: "info", text: visible(text) });
  const wish = { ssh, config, options: { ...options, ask }, home, usualHome: localUser().home };
  const at = `${config.hostName}:${config.port}`;
  const argv = (socket: string): Argv => masterArgv({ ...wish, socket });
  if (choice.why !== undefined) note(`the ssh of this machine logs in: ${choice.why}`);
  const ms = config.connectTimeout === undefined ? (options.connectTimeout ?? 30_000) : config.connectTimeout * 1000;
  const patience = startPatience({ name, at, ms, signal });
  const master = await startMaster({ name, at, argv, env, ask, patience, notice: note }).finally(patience.end);
  try {
    const made = await channelsOf(master, name, at);
    // A further login would ask again.
    memory.challenged = memory.challenged === true || master.asked || choice.takesHands;
    const words = master.said().trim();
    if (words !== "" && !/^(QUIET|FATAL|ERROR)$/.test(config.logLevel)) note(words);
    return made;
  } catch (error) {
    master.end();
    if (error instanceof AmiError) throw error;
    throw new AmiError("ssh.protocol", `ssh holds the connection to ${at} and does not share it: ${said(error)}`, {
      host: name,
      hint: "it has to be OpenSSH 7.4 or newer: ssh -V tells",
      cause: error,
    });
  }
}

async function channelsOf(master: Master, name: string, at: string): Promise<Connection> {
  const socket = await openProxy(master.socket);
  gatherWrites(socket);
  const client = await adopt(socket);
  const lastError = (): Error | undefined => {
    const line = master.said().trim().split("\n").at(-1);
    return line === undefined || line === "" ? undefined : new Error(line);
  };
  const made = connection({ name, at, client, socket, lastError });
  const listening = new Set<() => void>();
  made.onGone(() => {
    for (const end of listening) end();
    master.end();
  });
  // Asked of ssh itself: it passes on no such request of a channel's owner.
  const listen = async (where: Endpoint, accept: (stream: Duplex) => void): Promise<Listening> => {
    const there = await listenThere(master.socket, where, accept);
    listening.add(there.end);
    return there;
  };
  return Object.assign(made, { listen });
}

/** Undefined: there is none, or it cannot share what it holds (Windows). */
export function findSsh(env: Readonly<Record<string, string | undefined>>): string | undefined {
  if (process.platform === "win32") return undefined;
  const folders = (env["PATH"] ?? process.env["PATH"] ?? "/usr/bin:/bin").split(delimiter);
  return folders.map((folder) => join(folder, "ssh")).find(isProgram);
}

function isProgram(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return statSync(path).isFile();
  } catch {
    return false;
  }
}

function missing(name: string, why: string | undefined): AmiError {
  const reason = why === undefined ? "" : ` (${why})`;
  return new AmiError("tool.missing", `the ssh of this machine is needed${reason}, and there is none that will do`, {
    host: name,
    hint:
      process.platform === "win32"
        ? "the ssh of Windows cannot share its connections: use --transport ssh2, without what it lacks"
        : "install the OpenSSH client (openssh-client), or do without it: --transport ssh2",
  });
}

function said(error: unknown): string {
  return visible(asAmiError(error).message);
}
