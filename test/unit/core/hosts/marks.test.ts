import { PassThrough, Readable } from "node:stream";
import { expect, test } from "vitest";
import { newMark, stripMarks } from "../../../../src/core/hosts/marks.ts";

const mark = "ami:00ff:";

/** Every way to cut a text into two chunks, and byte by byte. */
function cuts(text: string): string[][] {
  const twos = Array.from({ length: text.length - 1 }, (_, i) => [text.slice(0, i + 1), text.slice(i + 1)]);
  return [[text], ...twos, text.split("")];
}

async function strip(chunks: readonly string[], count: number): Promise<[string, (string | undefined)[]]> {
  const { stream, said } = stripMarks(Readable.from(chunks.map((c) => Buffer.from(c))), mark, count);
  const out = Buffer.concat(await stream.toArray()).toString();
  return [out, await Promise.all(said)];
}

test.each([
  ["nothing but the mark", `${mark}12;`, 1, "", ["12"]],
  ["a mark before output", `${mark}12;hello;`, 1, "hello;", ["12"]],
  ["noise of a login shell before it", `ami: motd\n${mark}12;x`, 1, "ami: motd\nx", ["12"]],
  ["what only begins like the mark", `ami:00fami:00f${mark}1;ami:00f`, 1, "ami:00fami:00fami:00f", ["1"]],
  ["two marks", `a${mark}1;${mark}run;b`, 2, "ab", ["1", "run"]],
  ["only as many as asked for", `${mark}1;${mark}2;`, 1, `${mark}2;`, ["1"]],
  ["no mark at all", "sh: not found\n", 1, "sh: not found\n", [undefined]],
  ["a mark that never ends", `x${mark}12`, 1, `x${mark}12`, [undefined]],
] as const)("%s, however it is cut", async (_name, text, count, out, said) => {
  for (const chunks of cuts(text)) expect(await strip(chunks, count), JSON.stringify(chunks)).toEqual([out, said]);
});

test("bytes before a mark pass at once", async () => {
  const source = new PassThrough();
  const { stream } = stripMarks(source, mark, 1);
  source.write("prompt: a");
  expect(String(await new Promise((resolve) => stream.once("data", resolve)))).toBe("prompt: ");
  source.destroy();
});

test("a source that is destroyed ends the wait", async () => {
  const source = new PassThrough();
  const { said } = stripMarks(source, mark, 1);
  source.destroy();
  expect(await said[0]).toBeUndefined();
});

test("marks differ", () => {
  expect(newMark()).not.toBe(newMark());
});
