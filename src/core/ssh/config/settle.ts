/** Settle: from settings to the config of one connection: defaults filled in, every token, variable and `~` expanded. */
import { hostname } from "node:os";
import { join } from "node:path";
import { AmiError } from "../../errors.ts";
import type { Option } from "./keywords.ts";
import type { Asked } from "./read.ts";
import type { Setting, Settings } from "./settings.ts";
import type { AddKeysToAgent, SshConfig } from "./ssh-config.ts";
import { matchesPattern } from "./patterns.ts";
import { type Expanded, type Tokens, expand, expandTilde, tokensOf } from "./tokens.ts";

/** `source` "ssh -G": ssh has expanded some of the values already. Throws `config.invalid`. */
export function settle(asked: Asked, settings: Settings, hostName: string, source: SshConfig["source"]): SshConfig {
  const { host, home, localUser, env } = asked;
  const word = (option: Option): string | undefined => settings.word(option);
  const number = (option: Option, fallback: number): number => Number(word(option) ?? fallback);
  const isYes = (option: Option, fallback: boolean): boolean => (word(option) ?? (fallback ? "yes" : "no")) === "yes";
  const unlessNone = (option: Option): string | undefined => (isNone(word(option)) ? undefined : word(option));

  checkHostName(asked, settings);
  const port = number("Port", 22);
  const user = word("User") ?? localUser;
  const hostKeyAlias = word("HostKeyAlias")?.toLowerCase();
  const jump = unlessNone("ProxyJump");
  const uid = process.getuid?.() ?? 0;
  const names = { originalHost: host, host: hostName, user, localUser, localHost: hostname() };
  const tokens = tokensOf({ ...names, port, jump: jump ?? "", keyAlias: hostKeyAlias ?? host, home, uid });

  const path = (setting: Setting, text: string): string => {
    const whole = must(setting, expandTilde(text, home));
    return must(setting, expand(whole, tokens, env));
  };
  const paths = (option: Option): string[] =>
    settings
      .every(option)
      .flatMap((setting) => setting.words.filter((text) => !isNone(text)).map((text) => path(setting, text)));
  const withTokens = (option: Option, known: Tokens): string | undefined => {
    const setting = settings.get(option);
    const text = unlessNone(option);
    return setting === undefined || text === undefined ? undefined : must(setting, expand(text, known));
  };
  const knownHosts = (option: Option, fallback: readonly string[], expanded: boolean): string[] => {
    const setting = settings.get(option);
    if (setting === undefined) return [...fallback];
    const words = setting.words.filter((text) => !isNone(text));
    return expanded ? words.map((text) => path(setting, text)) : words;
  };
  const hop = only(tokens, "h", "k", "n", "p", "r");
  const askedSsh = source === "ssh -G";

  return {
    host,
    hostName,
    port,
    user,
    identityFiles: settings.every("IdentityFile").length > 0 ? unique(paths("IdentityFile")) : defaultIdentities(home),
    identityFilesExplicit: settings.every("IdentityFile").length > 0,
    identitiesOnly: isYes("IdentitiesOnly", false),
    identityAgent: agent(settings.get("IdentityAgent"), askedSsh ? undefined : path, env),
    certificateFiles: unique(paths("CertificateFile")),
    addKeysToAgent: addKeysToAgent(settings.get("AddKeysToAgent")),
    proxyJump: withTokens("ProxyJump", hop),
    proxyCommand: jump === undefined ? withTokens("ProxyCommand", hop) : undefined,
    userKnownHostsFiles: knownHosts("UserKnownHostsFile", inSsh(home, "known_hosts", "known_hosts2"), !askedSsh),
    globalKnownHostsFiles: knownHosts(
      "GlobalKnownHostsFile",
      ["/etc/ssh/ssh_known_hosts", "/etc/ssh/ssh_known_hosts2"],
      false,
    ),
    strictHostKeyChecking: oneOf(word("StrictHostKeyChecking"), ["ask", "yes", "no", "accept-new"]),
    hashKnownHosts: isYes("HashKnownHosts", false),
    hostKeyAlias,
    revokedHostKeys: paths("RevokedHostKeys"),
    connectTimeout: number("ConnectTimeout", 0) || undefined, // as with ssh, 0 is no limit of its own
    connectionAttempts: number("ConnectionAttempts", 1),
    serverAliveInterval: number("ServerAliveInterval", 0),
    serverAliveCountMax: number("ServerAliveCountMax", 3),
    tcpKeepAlive: isYes("TCPKeepAlive", true),
    addressFamily: oneOf(word("AddressFamily"), ["any", "inet", "inet6"]),
    bindAddress: word("BindAddress"),
    compression: isYes("Compression", false),
    kexAlgorithms: word("KexAlgorithms"),
    ciphers: word("Ciphers"),
    macs: word("MACs"),
    hostKeyAlgorithms: word("HostKeyAlgorithms"),
    pubkeyAcceptedAlgorithms: word("PubkeyAcceptedAlgorithms"),
    caSignatureAlgorithms: word("CASignatureAlgorithms"),
    preferredAuthentications: word("PreferredAuthentications"),
    pubkeyAuthentication: isYes("PubkeyAuthentication", true),
    passwordAuthentication: isYes("PasswordAuthentication", true),
    kbdInteractiveAuthentication: isYes("KbdInteractiveAuthentication", true),
    numberOfPasswordPrompts: number("NumberOfPasswordPrompts", 3),
    batchMode: isYes("BatchMode", false),
    forwardAgent: forwardAgent(settings.get("ForwardAgent"), askedSsh ? undefined : path, env),
    sendEnv: sendEnv(settings),
    setEnv: setEnv(settings.get("SetEnv")),
    requestTTY: oneOf(word("RequestTTY"), ["auto", "no", "yes", "force"]),
    escapeChar: word("EscapeChar") ?? "~",
    remoteCommand: askedSsh ? unlessNone("RemoteCommand") : withTokens("RemoteCommand", tokens),
    forkAfterAuthentication: isYes("ForkAfterAuthentication", false),
    logLevel: word("LogLevel") ?? "INFO",
    unsupported: settings.all
      .filter((setting) => setting.unsupported)
      .map(({ option, words, file, line }) => ({ option, value: words.join(" "), file, line })),
    source,
  };
}

