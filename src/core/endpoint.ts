/** Endpoint: addresses of tunnels as people write and read them. */
import type { Endpoint } from "./host.ts";

/** `db:5432`, `[::1]:80`, `*:80` for every address, `/run/app.sock`. */
export function endpointText(at: Endpoint): string {
  if ("path" in at) return at.path;
  const host = at.host === "" ? "*" : at.host.includes(":") ? `[${at.host}]` : at.host;
  return `${host}:${at.port}`;
}

/** Can nobody but this machine's own programs connect there? Names other than localhost count as no. */
export function isLoopback(at: Endpoint): boolean {
  return "path" in at || at.host === "localhost" || at.host === "::1" || /^127(\.\d{1,3}){3}$/.test(at.host);
}
