/** Cast: recordings of terminals as asciicast has them: what stands in their lines, written as version 3 and as 2. Pure. */

export interface CastHeader {
  readonly columns: number;
  readonly rows: number;
  /** `xterm-256color` */
  readonly term?: string | undefined;
  /** Seconds since 1970. */
  readonly timestamp?: number | undefined;
  /** Longest silence, in milliseconds, that a player should keep. */
  readonly idleLimit?: number | undefined;
  readonly command?: string | undefined;
  readonly title?: string | undefined;
  readonly env?: Readonly<Record<string, string>> | undefined;
}

/** `o` output, `i` input, `r` the size `COLSxROWS`, `m` a mark with its label, `x` the exit code. Others are passed over. */
export interface CastEvent {
  /** Milliseconds since the beginning. */
  readonly at: number;
  readonly code: string;
  readonly data: string;
}

export interface Cast extends CastHeader {
  readonly version: CastVersion;
  readonly events: readonly CastEvent[];
  /** The last line is only a half: whoever wrote it was cut off. */
  readonly torn: boolean;
}

export type CastVersion = 2 | 3;

export function headerLine(version: CastVersion, header: CastHeader): string {
  const { columns, rows, term, timestamp, idleLimit, command, title, env } = header;
  const common = {
    timestamp,
    idle_time_limit: idleLimit === undefined ? undefined : idleLimit / 1000,
    command,
    title,
  };
  const size =
    version === 3
      ? { version, term: { cols: columns, rows, type: term }, ...common, env }
      : { version, width: columns, height: rows, ...common, env: term === undefined ? env : { TERM: term, ...env } };
  return `${JSON.stringify(size)}\n`;
}

/** Lines of events in their order. Rounding never adds up: what one interval is too short the next is longer. */
export function createEventLines(version: CastVersion): (event: CastEvent) => string {
  let last = 0;
  return ({ at, code, data }) => {
    // Version 2 knows no exit code.
    if (version === 2 && code === "x") return "";
    const now = Math.max(last, Math.round(at));
    const time = version === 3 ? now - last : now;
    last = now;
    return `[${(time / 1000).toFixed(3)}, ${JSON.stringify(code)}, ${JSON.stringify(data)}]\n`;
  };
}

/** The whole recording in one text. */
export function castText(version: CastVersion, cast: Cast): string {
  const line = createEventLines(version);
  return headerLine(version, cast) + cast.events.map(line).join("");
}
