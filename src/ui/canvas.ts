/** Canvas: the terminal as listr2 sees it: what is drawn on it can be wiped, and nothing else is ever held back. */
export interface Canvas {
  /** For whoever draws. Without rows log-update wipes its last frame and draws none. */
  readonly stream: NodeJS.WriteStream;
  /** Lines a frame may have: one less than the terminal, which would scroll otherwise. */
  readonly rows: number;
  hidden: boolean;
}

export function openCanvas(terminal: NodeJS.WriteStream): Canvas {
  // listr2 replaces `write` to keep others from drawing; on this stand-in the terminal itself stays as it is.
  const own = new Map<string | symbol, unknown>();
  own.set("write", (chunk: string) => terminal.write(chunk));
  const canvas = {
    hidden: false,
    get rows() {
      return Math.max(1, (terminal.rows ?? 24) - 1);
    },
    stream: new Proxy(terminal, {
      get(target, name): unknown {
        if (name === "rows") return canvas.hidden ? 0 : canvas.rows;
        return own.has(name) ? own.get(name) : Reflect.get(target, name);
      },
      set(_target, name, value) {
        own.set(name, value);
        return true;
      },
    }),
  };
  return canvas;
}
