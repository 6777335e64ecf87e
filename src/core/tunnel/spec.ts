/** Spec: tunnels as users of ssh write them: `8080:db:5432`, `*:9000:localhost:3000`, `1080`, `/a.sock:/b.sock`. Pure. */
import { endpointText } from "../endpoint.ts";
import { AmiError } from "../errors.ts";
import type { Endpoint } from "../host.ts";

export interface Tunnel {
  /** Whose address is listened on: this machine's (-L, -D) or the target's (-R). */
  readonly listens: "here" | "there";
  readonly at: Endpoint;
  /** What it leads to, seen from the other side. `socks`: whatever each client asks for. */
  readonly to: Endpoint | "socks";
}

export type TunnelKind = "local" | "remote" | "dynamic";

/** Throws `usage.input`. */
export function parseTunnel(kind: TunnelKind, text: string): Tunnel {
  const fields = fieldsOf(text);
  const fail = (why: string): AmiError =>
    new AmiError("usage.input", `--${kind} ${JSON.stringify(text)}: ${why}`, { hint: `write ${forms[kind]}` });
  if (fields === undefined) throw fail("a bracket is not closed");
  const listens = kind === "remote" ? "there" : "here";
  if (kind === "dynamic" || (kind === "remote" && isListenAlone(fields))) {
    return { listens, at: listenOf(fields, fail), to: "socks" };
  }
  const isToPath = fields.length > 1 && isPath(fields.at(-1));
  const to = fields.splice(isToPath ? -1 : -2);
  if (fields.length === 0) throw fail("it does not say where it leads to");
  return { listens, at: listenOf(fields, fail), to: targetOf(to, fail) };
}

export function toText(to: Tunnel["to"]): string {
  return to === "socks" ? "anywhere (SOCKS)" : endpointText(to);
}

/** `80`, `host:80`, `[::1]:80`, `/path`: a service of the target, where no host means the target itself. */
export function parseService(text: string): Endpoint {
  const fail = (why: string): AmiError =>
    new AmiError("usage.input", `${JSON.stringify(text)}: ${why}`, { hint: "write PORT, HOST:PORT or /SOCKET" });
  const fields = fieldsOf(text);
  if (fields === undefined) throw fail("a bracket is not closed");
  const [first = ""] = fields;
  return targetOf(fields.length === 1 && !isPath(first) ? ["localhost", first] : fields, fail);
}

const forms: Record<TunnelKind, string> = {
  local: "[bind:]port:host:hostport, port:/socket, /socket:host:hostport or /socket:/socket",
  remote: "[bind:]port:host:hostport, port:/socket, /socket:host:hostport, /socket:/socket, or a port alone for SOCKS",
  dynamic: "[bind:]port",
};

type Fail = (why: string) => AmiError;

/** Cut at colons, but for those in brackets, which are taken away. Undefined: a bracket is not closed. */
function fieldsOf(text: string): string[] | undefined {
  const fields = text.match(/\[[^\]]*\]|[^:[\]]+|(?<=^|:)(?=:|$)/g) ?? [];
  if (fields.join(":") !== text) return undefined;
  return fields.map((field) => field.replace(/^\[(.*)\]$/, "$1"));
}

function isPath(field: string | undefined): boolean {
  return field?.startsWith("/") === true;
}

function isListenAlone(fields: readonly string[]): boolean {
  const last = fields.at(-1) ?? "";
  return fields.length <= 2 && !isPath(fields[0]) && /^\d+$/.test(last);
}

function listenOf(fields: readonly string[], fail: Fail): Endpoint {
  const [first = "", second, ...more] = fields;
  if (more.length > 0) throw fail("it has too many parts; an IPv6 address stands in brackets");
  if (isPath(first) && second === undefined) return { path: first };
  if (second === undefined) return { host: "localhost", port: portOf(first, 0, fail) };
  return { host: first === "*" ? "" : first, port: portOf(second, 0, fail) };
}

function targetOf(fields: readonly string[], fail: Fail): Endpoint {
  const [first = "", second, ...more] = fields;
  if (isPath(first) && second === undefined) return { path: first };
  if (second === undefined || more.length > 0) throw fail("it does not say which host and port it leads to");
  if (first === "") throw fail("the host it leads to is missing");
  return { host: first, port: portOf(second, 1, fail) };
}

function portOf(word: string, least: number, fail: Fail): number {
  const port = /^\d{1,5}$/.test(word) ? Number(word) : -1;
  if (port < least || port > 65_535) throw fail(`${JSON.stringify(word)} is no port`);
  return port;
}
