/** Escape: the words of `~.` and its kin, picked out of what is typed into a remote terminal. Pure. */

export interface Typed {
  /** What goes to the far side. */
  readonly send: Buffer;
  /** `close`: `~.` was typed, and nothing after it counts. `help`: `~?` was typed. */
  readonly asks?: "close" | "help" | undefined;
}

/**
 * Reads typed bytes piece by piece, as they come. A tilde counts only at the beginning of a line; `~~` sends one, and
 * before any other key it is sent along. `key` is what stands in its place, of one byte; anything else (`none`): nothing
 * is an escape.
 */
export function createEscapes(key = "~"): (bytes: Buffer) => Typed {
  const [escape, more] = Buffer.from(key);
  if (escape === undefined || more !== undefined) return (bytes) => ({ send: bytes });
  let atStart = true;
  let held = false;
  return (bytes) => {
    const send: number[] = [];
    let help = false;
    for (const byte of bytes) {
      if (held) {
        held = false;
        atStart = false;
        if (byte === dot) return { send: Buffer.from(send), asks: "close" };
        if (byte === question) {
          help = true;
          atStart = true;
          continue;
        }
        send.push(escape);
        if (byte === escape) continue;
      } else if (atStart && byte === escape) {
        held = true;
        continue;
      }
      send.push(byte);
      atStart = byte === carriageReturn || byte === lineFeed;
    }
    return { send: Buffer.from(send), asks: help ? "help" : undefined };
  };
}

export function escapeHelp(key = "~"): string {
  const k = key < " " ? `^${String.fromCharCode(key.charCodeAt(0) | 64)}` : key;
  return `${k}. close the connection   ${k}${k} send ${k} itself   ${k}? this help   (at the beginning of a line)`;
}

const [dot, question, carriageReturn, lineFeed] = [0x2e, 0x3f, 0x0d, 0x0a];
