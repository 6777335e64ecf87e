/** Keywords of ssh_config(5): how each is read. A keyword that is not here is an error, as it is for ssh. */
import * as read from "./values.ts";

export interface Keyword {
  /** As the manual spells it. */
  readonly name: string;
  readonly read: read.ReadValue;
  /** Every line adds; otherwise the first wins. */
  readonly adds?: boolean;
  /** Values (normal form) that our transport cannot do. */
  readonly unsupported?: (value: string) => boolean;
}

const isSet = (value: string): boolean => value.toLowerCase() !== "none";
const isYes = (value: string): boolean => value !== "no";

const used = [
  { name: "AddKeysToAgent", read: read.addKeysToAgent, unsupported: isYes },
  { name: "AddressFamily", read: read.choice({ any: "any", inet: "inet", inet6: "inet6" }) },
  { name: "BatchMode", read: read.flag },
  { name: "BindAddress", read: read.word },
  { name: "BindInterface", read: read.word, unsupported: isSet },
  { name: "CASignatureAlgorithms", read: read.word },
  { name: "CanonicalizeHostname", read: read.flagOr("always") },
  { name: "CanonicalizePermittedCNAMEs", read: read.words },
  { name: "CertificateFile", read: read.word, adds: true },
  { name: "Ciphers", read: read.word },
  // Unlike other switches it knows no true and false.
  { name: "Compression", read: read.choice({ yes: "yes", no: "no" }) },
  { name: "ConnectionAttempts", read: read.integer },
  { name: "ConnectTimeout", read: read.time },
  { name: "EscapeChar", read: read.escapeChar },
  { name: "ForkAfterAuthentication", read: read.flag },
  { name: "ForwardAgent", read: read.forwardAgent },
  { name: "GlobalKnownHostsFile", read: read.words },
  { name: "GSSAPIAuthentication", read: read.flag, unsupported: isYes },
  { name: "HashKnownHosts", read: read.flag },
  { name: "HostbasedAuthentication", read: read.flag, unsupported: isYes },
  { name: "HostKeyAlgorithms", read: read.word },
  { name: "HostKeyAlias", read: read.word },
  { name: "HostName", read: read.word },
  { name: "IdentitiesOnly", read: read.flag },
  { name: "IdentityAgent", read: read.agentPath },
  { name: "IdentityFile", read: read.word, adds: true },
  { name: "IgnoreUnknown", read: read.word },
  { name: "KbdInteractiveAuthentication", read: read.flag },
  { name: "KexAlgorithms", read: read.word },
  { name: "KnownHostsCommand", read: read.command, unsupported: isSet },
  { name: "LogLevel", read: read.logLevel },
  { name: "MACs", read: read.word },
  { name: "NumberOfPasswordPrompts", read: read.integer },
  { name: "PasswordAuthentication", read: read.flag },
  { name: "PKCS11Provider", read: read.word, unsupported: isSet },
  { name: "Port", read: read.port },
  { name: "PreferredAuthentications", read: read.word },
  { name: "ProxyCommand", read: read.command },
  { name: "ProxyJump", read: read.proxyJump },
  { name: "ProxyUseFdpass", read: read.flag, unsupported: isYes },
  { name: "PubkeyAcceptedAlgorithms", read: read.word },
  { name: "PubkeyAuthentication", read: read.pubkeyAuthentication },
  { name: "RefuseConnection", read: read.word },
  { name: "RemoteCommand", read: read.command },
  { name: "RequestTTY", read: read.flagOr("force", "auto") },
  { name: "RevokedHostKeys", read: read.words },
  { name: "SecurityKeyProvider", read: read.word, unsupported: (value) => isSet(value) && value !== "internal" },
  { name: "SendEnv", read: read.sendEnv, adds: true },
  { name: "ServerAliveCountMax", read: read.integer },
  { name: "ServerAliveInterval", read: read.time },
  { name: "SetEnv", read: read.setEnv },
  { name: "StrictHostKeyChecking", read: read.strictHostKeyChecking },
  { name: "Tag", read: read.word },
  { name: "TCPKeepAlive", read: read.flag },
  { name: "User", read: read.word },
  { name: "UserKnownHostsFile", read: read.words },
  { name: "VerifyHostKeyDNS", read: read.flagOr("ask"), unsupported: isYes },
] as const satisfies readonly Keyword[];

