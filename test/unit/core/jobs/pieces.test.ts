import { describe, expect, it } from "vitest";
import { type Piece, createPieces } from "../../../../src/core/jobs/pieces.ts";

const stream = "words of an rc file\n\n@abc\nout 4\na\nb\nerr 3\n\n@aout 0\nend 3 170 full\n";

function read(cut: number): { stdout: string; stderr: string; words: string } {
  const pieces = createPieces("abc");
  const all: Piece[] = [];
  for (let at = 0; at < stream.length; at += cut) all.push(...pieces.push(Buffer.from(stream.slice(at, at + cut))));
  const bytes = (name: "stdout" | "stderr"): string =>
    Buffer.concat(
      all.flatMap((piece) => (piece.is === "bytes" && piece.stream === name ? [piece.bytes] : [])),
    ).toString();
  const words = all.flatMap((piece) => (piece.is === "word" ? piece.words : [])).join(" ");
  return { stdout: bytes("stdout"), stderr: bytes("stderr"), words };
}

describe("the stream of a job", () => {
  it("is the same however it is cut", () => {
    for (let cut = 1; cut <= stream.length; cut++)
      expect(read(cut), `pieces of ${cut}`).toEqual({ stdout: "a\nb\n", stderr: "\n@a", words: "end 3 170 full" });
  });
});
