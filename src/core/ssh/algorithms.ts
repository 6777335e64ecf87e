/** Algorithms: what we offer a server, and how the ssh config changes it (`+x`, `-x`, `^x`, or a list). */
import { getCiphers } from "node:crypto";
import type { CipherAlgorithm, CompressionAlgorithm, KexAlgorithm, MacAlgorithm, ServerHostKeyAlgorithm } from "ssh2";
import { AmiError } from "../errors.ts";

/** Best first, in ssh2's form. */
export interface Algorithms {
  readonly kex: KexAlgorithm[];
  readonly serverHostKey: ServerHostKeyAlgorithm[];
  /** Of host certificates, which go before plain keys; ssh2 has none of them itself. */
  readonly certificates: string[];
  readonly cipher: CipherAlgorithm[];
  readonly hmac: MacAlgorithm[];
  readonly compress: CompressionAlgorithm[];
}

export interface AlgorithmWishes {
  readonly kexAlgorithms?: string | undefined;
  readonly ciphers?: string | undefined;
  readonly macs?: string | undefined;
  readonly hostKeyAlgorithms?: string | undefined;
  readonly compression?: boolean | undefined;
}

interface Kind<Name extends string> {
  /** Keyword of the ssh config. */
  readonly option: string;
  /** What we offer by ourselves, best first. Nothing with SHA-1, no group below 2048 bits, no CBC. */
  readonly standard: readonly Name[];
  /** What ssh2 has besides, for old servers: only when the config asks for it by name. */
  readonly onDemand: readonly Name[];
}

const kex: Kind<KexAlgorithm> = {
  option: "KexAlgorithms",
  standard: [
    "curve25519-sha256",
    "curve25519-sha256@libssh.org",
    "ecdh-sha2-nistp256",
    "ecdh-sha2-nistp384",
    "ecdh-sha2-nistp521",
    "diffie-hellman-group-exchange-sha256",
    "diffie-hellman-group16-sha512",
    "diffie-hellman-group18-sha512",
    "diffie-hellman-group14-sha256",
  ],
  onDemand: [
    "diffie-hellman-group15-sha512",
    "diffie-hellman-group17-sha512",
    "diffie-hellman-group-exchange-sha1",
    "diffie-hellman-group14-sha1",
    "diffie-hellman-group1-sha1",
  ],
};

// aes128-gcm is the fastest in pure JavaScript; chacha20 is not in every runtime.
const cipher: Kind<CipherAlgorithm> = {
  option: "Ciphers",
  standard: [
    "aes128-gcm@openssh.com",
    "aes256-gcm@openssh.com",
    ...(getCiphers().includes("chacha20") ? (["chacha20-poly1305@openssh.com"] as const) : []),
    "aes128-ctr",
    "aes192-ctr",
    "aes256-ctr",
  ],
  onDemand: ["aes128-cbc", "aes192-cbc", "aes256-cbc", "3des-cbc"],
};

const hmac: Kind<MacAlgorithm> = {
  option: "MACs",
  standard: ["hmac-sha2-256-etm@openssh.com", "hmac-sha2-512-etm@openssh.com", "hmac-sha2-256", "hmac-sha2-512"],
  onDemand: ["hmac-sha1-etm@openssh.com", "hmac-sha1", "hmac-md5"],
};

const hostKey: Kind<ServerHostKeyAlgorithm> = {
  option: "HostKeyAlgorithms",
  standard: [
    "ssh-ed25519",
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp521",
    "rsa-sha2-512",
    "rsa-sha2-256",
  ],
  onDemand: ["ssh-rsa"],
};

const certificate: Kind<string> = {
  option: hostKey.option,
  standard: hostKey.standard.map((name) => `${name}-cert-v01@openssh.com`),
  onDemand: [],
};

/**
 * The offer for one server. `hasAuthority`: a CA is known that may speak for it. `knownTypes`: key types written down for this host; their algorithms go first, as
 * OpenSSH does it, so that a server with several keys shows the one we can check. A list the config gives, or puts
 * first (`^`), keeps its order. Throws `ssh.protocol` when the config leaves nothing that exists here.
 */
