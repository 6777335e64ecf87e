import { PassThrough } from "node:stream";
import { describe, expect, it } from "vitest";
import { command } from "../../../../src/commands/ssh/connect.ts";
import { AmiError } from "../../../../src/core/errors.ts";
import type { Exit, Host } from "../../../../src/core/host.ts";
import { type TestWish, testContext } from "../context.ts";

/** A terminal without a screen: what is typed goes in, what is shown comes out, and who may edit lines is known. */
function terminal() {
  const stdin = new PassThrough();
  const stdout = new PassThrough();
  let shown = "";
  stdout.on("data", (bytes: Buffer) => (shown += bytes.toString()));
  const raw: boolean[] = [];
  return {
    raw,
    shown: () => shown,
    type: (text: string) => stdin.write(text),
    terminal: {
      stdin,
      stdout,
      columns: 80,
      rows: 24,
      term: "xterm",
      onResize: () => () => undefined,
      setRaw: (is: boolean) => void raw.push(is),
    },
  };
}

type Shell = NonNullable<Host["shell"]>;
const withShell =
  (shell: Shell): TestWish["open"] =>
  (_, host) => ({ ...host, shell });

describe("ssh connect", () => {
  it("needs a terminal, and room for one target only", async () => {
    await expect(command.run({ recordInput: false }, testContext())).rejects.toMatchObject({
      code: "usage.input",
      hint: expect.stringContaining("ssh execute"),
    });
    await expect(
      command.run({ recordInput: false }, testContext({ targets: ["a", "b"], terminal: terminal().terminal })),
    ).rejects.toMatchObject({ code: "usage.target" });
  });

  it("needs a host that has terminals", async () => {
    const open: TestWish["open"] = (_, { shell: _shell, ...host }) => host;
    await expect(
      command.run({ recordInput: false }, testContext({ terminal: terminal().terminal, open })),
    ).rejects.toMatchObject({
      code: "host.unsupported",
    });
  });

  it("passes keys and screen, takes the exit code over and gives the terminal back", async () => {
    const t = terminal();
    const open = withShell(async ({ stdin, stdout, columns, rows, term }): Promise<Exit> => {
      stdout.write(`${columns}x${rows} ${term}\n`);
      for await (const keys of stdin) {
        stdout.write(`[${String(keys)}]`);
        break;
      }
      return { signal: "HUP" };
    });
    const running = command.run({ recordInput: false }, testContext({ terminal: t.terminal, open }));
    t.type("k~.");
    expect(await running).toEqual({ output: { host: "local", exit: 129 }, exit: 129 });
    expect(t.shown()).toBe("80x24 xterm\n[k~.]");
    expect(t.raw).toEqual([true, false]);
    expect(t.terminal.stdin.listenerCount("data")).toBe(0);
  });

  it("runs one line instead of the login shell", async () => {
    let words: readonly string[] = [];
    const open = withShell((_, argv) => {
      words = argv ?? [];
      return Promise.resolve({ code: 0 });
    });
    await command.run({ run: "top -d 1", recordInput: false }, testContext({ terminal: terminal().terminal, open }));
    expect(words.at(-1)).toBe("top -d 1");
  });

  it.each<[string, (t: ReturnType<typeof terminal>, control: AbortController) => void, string | undefined]>([
    ["~.", (t) => void t.type("~."), undefined],
    ["a signal", (_, control) => control.abort(), "run.cancelled"],
  ])("gives the terminal back at once on %s, and undoes what a program did to it", async (_, leave, code) => {
    const t = terminal();
    const control = new AbortController();
    const open = withShell(({ stdout }) => {
      stdout.write("\x1b[?1049h\x1b[?25l");
      setImmediate(() => leave(t, control));
      return new Promise(() => {});
    });
    const running = command.run(
      { recordInput: false },
      testContext({ terminal: t.terminal, open, signal: control.signal }),
    );
    if (code === undefined) expect(await running).toEqual({ output: { host: "local" }, exit: 130 });
    else await expect(running).rejects.toMatchObject({ code });
    expect(t.raw).toEqual([true, false]);
    expect(t.shown()).toContain("\x1b[?1049l\x1b[?25h");
  });

  it("gives it back when the connection is lost", async () => {
    const t = terminal();
    const open = withShell(() => Promise.reject(new AmiError("ssh.lost", "gone")));
    await expect(
      command.run({ recordInput: false }, testContext({ terminal: t.terminal, open })),
    ).rejects.toMatchObject({
      code: "ssh.lost",
    });
    expect(t.raw).toEqual([true, false]);
  });
});
