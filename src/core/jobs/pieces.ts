/** Pieces: takes the stream of `followProgram` apart, however it was cut on its way. Pure. */

export type Piece =
  | { readonly is: "bytes"; readonly stream: "stdout" | "stderr"; readonly bytes: Buffer }
  | { readonly is: "word"; readonly words: readonly string[] };

/** `push` gives what has become known; words of an rc file before `@NONCE` are left out. */
export function createPieces(nonce: string): { push(chunk: Buffer): Piece[] } {
  const start = Buffer.from(`\n@${nonce}\n`);
  let held: Buffer = Buffer.alloc(0);
  let hasStarted = false;
  let body: { readonly stream: "stdout" | "stderr"; readonly left: number } | undefined;

  const next = (): Piece | undefined => {
    if (body !== undefined) {
      if (held.length === 0) return undefined;
      const bytes = held.subarray(0, body.left);
      held = held.subarray(bytes.length);
      const { stream, left } = body;
      body = left === bytes.length ? undefined : { stream, left: left - bytes.length };
      return { is: "bytes", stream, bytes };
    }
    const end = held.indexOf("\n");
    if (end < 0) return undefined;
    const words = held.subarray(0, end).toString("utf8").trim().split(" ");
    held = held.subarray(end + 1);
    const [word = "", size = ""] = words;
    if (word !== "out" && word !== "err") return { is: "word", words };
    body = { stream: word === "out" ? "stdout" : "stderr", left: Number(size) };
    return next();
  };

  return {
    push(chunk) {
      held = held.length === 0 ? chunk : Buffer.concat([held, chunk]);
      if (!hasStarted) {
        const at = held.indexOf(start);
        if (at < 0) return [];
        held = held.subarray(at + start.length);
        hasStarted = true;
      }
      const pieces: Piece[] = [];
      for (let piece = next(); piece !== undefined; piece = next()) pieces.push(piece);
      return pieces;
    },
  };
}
