/** Tunnel: what becomes of tunnels, as lines. Where they listen is the answer; what breaks is conversation. */
import { formatDuration } from "../core/duration.ts";
import type { Event } from "../core/events.ts";
import type { Paint } from "./paint.ts";

type TunnelEvent = Extract<Event, { kind: "tunnel.up" | "tunnel.lost" }>;

export function tunnelLines(
  event: TunnelEvent,
  paint: { readonly stdout: Paint; readonly stderr: Paint },
  quiet: boolean,
): (readonly ["stdout" | "stderr", string])[] {
  if (event.kind === "tunnel.lost") {
    const again = `connecting again in ${formatDuration(event.wait)}`;
    const host = paint.stderr.host(event.host);
    return [["stderr", `${paint.stderr.yellow("warning:")} ${host}: ${event.error.message}; ${again}\n`]];
  }
  const host = paint.stdout.host(event.host);
  const { listen, to } = event;
  const said =
    event.listens === "here" ? `${listen} here -> ${to} from ${host}` : `${listen} on ${host} -> ${to} from here`;
  if (event.again) return quiet ? [] : [["stderr", `${said}, again\n`]];
  return [["stdout", `${said}\n`]];
}
