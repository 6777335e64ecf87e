import { expect, it } from "vitest";
import type { Event } from "../../../src/core/events.ts";
import { bytesJson } from "../../../src/core/events.ts";
import { openText } from "../../../src/ui/text.ts";

const fold = (hosts: string[], exit: number, stdout: string | Buffer, stderr = ""): Event => ({
  seq: 1,
  at: 0,
  run: "r",
  kind: "fold",
  hosts,
  exit,
  stdout: bytesJson(Buffer.from(stdout)),
  stderr: bytesJson(Buffer.from(stderr)),
});
const end = (host: string, exit: number): Event => ({
  seq: 2,
  at: 0,
  run: "r",
  kind: "host.end",
  host,
  outcome: "changed",
  ms: 1,
  exit,
});

function shown(...events: Event[]): { stdout: Buffer; stderr: string } {
  const out: Record<"stdout" | "stderr", Buffer[]> = { stdout: [], stderr: [] };
  const text = openText({
    write: (stream, data) => void out[stream].push(Buffer.from(data)),
    quiet: false,
    verbose: false,
  });
  text.expect(3);
  for (const event of events) text.listener(event);
  return { stdout: Buffer.concat(out.stdout), stderr: Buffer.concat(out.stderr).toString() };
}

const rule = "---------------";

it("puts equal output under one heading that lists and counts its hosts", () => {
  const { stdout, stderr } = shown(fold(["web1", "web2"], 0, "same\n"), fold(["db"], 0, "no newline"), end("web1", 0));
  expect(stdout.toString()).toBe(`${rule}\nweb[1-2] (2)\n${rule}\nsame\n${rule}\ndb (1)\n${rule}\nno newline\n`);
  expect(stderr).toBe("");
});

it("says the exit code in the heading and not again for each host", () => {
  const { stdout, stderr } = shown(fold(["web1"], 3, "out\n", "err\n"), end("web1", 3));
  expect(stdout.toString()).toBe(`${rule}\nweb1 (1) exit 3\n${rule}\nout\n`);
  expect(stderr).toBe(`${rule}\nweb1 (1) exit 3\n${rule}\nerr\n`);
});

it("mentions hosts that said nothing only when they failed", () => {
  const { stdout, stderr } = shown(fold(["web1"], 0, ""), fold(["web2"], 1, ""));
  expect(stdout).toHaveLength(0);
  expect(stderr).toBe(`${rule}\nweb2 (1) exit 1\n${rule}\n`);
});

it("leaves bytes that are no text as they are", () => {
  expect(shown(fold(["web1"], 0, Buffer.from([0xff, 0x0a]))).stdout.subarray(-2)).toEqual(Buffer.from([0xff, 0x0a]));
});
