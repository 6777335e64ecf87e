/** Handshake errors: why a connection did not come about, in words. Pure. */
import { AmiError } from "../errors.ts";
import { visible } from "../visible.ts";
import type { Algorithms } from "./algorithms.ts";
import { dialError } from "./dial.ts";
import type { Greeting, ServerOffer } from "./greeting.ts";

export interface Handshake {
  /** What the target is called. */
  readonly name: string;
  readonly host: string;
  readonly port: number;
  readonly offer: Algorithms;
  readonly greeting: Greeting;
  readonly phase: "the banner" | "key exchange" | "authentication";
  /** What the proxy command said on stderr, or undefined without one. */
  readonly proxySaid?: string | undefined;
}

/** Not for the authentication phase when the server refuses: that is `authError`. */
export function handshakeError(error: unknown, shake: Handshake): AmiError {
  const { name, greeting } = shake;
  const at = shake.host.includes(":") ? `[${shake.host}]:${shake.port}` : `${shake.host}:${shake.port}`;
  const words = visible(error instanceof Error ? error.message : String(error));
  const missing = lackOf(words);
  if (missing !== undefined) return nothingInCommon(missing, at, shake, error);

  if (greeting.version === undefined) {
    const proxy = visible(shake.proxySaid ?? "").trim();
    if (shake.proxySaid !== undefined) {
      return new AmiError("ssh.connect", `the ProxyCommand for ${at} ended${proxy === "" ? "" : `: ${proxy}`}`, {
        host: name,
        hint: "run the ProxyCommand of the ssh config by hand: it has to print SSH-2.0 and so on",
        retry: "yes",
        cause: error,
      });
    }
    // sshd says why in plain text (`Exceeded MaxStartups`, `Not allowed at this time`); so does what is no sshd.
    if (/exceeded|not allowed|too many/i.test(greeting.text)) {
      return new AmiError("ssh.connect", `${at} turned us away: ${greeting.text}`, {
        host: name,
        hint: "the server limits how many may log in at once (MaxStartups): try fewer with --parallel",
        retry: "yes",
        cause: error,
      });
    }
    if (greeting.text !== "") {
      return new AmiError("ssh.protocol", `${at} does not speak ssh: it says ${JSON.stringify(greeting.text)}`, {
        host: name,
        hint: "is this the port of sshd?",
        cause: error,
      });
    }
    if (isSocketError(error)) return dialError(error, shake);
    return new AmiError("ssh.connect", `${at} closed the connection without a word`, {
      host: name,
      hint: "a firewall, fail2ban or MaxStartups of the server may turn us away; or it is no ssh server",
      retry: "yes",
      cause: error,
    });
  }
  if (/^SSH-1\.(?!99)/.test(greeting.version)) {
    return new AmiError("ssh.protocol", `${at} speaks only version 1 of the ssh protocol (${greeting.version})`, {
      host: name,
      hint: "version 1 is broken: the server must be replaced",
      cause: error,
    });
  }
  const what = /closed|lost/i.test(words) ? "the server closed the connection" : words;
  return new AmiError("ssh.protocol", `${shake.phase} with ${at} failed: ${what}`, {
    host: name,
    hint: `the server is ${greeting.version}; its log tells why`,
    retry: isSocketError(error) || what !== words ? "yes" : "no",
    cause: error,
  });
}

const lacks: readonly (readonly [pattern: RegExp, of: keyof ServerOffer, says: string, option: string])[] = [
  [/no matching key exchange/i, "kex", "key exchange", "KexAlgorithms"],
  [/no matching host key/i, "serverHostKey", "host key type", "HostKeyAlgorithms"],
  [/no matching \S+ cipher/i, "cipher", "cipher", "Ciphers"],
  [/no matching \S+ (?:mac|hmac)/i, "hmac", "MAC", "MACs"],
  [/no matching \S+ compression/i, "compress", "compression", "Compression"],
];

function lackOf(words: string): (typeof lacks)[number] | undefined {
  return lacks.find(([pattern]) => pattern.test(words));
}

function nothingInCommon(
  [, of, says, option]: (typeof lacks)[number],
  at: string,
  shake: Handshake,
  cause: unknown,
): AmiError {
  const theirs = shake.greeting.offer?.[of] ?? [];
  const message =
    `no ${says} in common with ${at}` +
    `\n  we offer ${shake.offer[of].join(", ")}` +
    `\n  it offers ${theirs.join(", ") || "(unknown)"}`;
  return new AmiError("ssh.protocol", message, {
    host: shake.name,
    hint: `update the server, or allow an older one for this host in the ssh config: ${option} +${theirs[0] ?? "NAME"}`,
    cause,
  });
}

function isSocketError(error: unknown): boolean {
  return typeof error === "object" && error !== null && "code" in error && typeof error.code === "string";
}
