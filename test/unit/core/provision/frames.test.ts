import { describe, expect, it } from "vitest";
import { createFrames } from "../../../../src/core/provision/frames.ts";

const stream = Buffer.concat([
  Buffer.from("Welcome to h1\n\n@wrong begin\nnoise"),
  Buffer.from("\n@n1 begin\n\n@n1 out 0\n"),
  Buffer.from([0, 255, 10, 64, 110, 10]),
  Buffer.from("\n@n1 err 0\n\n@n1 end 0 7\n\n@n1 stat\none\ntwo\n\n@n1 sha256\n\n@n1 end\n"),
]);

const expected = [
  ["begin", [], ""],
  ["out", ["0"], Buffer.from([0, 255, 10, 64, 110, 10]).toString("latin1")],
  ["err", ["0"], ""],
  ["end", ["0", "7"], ""],
  ["stat", [], "one\ntwo\n"],
  ["sha256", [], ""],
  ["end", [], ""],
];

describe("frames", () => {
  it.each([1, 2, 3, 7, 1000])("come out the same when bytes arrive %i at a time", (size) => {
    const parser = createFrames("n1");
    const frames = [];
    for (let at = 0; at < stream.length; at += size) frames.push(...parser.push(stream.subarray(at, at + size)));
    expect(frames.map((f) => [f.word, f.args, f.body.toString("latin1")])).toEqual(expected);
  });

  it("a head-only frame counts as soon as its line is there", () => {
    const parser = createFrames("n1");
    expect(parser.push(Buffer.from("\n@n1 end 3 0\n")).map((f) => f.args)).toEqual([["3", "0"]]);
  });

  it("a frame with a body counts when the next one begins", () => {
    const parser = createFrames("n1");
    expect(parser.push(Buffer.from("\n@n1 stat\nabc"))).toEqual([]);
    expect(parser.push(Buffer.from("def\n@n1 end\n")).map((f) => f.body.toString())).toEqual(["abcdef", ""]);
  });
});
