/** What ssh_config(5) says about one host, with every token, `~` and variable expanded. */
export interface SshConfig {
  /** The name that was asked for: Host patterns, `%n`. */
  readonly host: string;
  /** Where to connect: lower case, addresses in their shortest form. */
  readonly hostName: string;
  readonly port: number;
  readonly user: string;

  /** In the order to be tried. Without any IdentityFile: the default names, which may not exist. */
  readonly identityFiles: readonly string[];
  /** Were they given? A given file that is missing is worth a word; a default one is not. */
  readonly identityFilesExplicit: boolean;
  readonly identitiesOnly: boolean;
  /** Socket path, or `none`. undefined: what SSH_AUTH_SOCK says. */
  readonly identityAgent?: string | undefined;
  readonly certificateFiles: readonly string[];
  readonly addKeysToAgent: AddKeysToAgent;

  /** `[user@]host[:port]` hops, comma-separated, first hop first. Never set together with `proxyCommand`. See `parseJump`. */
  readonly proxyJump?: string | undefined;
  /** A shell line. */
  readonly proxyCommand?: string | undefined;

  /** Empty when the user said `none`. The first is the one that new keys are written to. */
  readonly userKnownHostsFiles: readonly string[];
  readonly globalKnownHostsFiles: readonly string[];
  readonly strictHostKeyChecking: "yes" | "ask" | "accept-new" | "no";
  readonly hashKnownHosts: boolean;
  /** Lower case; looked up instead of host and port. */
  readonly hostKeyAlias?: string | undefined;
  /** Files of keys never to be trusted, whatever known_hosts says. */
  readonly revokedHostKeys: readonly string[];

  /** Seconds. undefined: as long as the system waits. */
  readonly connectTimeout?: number | undefined;
  readonly connectionAttempts: number;
  /** Seconds; 0: never. */
  readonly serverAliveInterval: number;
  readonly serverAliveCountMax: number;
  readonly tcpKeepAlive: boolean;
  readonly addressFamily: "any" | "inet" | "inet6";
  readonly bindAddress?: string | undefined;
  readonly compression: boolean;

  /** As written, the leading `+`, `-` or `^` included; undefined: the defaults. */
  readonly kexAlgorithms?: string | undefined;
  readonly ciphers?: string | undefined;
  readonly macs?: string | undefined;
  readonly hostKeyAlgorithms?: string | undefined;
  readonly pubkeyAcceptedAlgorithms?: string | undefined;
  /** With which an authority may have signed. */
  readonly caSignatureAlgorithms?: string | undefined;

  /** Comma list. */
  readonly preferredAuthentications?: string | undefined;
  readonly pubkeyAuthentication: boolean;
  readonly passwordAuthentication: boolean;
  readonly kbdInteractiveAuthentication: boolean;
  readonly numberOfPasswordPrompts: number;
  readonly batchMode: boolean;

  /** A path names the agent socket to forward instead of the usual one; it may be `$VARIABLE`, already looked up. */
  readonly forwardAgent: boolean | string;
  /** Patterns of variable names. */
  readonly sendEnv: readonly string[];
  readonly setEnv: Readonly<Record<string, string>>;
  readonly requestTTY: "auto" | "no" | "yes" | "force";
  /** One character, or `none`. */
  readonly escapeChar: string;
  readonly remoteCommand?: string | undefined;
  /** What ssh is kept from when it works for us. */
  readonly forkAfterAuthentication: boolean;
  /** `QUIET` ... `DEBUG3`. */
  readonly logLevel: string;

  /** Options in force that need another transport than ours, in the order found. */
  readonly unsupported: readonly UnsupportedOption[];
  /** Who worked it out. */
  readonly source: "own" | "ssh -G";
}

export interface AddKeysToAgent {
  readonly mode: "no" | "yes" | "ask" | "confirm";
  /** Seconds the key stays in the agent. */
  readonly lifetime?: number | undefined;
}

export interface UnsupportedOption {
  /** As ssh_config(5) spells it. */
  readonly option: string;
  readonly value: string;
  readonly file: string;
  /** 0: not known. */
  readonly line: number;
}
