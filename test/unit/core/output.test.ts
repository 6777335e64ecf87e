import { PassThrough, Readable } from "node:stream";
import { describe, expect, it } from "vitest";
import { type EventBody, bytesOf } from "../../../src/core/events.ts";
import { collectOutput, emitOutput, wholeCharacters } from "../../../src/core/output.ts";

const streams = (stdout: Buffer[], stderr: Buffer[] = []) => ({
  stdout: Readable.from(stdout, { objectMode: false }),
  stderr: Readable.from(stderr, { objectMode: false }),
});

/** The output events of a program whose stdout comes in these pieces. */
async function emitted(pieces: Buffer[]): Promise<Extract<EventBody, { kind: "output" }>[]> {
  const events: Extract<EventBody, { kind: "output" }>[] = [];
  const stdout = new PassThrough();
  const done = emitOutput(
    { stdout, stderr: Readable.from([]) },
    { host: "h", emit: (event) => void (event.kind === "output" && events.push(event)) },
  );
  for (const piece of pieces) {
    stdout.write(piece);
    await new Promise((resolve) => setImmediate(resolve));
  }
  stdout.end();
  await done;
  return events;
}

describe("where a piece of output can be cut without tearing a character", () => {
  it.each([
    ["plain text", Buffer.from("abc"), 3],
    ["a whole character", Buffer.from("ü"), 2],
    ["half of one", Buffer.from("aü").subarray(0, 2), 1],
    ["a third of one", Buffer.from("a€").subarray(0, 2), 1],
    ["two thirds of one", Buffer.from("a€").subarray(0, 3), 1],
    ["three quarters of one", Buffer.from("a😀").subarray(0, 4), 1],
    ["a whole long one", Buffer.from("a😀"), 5],
    ["bytes that begin no character", Buffer.from([0x61, 0xff]), 2],
    ["bytes that go on with nothing", Buffer.from([0x80, 0x80, 0x80]), 3],
    ["nothing", Buffer.alloc(0), 0],
  ])("%s", (_, bytes, whole) => {
    expect(wholeCharacters(bytes)).toBe(whole);
  });
});

describe("output as events", () => {
  it("stays text when characters are torn between pieces at every place", async () => {
    const text = "aü€😀b";
    const bytes = Buffer.from(text);
    for (let cut = 1; cut < bytes.length; cut++) {
      const events = await emitted([bytes.subarray(0, cut), bytes.subarray(cut)]);
      expect(events.every((event) => event.encoding === undefined)).toBe(true);
      expect(events.map((event) => event.data).join("")).toBe(text);
    }
  });

  it("carries every byte, whatever the bytes and the pieces", async () => {
    const bytes = Buffer.from(Array.from({ length: 4096 }, (_, i) => (i * 7 + (i >> 3)) % 256));
    for (const size of [1, 3, 7, 100]) {
      const pieces = Array.from({ length: Math.ceil(bytes.length / size) }, (_, i) =>
        bytes.subarray(i * size, (i + 1) * size),
      );
      const events = await emitted(pieces.slice(0, 300));
      expect(Buffer.concat(events.map(bytesOf)).equals(bytes.subarray(0, size * 300))).toBe(true);
    }
  });

  it("gives what was held back when the program ends in the middle of a character", async () => {
    const events = await emitted([Buffer.from([0x61, 0xe2, 0x82])]);
    expect(Buffer.concat(events.map(bytesOf))).toEqual(Buffer.from([0x61, 0xe2, 0x82]));
  });

  it("tells the streams apart and keeps what came before one broke", async () => {
    const stdout = new PassThrough();
    const events: EventBody[] = [];
    const done = emitOutput(
      { stdout, stderr: Readable.from([Buffer.from("err")]) },
      { host: "h", emit: (event) => events.push(event) },
    );
    stdout.write("out");
    await new Promise((resolve) => setImmediate(resolve));
    stdout.destroy(new Error("broke"));
    await done;
    expect(events).toEqual(
      expect.arrayContaining([
        { kind: "output", host: "h", stream: "stdout", data: "out" },
        { kind: "output", host: "h", stream: "stderr", data: "err" },
      ]),
    );
  });

  it("does not read on while those it goes to have fallen behind", async () => {
    let read = 0;
    const stdout = new Readable({
      highWaterMark: 1,
      read() {
        this.push(++read <= 50 ? Buffer.from("x") : null);
      },
    });
    let bytes = 0;
    const waiting: (() => void)[] = [];
    const done = emitOutput(
      { stdout, stderr: Readable.from([]) },
      {
        host: "h",
        emit: (event) => void (event.kind === "output" && (bytes += event.data.length)),
        caughtUp: () => new Promise((resolve) => waiting.push(resolve)),
      },
    );
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(bytes).toBeLessThan(5);
    let isDone = false;
    void done.then(() => (isDone = true));
    while (!isDone) {
      waiting.shift()?.();
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect(bytes).toBe(50);
  });

  it("can be kept instead, both streams whole", async () => {
    const { stdout, stderr } = await collectOutput(
      streams([Buffer.from("a"), Buffer.from("b")], [Buffer.from([0xff])]),
    );
    expect(stdout.toString()).toBe("ab");
    expect(stderr).toEqual(Buffer.from([0xff]));
  });
});
