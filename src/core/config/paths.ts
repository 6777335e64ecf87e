/** Where our own files are on this machine. */
import { isAbsolute, join } from "node:path";
import { localUser } from "../runtime-compat.ts";

export interface Paths {
  readonly folder: string;
  readonly settings: string;
  /** Default place of the inventory. */
  readonly nodes: string;
  /** Secrets, sealed. */
  readonly vault: string;
  readonly log: string;
  /** What is remembered of hosts. */
  readonly health: string;
  /** Of the audit log (0700). */
  readonly audit: string;
  /** Recordings of terminals (0700). */
  readonly recordings: string;
  /** What is allowed: the machine's rules, which come first, and the user's own. */
  readonly policies: readonly [system: string, own: string];
  /** For what lives no longer than processes do: who made it keeps it private (0700). */
  readonly runtime: string;
}

/**
 * XDG on Unix (macOS included: people who type commands look in ~/.config), APPDATA on Windows.
 * AMI_NODE_CONFIG_DIR puts everything into one folder.
 */
export function ownPaths(env: NodeJS.ProcessEnv = process.env, platform: NodeJS.Platform = process.platform): Paths {
  const own = env["AMI_NODE_CONFIG_DIR"];
  const home = homeFolder(env);
  const folder = own || join(configBase(env, platform, home), "ami-node");
  const state = own || join(stateBase(env, platform, home), "ami-node");
  return {
    folder,
    settings: join(folder, "config.json"),
    nodes: join(folder, "nodes.yaml"),
    vault: join(folder, "vault.json"),
    log: join(state, "ami-node.log"),
    health: join(state, "health.db"),
    audit: join(state, "audit"),
    recordings: join(state, "recordings"),
    policies: [systemPolicy(env, platform), join(folder, "policy.yaml")],
    runtime: own || !env["XDG_RUNTIME_DIR"] ? join(state, "run") : join(env["XDG_RUNTIME_DIR"], "ami-node"),
  };
}

/** Of the machine, whatever the environment says of our own folders. */
function systemPolicy(env: NodeJS.ProcessEnv, platform: NodeJS.Platform): string {
  if (platform !== "win32") return "/etc/ami-node/policy.yaml";
  return join(env["ProgramData"] || "C:\\ProgramData", "ami-node", "policy.yaml");
}

/** HOME, unless it is empty or leads to another place from each folder: then that of the password file. */
export function homeFolder(env: NodeJS.ProcessEnv): string {
  return absolute(env["HOME"]) ?? localUser(env).home;
}

/** As the XDG specification has it: what is not absolute is as if it were not set. */
function absolute(path: string | undefined): string | undefined {
  return path !== undefined && isAbsolute(path) ? path : undefined;
}

function configBase(env: NodeJS.ProcessEnv, platform: NodeJS.Platform, home: string): string {
  if (platform === "win32") return env["APPDATA"] || join(home, "AppData", "Roaming");
  return absolute(env["XDG_CONFIG_HOME"]) ?? join(home, ".config");
}

function stateBase(env: NodeJS.ProcessEnv, platform: NodeJS.Platform, home: string): string {
  if (platform === "win32") return env["LOCALAPPDATA"] || join(home, "AppData", "Local");
  return absolute(env["XDG_STATE_HOME"]) ?? join(home, ".local", "state");
}