export function algorithms(
  wishes: AlgorithmWishes,
  knownTypes: readonly string[] = [],
  hasAuthority = false,
): Algorithms {
  const certificates = hasAuthority ? pick(certificate, wishes.hostKeyAlgorithms) : [];
  const hostKeys = (certificates.length > 0 ? pick : choose)(hostKey, wishes.hostKeyAlgorithms);
  const ordered = givesOrder(wishes.hostKeyAlgorithms) ? hostKeys : knownFirst(hostKeys, knownTypes);
  return {
    kex: choose(kex, wishes.kexAlgorithms),
    serverHostKey: ordered,
    certificates,
    cipher: choose(cipher, wishes.ciphers),
    hmac: choose(hmac, wishes.macs),
    compress: wishes.compression === true ? ["zlib@openssh.com", "none"] : ["none"],
  };
}

/** To show what is offered: where we have nothing of what the config asks for, its own words. Never throws. */
export function algorithmNames(wishes: AlgorithmWishes): Record<"kex" | "serverHostKey" | "cipher" | "hmac", string[]> {
  const names = (kind: Kind<string>, wish: string | undefined): string[] => {
    const left = pick(kind, wish);
    return left.length > 0 ? left : (wish ?? "").split(",");
  };
  return {
    kex: names(kex, wishes.kexAlgorithms),
    serverHostKey: names(hostKey, wishes.hostKeyAlgorithms),
    cipher: names(cipher, wishes.ciphers),
    hmac: names(hmac, wishes.macs),
  };
}

/** The signature algorithms that a key type of known_hosts stands for. */
export function algorithmsOfType(type: string): readonly string[] {
  return type === "ssh-rsa" ? ["rsa-sha2-512", "rsa-sha2-256", "ssh-rsa"] : [type];
}

/** Which algorithms our keys may sign with (PubkeyAcceptedAlgorithms); SHA-1 only when the config names it. */
export function mayKeysUse(wish: string | undefined): (algorithm: string) => boolean {
  const isUsual = (name: string): boolean => name !== "ssh-rsa" && name !== "ssh-dss";
  if (wish === undefined || wish === "") return isUsual;
  const patterns = wish.replace(/^[+^-]/, "").split(",");
  const isNamed = (name: string): boolean => patterns.some((pattern) => matches(name, pattern.trim()));
  if (wish.startsWith("-")) return (name) => isUsual(name) && !isNamed(name);
  return /^[+^]/.test(wish) ? (name) => isUsual(name) || isNamed(name) : isNamed;
}

/** Throws when nothing is left: the user asked for something we lack, and less than asked for is not ours to choose. */
function choose<Name extends string>(kind: Kind<Name>, wish: string | undefined): Name[] {
  const left = pick(kind, wish);
  if (left.length === 0) throw nothingLeft(kind, wish ?? "");
  return left;
}

function pick<Name extends string>(kind: Kind<Name>, wish: string | undefined): Name[] {
  if (wish === undefined || wish === "") return [...kind.standard];
  const all = [...kind.standard, ...kind.onDemand];
  const sign = wish[0] ?? "";
  const patterns = wish.replace(/^[+^-]/, "").split(",");
  const named = patterns.flatMap((pattern) => all.filter((name) => matches(name, pattern.trim())));
  if (sign === "+") return unique([...kind.standard, ...named]);
  if (sign === "^") return unique([...named, ...kind.standard]);
  return sign === "-" ? kind.standard.filter((name) => !named.includes(name)) : unique(named);
}

function knownFirst<Name extends string>(names: readonly Name[], types: readonly string[]): Name[] {
  const known = new Set<string>(types.flatMap(algorithmsOfType));
  return [...names.filter((name) => known.has(name)), ...names.filter((name) => !known.has(name))];
}

function givesOrder(wish: string | undefined): boolean {
  return wish !== undefined && wish !== "" && !/^[+-]/.test(wish);
}

/** `*` and `?`, as ssh_config patterns have them. */
function matches(name: string, pattern: string): boolean {
  const source = pattern
    .replace(/[.+^${}()|[\]\\]/g, "\\$&")
    .replaceAll("*", ".*")
    .replaceAll("?", ".");
  return new RegExp(`^${source}$`).test(name);
}

function unique<Name>(names: readonly Name[]): Name[] {
  return [...new Set(names)];
}

function nothingLeft(kind: Kind<string>, wish: string): AmiError {
  return new AmiError("ssh.protocol", `the ssh config says ${kind.option} ${wish}, and none of that exists here`, {
    hint: `allow one of ${kind.standard.join(", ")}; or let ssh itself log in: --transport system`,
  });
}
