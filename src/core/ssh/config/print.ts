/**
 * Print: a resolved config in the form of `ssh -G`: its keywords, its order, its words for yes and no. Paths are expanded,
 * where ssh leaves some as they stand; only what has an effect here is printed. Pure.
 */
import type { SshConfig } from "./ssh-config.ts";

/** What is offered to the server when the config says nothing. */
export interface Offer {
  readonly kex: readonly string[];
  readonly serverHostKey: readonly string[];
  readonly cipher: readonly string[];
  readonly hmac: readonly string[];
}

export type Row = readonly [keyword: string, value: string];

export function printConfig(config: SshConfig, offer: Offer): Row[] {
  const flag = (value: boolean): string => (value ? "yes" : "no");
  const truth = (value: string): string => (value === "yes" ? "true" : value === "no" ? "false" : value);
  const files = (list: readonly string[]): string => (list.length === 0 ? "none" : list.join(" "));
  const rows: readonly (readonly [string, string | undefined])[] = [
    ["host", config.host],
    ["user", config.user],
    ["hostname", config.hostName],
    ["port", String(config.port)],
    ["addressfamily", config.addressFamily],
    ["batchmode", flag(config.batchMode)],
    ["compression", flag(config.compression)],
    ["hashknownhosts", flag(config.hashKnownHosts)],
    ["identitiesonly", flag(config.identitiesOnly)],
    ["kbdinteractiveauthentication", flag(config.kbdInteractiveAuthentication)],
    ["passwordauthentication", flag(config.passwordAuthentication)],
    ["pubkeyauthentication", truth(flag(config.pubkeyAuthentication))],
    ["requesttty", truth(config.requestTTY)],
    ["stricthostkeychecking", truth(config.strictHostKeyChecking)],
    ["tcpkeepalive", flag(config.tcpKeepAlive)],
    ["connectionattempts", String(config.connectionAttempts)],
    ["numberofpasswordprompts", String(config.numberOfPasswordPrompts)],
    ["serveralivecountmax", String(config.serverAliveCountMax)],
    ["serveraliveinterval", String(config.serverAliveInterval)],
    ["bindaddress", config.bindAddress],
    ["ciphers", offer.cipher.join(",")],
    ["hostkeyalgorithms", offer.serverHostKey.join(",")],
    ["hostkeyalias", config.hostKeyAlias],
    ["identityagent", config.identityAgent],
    ["kexalgorithms", offer.kex.join(",")],
    ["remotecommand", config.remoteCommand],
    ["loglevel", { DEBUG1: "DEBUG", QUIET: "SILENT" }[config.logLevel] ?? config.logLevel],
    ["macs", offer.hmac.join(",")],
    ["preferredauthentications", config.preferredAuthentications],
    ["pubkeyacceptedalgorithms", config.pubkeyAcceptedAlgorithms],
    ["revokedhostkeys", config.revokedHostKeys.length === 0 ? undefined : config.revokedHostKeys.join(" ")],
    ...config.identityFiles.map((file) => ["identityfile", file] as const),
    ...config.certificateFiles.map((file) => ["certificatefile", file] as const),
    ["globalknownhostsfile", files(config.globalKnownHostsFiles)],
    ["userknownhostsfile", files(config.userKnownHostsFiles)],
    ...config.sendEnv.map((name) => ["sendenv", name] as const),
    ...Object.entries(config.setEnv)
      .toReversed()
      .map(([name, value]) => ["setenv", `${name}=${value}`] as const),
    ["addkeystoagent", addKeysToAgent(config)],
    ["forwardagent", typeof config.forwardAgent === "string" ? config.forwardAgent : flag(config.forwardAgent)],
    ["connecttimeout", config.connectTimeout === undefined ? "none" : String(config.connectTimeout)],
    ["escapechar", escapeChar(config.escapeChar)],
    ["proxycommand", config.proxyCommand],
    ["proxyjump", config.proxyJump],
  ];
  return rows.flatMap(([keyword, value]) => (value === undefined ? [] : [[keyword, value] as const]));
}

function addKeysToAgent({ addKeysToAgent: { mode, lifetime } }: SshConfig): string {
  if (lifetime === undefined) return mode === "yes" ? "true" : mode === "no" ? "false" : mode;
  return mode === "confirm" ? `confirm ${lifetime}` : String(lifetime);
}

/** As vis(3) shows a control character. */
function escapeChar(char: string): string {
  const code = char.length === 1 ? char.charCodeAt(0) : 32;
  return code < 32 ? `\\^${String.fromCharCode(code + 64)}` : char;
}