type MakePath = (setting: Setting, text: string) => string;

function must({ option, file, line }: Setting, expanded: Expanded): string {
  if ("text" in expanded) return expanded.text;
  const where = line === 0 ? file : `${file}:${line}`;
  throw new AmiError("config.invalid", `${where}: ${option}: ${expanded.problem}`, {
    hint: "see TOKENS and ENVIRONMENT VARIABLES in man ssh_config",
  });
}

function checkHostName({ host }: Asked, settings: Settings): void {
  const setting = settings.get("HostName");
  if (setting !== undefined) must(setting, expand(setting.words[0] ?? "", { h: host }));
}

function defaultIdentities(home: string): string[] {
  return inSsh(home, "id_rsa", "id_ecdsa", "id_ecdsa_sk", "id_ed25519", "id_ed25519_sk", "id_xmss", "id_dsa");
}

function inSsh(home: string, ...names: readonly string[]): string[] {
  return names.map((name) => join(home, ".ssh", name));
}

/** `none`, a path, or undefined for what SSH_AUTH_SOCK says. */
function agent(setting: Setting | undefined, path: MakePath | undefined, env: Asked["env"]): string | undefined {
  const text = setting?.words[0];
  if (setting === undefined || text === undefined || text === "SSH_AUTH_SOCK") return undefined;
  if (isNone(text)) return "none";
  const variable = /^\$([^{].*)$/s.exec(text)?.[1];
  if (variable !== undefined) return env[variable] ?? "none";
  return path === undefined ? text : path(setting, text);
}

function forwardAgent(setting: Setting | undefined, path: MakePath | undefined, env: Asked["env"]): boolean | string {
  const text = setting?.words[0] ?? "no";
  if (text === "yes" || text === "no") return text === "yes";
  const socket = agent(setting, path, env);
  return socket === "none" ? false : (socket ?? true);
}

function addKeysToAgent(setting: Setting | undefined): AddKeysToAgent {
  const mode = oneOf(setting?.words[0], ["no", "yes", "ask", "confirm"]);
  const lifetime = setting?.words[1];
  return lifetime === undefined ? { mode } : { mode, lifetime: Number(lifetime) };
}

/** `-NAME` takes back what was asked for before. */
function sendEnv(settings: Settings): string[] {
  let names: string[] = [];
  for (const word of settings.every("SendEnv").flatMap((setting) => setting.words)) {
    if (word.startsWith("-")) names = names.filter((name) => !matchesPattern(name, word.slice(1)));
    else if (!names.includes(word)) names.push(word);
  }
  return names;
}

/** The first value of a name wins. */
function setEnv(setting: Setting | undefined): Record<string, string> {
  const pairs = (setting?.words ?? []).map((word) => {
    const equals = word.indexOf("=");
    return [word.slice(0, equals), word.slice(equals + 1)] as const;
  });
  return Object.fromEntries(pairs.toReversed());
}

/** The first one allowed is the default. */
function oneOf<T extends string>(text: string | undefined, allowed: readonly [T, ...T[]]): T {
  return allowed.find((value) => value === text) ?? allowed[0];
}

function only(tokens: Tokens, ...names: readonly string[]): Tokens {
  return Object.fromEntries(names.map((name) => [name, tokens[name] ?? ""]));
}

function unique(list: readonly string[]): string[] {
  return [...new Set(list)];
}

function isNone(text: string | undefined): boolean {
  return text?.toLowerCase() === "none";
}
