/** Jump: the hops of ProxyJump. */

export interface JumpHop {
  readonly user?: string | undefined;
  /** Host or ssh config alias. */
  readonly host: string;
  readonly port?: number | undefined;
}

/** `[user@]host[:port]` or `ssh://[user@]host[:port]`, comma-separated; first hop first. undefined: cannot be read. */
export function parseJump(text: string): readonly JumpHop[] | undefined {
  const hops = text.split(",").map(parseHop);
  return hops.every((hop) => hop !== undefined) ? hops : undefined;
}

function parseHop(text: string): JumpHop | undefined {
  const uri = /^ssh:\/\/(.*?)\/?$/.exec(text);
  const rest = uri?.[1] ?? text;
  const at = rest.lastIndexOf("@");
  const user = at < 0 ? undefined : decodeUser(rest.slice(0, at), uri !== null);
  const place = /^(?:\[([^\]]+)\]|([^:/[\]]+))(?::(\d+))?:?$/.exec(rest.slice(at + 1));
  const host = place?.[1] ?? place?.[2];
  const port = place?.[3] === undefined ? undefined : Number(place[3]);
  // Whatever could be taken for an option, or for more than a name, by a shell further down.
  if (host === undefined || host.startsWith("-") || /[\s'"`$\\;&<>|(){}]/.test(host)) return undefined;
  if (at >= 0 && (user === undefined || user === "" || user.startsWith("-") || /['"`;&<>|(){}]/.test(user)))
    return undefined;
  if (port !== undefined && (port < 1 || port > 65535)) return undefined;
  return { ...(user === undefined ? {} : { user }), host, ...(port === undefined ? {} : { port }) };
}

/** In a URI the name may be percent-encoded and carry parameters after `;`, which nobody uses. */
function decodeUser(text: string, isUri: boolean): string | undefined {
  if (!isUri) return text;
  try {
    return decodeURIComponent(text.replace(/;.*$/, "").replaceAll("+", " "));
  } catch {
    return undefined;
  }
}
