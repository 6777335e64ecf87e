import { setTimeout as sleep } from "node:timers/promises";
import { stripVTControlCharacters } from "node:util";
import { afterEach, describe, expect, it, vi } from "vitest";
import { AmiError } from "../../../src/core/errors.ts";
import type { EventBody } from "../../../src/core/events.ts";
import { openScreen } from "../../../src/ui/screen.ts";
import type { ScreenWish } from "../../../src/ui/screen.ts";
import { openWait } from "../../../src/ui/wait.ts";
import { fakeTerminal, tell } from "./streams.ts";

interface Look {
  readonly isTTY?: boolean;
  readonly command?: Partial<ScreenWish["command"]>;
  readonly options?: Partial<ScreenWish["options"]>;
  readonly env?: NodeJS.ProcessEnv;
  readonly mask?: (text: string) => string;
}

async function open(look: Look = {}) {
  const { isTTY = false, env = {}, mask = (text: string) => text } = look;
  const [stdout, stderr] = [fakeTerminal(80, 24, isTTY), fakeTerminal(80, 24, isTTY)];
  const screen = await openScreen(
    { stdout: stdout.stream, stderr: stderr.stream },
    {
      command: { name: "box list", shows: "events", args: {}, ...look.command },
      options: { json: false, quiet: false, verbose: false, ...look.options },
      color: { flag: false, setting: "auto" },
      env,
      mask,
    },
  );
  return { screen, stdout: stdout.written, stderr: stderr.written };
}

const story: EventBody[] = [
  { kind: "run.start", title: "provision web", hosts: ["web1"] },
  { kind: "host.start", host: "web1" },
  { kind: "step.end", host: "web1", step: "a", title: "file /x", index: 1, total: 1, ms: 1, outcome: "changed" },
  { kind: "host.end", host: "web1", outcome: "changed", ms: 1 },
  { kind: "run.end", outcome: "changed", ms: 1 },
  { kind: "result", exit: 0 },
];

afterEach(() => void vi.unstubAllEnvs());

describe("events", () => {
  it.each([
    ["in a pipe are lines", {}, /^\[web1\] 1\/1 file \/x: changed\n$/],
    ["on a terminal are a tree", { isTTY: true }, /✔ provision web/],
    ["on a dumb terminal are lines", { isTTY: true, env: { TERM: "dumb" } }, /^\[web1\] 1\/1 file \/x: changed\n$/],
    [
      "with --json are JSON, also on a terminal",
      { isTTY: true, options: { json: true } },
      /^\{"seq":1,.*"kind":"result","exit":0\}\n$/s,
    ],
    ["with --quiet are not there", { isTTY: true, options: { quiet: true } }, /^$/],
    [
      "of a verb that runs programs are lines",
      { isTTY: true, command: { args: { passThrough: true } } },
      /^\[web1\] 1\/1 file/,
    ],
    [
      "of a verb that needs the terminal are lines",
      { isTTY: true, command: { interactive: true } },
      /^\[web1\] 1\/1 file/,
    ],
  ] as const)("%s", async (_name, look, wanted) => {
    const { screen, stdout, stderr } = await open(look);
    tell(screen.listener, story);
    await screen.close();
    expect(stripVTControlCharacters(stdout())).toMatch(wanted);
    expect(stderr()).toBe("");
  });

  it("end in an error unless a host's failure said it already", async () => {
    const error = new AmiError("ssh.connect", "refused", { host: "web1" });
    const { screen, stderr } = await open();
    const { code, message, retry } = error;
    tell(screen.listener, [
      { kind: "host.end", host: "web1", outcome: "failed", ms: 1, error: { code, message, retry, host: "web1" } },
    ]);
    screen.fail(error, 4);
    expect(stderr()).toBe("error: web1: refused\n");
    screen.fail(new AmiError("run.failed", "1 of 1 failed"), 3);
    expect(stderr()).toBe("error: web1: refused\nerror: 1 of 1 failed\n");
  });
});

describe("answers", () => {
  const answers = { shows: "answer", text: (output: unknown) => `boxes: ${String(output)}` } as const;

  it("are the text of the command, ended by a newline", async () => {
    const { screen, stdout } = await open({ command: answers });
    screen.answer(3);
    expect(stdout()).toBe("boxes: 3\n");
  });

  it("with --json are one value: a line in a pipe, indented on a terminal", async () => {
    const piped = await open({ command: answers, options: { json: true } });
    piped.screen.answer({ n: [1] });
    expect(piped.stdout()).toBe('{"n":[1]}\n');
    const seen = await open({ command: answers, options: { json: true }, isTTY: true });
    seen.screen.answer({ n: [1] });
    expect(seen.stdout()).toBe('{\n  "n": [\n    1\n  ]\n}\n');
  });

  it("that do not come are an error on stderr, with --json one on stdout too, secrets hidden", async () => {
    const { screen, stdout, stderr } = await open({
      command: answers,
      options: { json: true },
      mask: (text) => text.replaceAll("s3cret", "***"),
    });
    screen.fail(new AmiError("ssh.auth", "s3cret was wrong"), 4);
    expect(JSON.parse(stdout())).toEqual({
      kind: "result",
      exit: 4,
      error: { code: "ssh.auth", message: "*** was wrong", retry: "no" },
    });
    expect(stderr()).toBe("error: *** was wrong\n");
  });

  it("that take long have a spinner on stderr, gone before they come", async () => {
    const { screen, stdout, stderr } = await open({ command: answers, isTTY: true });
    screen.expect(3);
    await vi.waitFor(() => expect(stderr()).toContain("box list on 3 targets"), 5000);
    await screen.close();
    const before = stderr().length;
    screen.answer(3);
    await sleep(300);
    expect(stdout()).toBe("boxes: 3\n");
    expect(stderr().slice(before)).toBe("");
  });
});

describe("a spinner", () => {
  it("does not appear for what is quick", async () => {
    const terminal = fakeTerminal();
    const wait = openWait(terminal.stream, () => "asking");
    await wait.close();
    await sleep(600);
    expect(terminal.written()).toBe("");
  });

  it("makes room for lines and questions", async () => {
    // ora draws for people only; CI and a dumb terminal are set where tests run by themselves.
    vi.stubEnv("CI", undefined);
    vi.stubEnv("TERM", "xterm");
    const terminal = fakeTerminal();
    const wait = openWait(terminal.stream, () => "asking");
    await vi.waitFor(() => expect(terminal.written()).toContain("asking"), 5000);
    wait.above(() => terminal.stream.write("a note\n"));
    expect(terminal.written()).toMatch(/asking.*\u001b\[0K.*a note\n/s);
    await wait.suspend(async () => {
      const before = terminal.written().length;
      await sleep(300);
      expect(terminal.written().slice(before)).toBe("");
    });
    const before = terminal.written().length;
    await vi.waitFor(() => expect(terminal.written().slice(before)).toContain("asking"), 5000);
    await wait.close();
  });
});
