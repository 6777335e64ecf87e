/** Refusal: what ssh said when it did not get in, as an error of ours. Pure. */
import { AmiError, type ErrorCode, type Retry } from "../../errors.ts";
import { visible } from "../../visible.ts";

export interface Refusal {
  /** What the target is called. */
  readonly name: string;
  /** `host:port`. */
  readonly at: string;
  /** All its words. */
  readonly said: string;
  /** Somebody could have been asked. */
  readonly canAsk: boolean;
}

export function refusalOf({ name, at, said, canAsk }: Refusal): AmiError {
  const words = visible(said.replaceAll("\r", "")).trim();
  const found = causes.find(({ is }) => is.test(words));
  const { code, hint, retry } = found ?? { code: "ssh.protocol" as const, hint: undefined, retry: undefined };
  const lines = words === "" ? ["it said nothing"] : words.split("\n").filter((line) => line.trim() !== "");
  return new AmiError(code, `ssh did not get into ${at}${lines.map((line) => `\n  ${line.trim()}`).join("")}`, {
    host: name,
    hint: code === "ssh.auth" && !canAsk ? "give a key with --identity FILE, or a password with --ask-pass" : hint,
    retry: retry ?? "no",
  });
}

interface Cause {
  readonly is: RegExp;
  readonly code: ErrorCode;
  readonly hint?: string;
  readonly retry?: Retry;
}

/** The first that fits; the words are those of OpenSSH 7.4 to 10. */
const causes: readonly Cause[] = [
  {
    is: /HOST IDENTIFICATION HAS CHANGED/,
    code: "hostkey.changed",
    hint: "only if you know why: remove the old key with ami-node ssh known-hosts remove",
  },
  {
    is: /REVOKED HOST KEY|host key .*(revoked|marked as revoked)/i,
    code: "hostkey.revoked",
    hint: "do not log in there: the key is marked as stolen or given up. Give the machine a new one",
  },
  {
    is: /Host key verification failed|No .* host key is known/,
    code: "hostkey.unknown",
    hint: "compare the fingerprint (ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub there), then run again with --accept-new",
  },
  {
    is: /Permission denied|Too many authentication failures|No more authentication methods/i,
    code: "ssh.auth",
    hint: "is it the right user and key? ami-node ssh diagnose tells more",
  },
  { is: /Bad configuration option|terminating, \d+ bad/, code: "config.invalid" },
  {
    is: /Could not resolve|Connection (refused|timed out|reset|closed)|No route to host|unreachable|kex_exchange_identification/,
    code: "ssh.connect",
    hint: "is the machine up, and does sshd listen there?",
    retry: "yes",
  },
];
