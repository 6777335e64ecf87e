/** Host names: under which names known_hosts may know a machine, and in which files it is looked up. */
import { parseTarget } from "../targets.ts";
import { resolveSshConfig } from "./config/resolve.ts";
import type { SshConfig } from "./config/ssh-config.ts";
import { recordName } from "./known-hosts.ts";

export interface HostNames {
  /** The word as it stands in a file, then the name that the ssh config leads to, where that is another. */
  readonly names: readonly [string, ...string[]];
  readonly config: SshConfig;
}

export interface LookupPlace {
  readonly configFile?: string | undefined;
  readonly home: string;
  readonly signal: AbortSignal;
}

/** `word`: `host`, `host:port`, `[host]:port`, an address, an alias. Rejects with `usage.target` or `config.invalid`. */
export async function hostNames(word: string, { configFile, home, signal }: LookupPlace): Promise<HostNames> {
  const target = parseTarget(word);
  const [host, port] = target.kind === "local" ? ["local", undefined] : [target.host, target.port];
  const config = await resolveSshConfig(host, { configFile, port, home, signal });
  const given = recordName(host, port ?? 22);
  const looked = config.hostKeyAlias ?? recordName(config.hostName, config.port);
  return { names: looked === given ? [given] : [given, looked], config };
}

/** Of hosts in general: what `Host *` and the defaults say. */
export async function knownHostsFiles({ configFile, home, signal }: LookupPlace): Promise<SshConfig> {
  return resolveSshConfig("localhost", { configFile, home, signal });
}
