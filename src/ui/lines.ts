/** Lines: output of many programs at once, prefixed by host and never torn. */
export type Write = (stream: "stdout" | "stderr", data: string | Buffer) => void;

export interface Lines {
  /** Writes what is whole and keeps the rest until its line ends. */
  push(host: string, stream: "stdout" | "stderr", bytes: Buffer): void;
  /** Writes what is left of a host (of all, without a name) and ends its line. */
  flush(host?: string): void;
}

/** `prefix` of a host: `[web1] `. */
export function prefixLines(write: Write, prefix: (host: string) => string): Lines {
  const open = new Map<string, { host: string; stream: "stdout" | "stderr"; parts: Buffer[] }>();
  const flushOne = (key: string) => {
    const rest = open.get(key);
    open.delete(key);
    if (rest !== undefined) write(rest.stream, Buffer.concat([Buffer.from(prefix(rest.host)), ...rest.parts, newline]));
  };
  return {
    push(host, stream, bytes) {
      const key = `${stream} ${host}`;
      const end = bytes.lastIndexOf(0x0a);
      if (end >= 0) {
        const whole = Buffer.concat([...(open.get(key)?.parts ?? []), bytes.subarray(0, end + 1)]);
        open.delete(key);
        write(stream, withPrefix(whole, Buffer.from(prefix(host))));
      }
      const rest = bytes.subarray(end + 1);
      if (rest.length === 0) return;
      const entry = open.get(key) ?? { host, stream, parts: [] };
      // A copy: the bytes may belong to a buffer that is used again.
      entry.parts.push(Buffer.from(rest));
      open.set(key, entry);
    },
    flush(host) {
      for (const [key, rest] of open) if (host === undefined || rest.host === host) flushOne(key);
    },
  };
}

const newline = Buffer.from("\n");

function withPrefix(lines: Buffer, prefix: Buffer): Buffer {
  const out: Buffer[] = [];
  for (let start = 0; start < lines.length;) {
    const end = lines.indexOf(0x0a, start) + 1;
    out.push(prefix, lines.subarray(start, end));
    start = end;
  }
  return Buffer.concat(out);
}
