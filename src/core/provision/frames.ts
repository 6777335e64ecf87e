/** Frames: cuts the output of a program into its parts: `\n@NONCE word args\n` and the bytes up to the next one. */

export interface Frame {
  readonly word: string;
  readonly args: readonly string[];
  readonly body: Buffer;
}

/** Frames that say all they have to say in their head line; they count as whole at once. */
const headOnly: ReadonlySet<string> = new Set([
  "begin",
  "start",
  "end",
  "done",
  "stopped",
  "locked",
  "broken",
  "attached",
  "lost",
  "absent",
]);

/** Feed bytes as they come; whole frames come back. What comes before the first frame (a greeting) is dropped. */
export function createFrames(nonce: string): { push(chunk: Buffer): Frame[] } {
  const mark = Buffer.from(`\n@${nonce} `);
  let rest: Buffer = Buffer.alloc(0);
  let open: { word: string; args: string[] } | undefined;
  return {
    push(chunk) {
      rest = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
      const frames: Frame[] = [];
      for (;;) {
        const at = rest.indexOf(mark);
        const end = at < 0 ? -1 : rest.indexOf(10, at + mark.length);
        if (end < 0) {
          // Without an open frame only the tail can matter: the start of a mark.
          if (open === undefined && at < 0 && rest.length > mark.length)
            rest = rest.subarray(rest.length - mark.length);
          return frames;
        }
        if (open !== undefined) frames.push({ ...open, body: Buffer.from(rest.subarray(0, at)) });
        const [word = "", ...args] = rest
          .subarray(at + mark.length, end)
          .toString("utf8")
          .split(" ");
        open = { word, args };
        rest = rest.subarray(end + 1);
        if (headOnly.has(word)) {
          frames.push({ ...open, body: Buffer.alloc(0) });
          open = undefined;
        }
      }
    },
  };
}
