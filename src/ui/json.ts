/** JSON: every event as one line on stdout, the last of kind `result`. */
import type { Listener } from "../core/events.ts";
import type { Write } from "./lines.ts";

export function jsonListener(write: Write): Listener {
  return (event) => write("stdout", `${JSON.stringify(event)}\n`);
}
