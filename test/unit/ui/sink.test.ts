import { PassThrough, Writable } from "node:stream";
import { expect, it } from "vitest";
import { openSink } from "../../../src/ui/sink.ts";

const big = Buffer.alloc(2 ** 20 + 1);

async function isSettled(promise: Promise<void>): Promise<boolean> {
  let settled = false;
  void promise.then(() => (settled = true));
  await new Promise((resolve) => setImmediate(resolve));
  return settled;
}

it("has caught up while little waits, and not before much has been taken", async () => {
  const taken: (() => void)[] = [];
  const stdout = new Writable({ write: (_chunk, _encoding, done) => void taken.push(done) });
  const sink = openSink({ stdout, stderr: new PassThrough() });
  sink.write("stdout", "a little");
  expect(await isSettled(sink.caughtUp())).toBe(true);
  sink.write("stdout", big);
  const caughtUp = sink.caughtUp();
  expect(await isSettled(caughtUp)).toBe(false);
  taken.shift()?.();
  await new Promise((resolve) => setImmediate(resolve));
  taken.shift()?.();
  expect(await isSettled(caughtUp)).toBe(true);
});

it("waits for nobody who has left", async () => {
  const stdout = new Writable({ write: () => undefined });
  stdout.on("error", () => undefined);
  const sink = openSink({ stdout, stderr: new PassThrough() });
  sink.write("stdout", big);
  const caughtUp = sink.caughtUp();
  expect(await isSettled(caughtUp)).toBe(false);
  stdout.destroy(new Error("EPIPE"));
  expect(await isSettled(caughtUp)).toBe(true);
  sink.write("stdout", big);
  expect(await isSettled(sink.caughtUp())).toBe(true);
});