/** Names of the keywords that have an effect here. */
export type Option = (typeof used)[number]["name"];

/** Known, checked where checking is cheap, and without effect on us: forwardings, X11, multiplexing, packet marks. */
const checkedOnly: readonly Keyword[] = [
  ...[
    "CanonicalizeFallbackLocal",
    "CheckHostIP",
    "ClearAllForwardings",
    "EnableEscapeCommandline",
    "EnableSSHKeysign",
    "ExitOnForwardFailure",
    "ForwardX11",
    "ForwardX11Trusted",
    "GatewayPorts",
    "GSSAPIDelegateCredentials",
    "NoHostAuthenticationForLocalhost",
    "PermitLocalCommand",
    "StdinNull",
    "StreamLocalBindUnlink",
    "VisualHostKey",
  ].map((name) => ({ name, read: read.flag })),
  ...["ForwardX11Timeout"].map((name) => ({ name, read: read.time })),
  ...["CanonicalizeMaxDots", "RequiredRSASize"].map((name) => ({ name, read: read.integer })),
  { name: "ControlMaster", read: read.flagOr("auto", "ask", "autoask") },
  { name: "SessionType", read: read.choice({ none: "none", subsystem: "subsystem", default: "default" }) },
  { name: "UpdateHostKeys", read: read.flagOr("ask") },
  ...[
    "CanonicalDomains",
    "ChannelTimeout",
    "ControlPath",
    "ControlPersist",
    "DynamicForward",
    "FingerprintHash",
    "HostbasedAcceptedAlgorithms",
    "IPQoS",
    "KbdInteractiveDevices",
    "LocalCommand",
    "LocalForward",
    "LogVerbose",
    "ObscureKeystrokeTiming",
    "PermitRemoteOpen",
    "RekeyLimit",
    "RemoteForward",
    "StreamLocalBindMask",
    "SyslogFacility",
    "Tunnel",
    "TunnelDevice",
    "VersionAddendum",
    "WarnWeakCrypto",
    "XAuthLocation",
    // Taken by ssh and without effect.
    "Protocol",
    "Cipher",
    "FallBackToRsh",
    "GlobalKnownHostsFile2",
    "RhostsAuthentication",
    "UserKnownHostsFile2",
    "UseRoaming",
    "UseRsh",
    "UsePrivilegedPort",
    "AFSTokenPassing",
    "KerberosAuthentication",
    "KerberosTGTPassing",
    "RSAAuthentication",
    "RhostsRSAAuthentication",
    "CompressionLevel",
    // Of ssh as macOS, Debian and Fedora ship it.
    "UseKeychain",
    "ProtocolKeepAlives",
    "SetupTimeOut",
    "GSSAPIKeyExchange",
    "GSSAPIKexAlgorithms",
    "GSSAPIClientIdentity",
    "GSSAPIServerIdentity",
    "GSSAPIRenewalForcesRekey",
    "GSSAPITrustDNS",
    "RSAMinSize",
  ].map((name) => ({ name, read: read.anything })),
];

const aliases: Readonly<Record<string, string>> = {
  challengeresponseauthentication: "kbdinteractiveauthentication",
  skeyauthentication: "kbdinteractiveauthentication",
  tisauthentication: "kbdinteractiveauthentication",
  dsaauthentication: "pubkeyauthentication",
  identityfile2: "identityfile",
  keepalive: "tcpkeepalive",
  smartcarddevice: "pkcs11provider",
  hostbasedkeytypes: "hostbasedacceptedalgorithms",
  pubkeyacceptedkeytypes: "pubkeyacceptedalgorithms",
};

const byKeyword = new Map<string, Keyword>(
  [...used, ...checkedOnly].map((keyword: Keyword) => [keyword.name.toLowerCase(), keyword]),
);

/** `name`: lower case, old spellings included. Host, Match and Include are not among them. */
export function findKeyword(name: string): Keyword | undefined {
  return byKeyword.get(aliases[name] ?? name);
}
