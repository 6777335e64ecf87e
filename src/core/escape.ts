/** Escape: the words of `~.` and its kin, picked out of what is typed into a remote terminal. Pure. */

export interface Typed {
  /** What goes to the far side. */
  readonly send: Buffer;
  /** `close`: `~.` was typed, and nothing after it counts. `help`: `~?` was typed. */
  readonly asks?: "close" | "help" | undefined;
}

/**
 * Reads typed bytes piece by piece, as they come. A tilde counts only at the beginning of a line; `~~` sends one, and
 * before any other key it is sent along.
 */
export function createEscapes(): (bytes: Buffer) => Typed {
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
        send.push(tilde);
        if (byte === tilde) continue;
      } else if (atStart && byte === tilde) {
        held = true;
        continue;
      }
      send.push(byte);
      atStart = byte === carriageReturn || byte === lineFeed;
    }
    return { send: Buffer.from(send), asks: help ? "help" : undefined };
  };
}

export const escapeHelp = "~. close the connection   ~~ send a tilde   ~? this help   (at the beginning of a line)";

const [tilde, dot, question, carriageReturn, lineFeed] = [0x7e, 0x2e, 0x3f, 0x0d, 0x0a];
