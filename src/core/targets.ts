/** Targets: `[user@]host[:port]`, ssh alias, inventory name, `local`. Pure parsing; `core/nodes` resolves names and groups. */
import { AmiError } from "./errors.ts";

export type Target =
  | {
      readonly kind: "local";
      readonly name: string;
      readonly vars: Vars;
      /** Only when nodes.yaml gives this machine a name. */
      readonly groups?: readonly string[] | undefined;
    }
  | {
      readonly kind: "ssh";
      /** What it is called in output: the word the user wrote, or the inventory name. */
      readonly name: string;
      /** Host or ssh config alias to look up. */
      readonly host: string;
      readonly user?: string | undefined;
      readonly port?: number | undefined;
      readonly vars: Vars;
      readonly groups: readonly string[];
    };

export type Vars = Readonly<Record<string, unknown>>;

/**
 * Reads one address. Accepts `host`, `user@host`, `host:port`, `user@[2001:db8::1]:2222`, a bare IPv6 address
 * (several colons), `ssh://user@host:port` and `local`. Throws `usage.target`.
 */
export function parseTarget(word: string): Target {
  const text = word.trim();
  if (text === "local") return { kind: "local", name: "local", vars: {} };
  const rest = text.startsWith("ssh://") ? text.slice("ssh://".length).replace(/\/$/, "") : text;
  const at = rest.lastIndexOf("@");
  const user = at >= 0 ? rest.slice(0, at) : undefined;
  const [host, portText] = splitPort(rest.slice(at + 1));
  if (text.includes("://") && !text.startsWith("ssh://")) {
    throw bad(word, `the scheme ${text.slice(0, text.indexOf("://"))}:// is not known here`);
  }
  if (/[{}]/.test(host))
    throw bad(word, "braces mean nothing here", "write web[1-3] for a range, web1,web3 for a list");
  if (host === "" || user === "") throw bad(word, "a name is missing");
  // A leading dash could be taken for an option by programs further down (CVE-2017-1000117 and its kin).
  const isOption = host.startsWith("-") || user?.startsWith("-") === true;
  if (
    isOption ||
    /[\s\0'"`$;|&<>()\\]/.test(rest) ||
    /[*?![\],#@]/.test(host) ||
    (text !== rest && host.includes("/"))
  ) {
    throw bad(word, "it holds characters that no host or user name has");
  }
  const port = portText === undefined ? undefined : /^\d+$/.test(portText) ? Number(portText) : 0;
  if (port !== undefined && !(port > 0 && port < 65536)) throw bad(word, `the port ${portText} is not 1-65535`);
  return {
    kind: "ssh",
    name: text,
    host,
    ...(user === undefined ? {} : { user }),
    ...(port === undefined ? {} : { port }),
    vars: {},
    groups: [],
  };
}

function splitPort(text: string): [host: string, port: string | undefined] {
  const bracketed = /^\[([^\]]*)\](?::(.*))?$/.exec(text);
  if (bracketed) return [bracketed[1] ?? "", bracketed[2]];
  const colons = text.split(":").length - 1;
  if (colons !== 1) return [text, undefined];
  const colon = text.indexOf(":");
  return [text.slice(0, colon), text.slice(colon + 1)];
}

const forms =
  "write [user@]host[:port], [user@][ipv6]:port, an ssh config alias, a name or group of nodes.yaml, or local";

function bad(word: string, why: string, hint = forms): AmiError {
  return new AmiError("usage.target", `target ${JSON.stringify(word)}: ${why}`, { hint });
}
