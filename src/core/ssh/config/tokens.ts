/** Tokens: `%h`, `${VAR}` and `~` in values. Pure but for `~name`, which asks the password file. */
import { createHash } from "node:crypto";
import { homeOf } from "../../runtime-compat.ts";

export type Tokens = Readonly<Record<string, string>>;
export type Env = Readonly<Record<string, string | undefined>>;
export type Expanded = { readonly text: string } | { readonly problem: string };

/** `tokens` undefined: `%` means itself. `env` undefined: `$` means itself. */
export function expand(text: string, tokens: Tokens | undefined, env?: Env): Expanded {
  let out = "";
  for (let at = 0; at < text.length; at++) {
    const char = text[at] ?? "";
    if (env !== undefined && text.startsWith("${", at)) {
      const end = text.indexOf("}", at);
      const name = end < 0 ? "" : text.slice(at + 2, end);
      if (name === "") return { problem: `${JSON.stringify(text)} holds a \${ without a name and }` };
      const value = env[name];
      if (value === undefined) return { problem: `the variable ${name} in ${JSON.stringify(text)} is not set` };
      out += value;
      at = end;
    } else if (tokens !== undefined && char === "%") {
      const token = text[++at] ?? "";
      const value = token === "%" ? "%" : Object.hasOwn(tokens, token) ? tokens[token] : undefined;
      if (value === undefined) return { problem: `%${token} in ${JSON.stringify(text)} means nothing here` };
      out += value;
    } else {
      out += char;
    }
  }
  return { text: out };
}

export function expandTilde(path: string, home: string): Expanded {
  const [, name, rest] = /^~([^/]*)\/*(.*)$/s.exec(path) ?? [];
  if (name === undefined || rest === undefined) return { text: path };
  const folder = name === "" ? home : homeOf(name);
  if (folder === undefined) return { problem: `there is no user ${name} for ${path}` };
  return { text: folder.endsWith("/") ? folder + rest : `${folder}/${rest}` };
}

export interface Connection {
  readonly originalHost: string;
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly jump: string;
  readonly keyAlias: string;
  readonly localUser: string;
  readonly localHost: string;
  readonly home: string;
  readonly uid: number;
}

/** All tokens that paths and commands take. */
export function tokensOf(connection: Connection): Tokens {
  const { originalHost, host, port, user, jump, keyAlias, localUser, localHost, home, uid } = connection;
  return {
    C: createHash("sha1").update(`${localHost}${host}${port}${user}${jump}`).digest("hex"),
    d: home,
    h: host,
    i: String(uid),
    j: jump,
    k: keyAlias,
    L: localHost.replace(/\..*$/s, ""),
    l: localHost,
    n: originalHost,
    p: String(port),
    r: user,
    u: localUser,
  };
}
