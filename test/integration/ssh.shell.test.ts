/** Terminals over ssh, and login shells that are none of ours. */
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { PassThrough } from "node:stream";
import { afterAll, beforeAll, expect, it, vi } from "vitest";
import type { Terminal } from "../../src/core/host.ts";
import { type OpenHosts, openHosts } from "../../src/core/hosts/open.ts";
import { parseTarget } from "../../src/core/targets.ts";
import { needs, where } from "../servers/engines.ts";
import { type Account, type Sshd, createAccount, startSshd } from "../servers/sshd.ts";

needs("sshd")("a terminal over ssh", () => {
  let server: Sshd;
  let hosts: OpenHosts;
  beforeAll(async () => {
    server = await startSshd();
    const configFile = join(server.dir, "client");
    await writeFile(configFile, `SendEnv LC_AMI*\nSetEnv LC_SET=set\nInclude ${server.configFile}\n`);
    hosts = openHosts({ ssh: { configFile, env: { LC_AMI_A: "sent", LC_OTHER: "not" } } });
  });
  afterAll(async () => {
    await hosts?.close();
    await server?.stop();
  });

  it("has the size asked for and follows it, and gives the exit code", async () => {
    const host = await hosts.open(parseTarget("box"));
    const terminal = fakeTerminal(100, 40);
    const exit = host.shell?.(terminal);
    terminal.stdin.write("stty size; echo shell-$0\n");
    await vi.waitFor(() => expect(terminal.shown()).toMatch(/40 100[^]*shell-/), 10_000);
    terminal.resize(77, 33);
    terminal.stdin.write("stty size; echo $TERM\n");
    await vi.waitFor(() => expect(terminal.shown()).toMatch(/33 77[^]*xterm-ami/), 10_000);
    terminal.stdin.write("exit 5\n");
    expect(await exit).toEqual({ code: 5 });
    expect(terminal.stdout.writableEnded).toBe(false);
    expect(terminal.listeners()).toBe(0);
  });

  it("runs a program with any words in it", async () => {
    const host = await hosts.open(parseTarget("box"));
    for (const words of [
      ["plain", "words"],
      ["it's", "!", "a\\b", "two\nlines", "$HOME", ""],
    ]) {
      const terminal = fakeTerminal();
      const exit = await host.shell?.(terminal, [
        "sh",
        "-c",
        'for w; do printf "<%s>" "$w"; done; test -t 0',
        "sh",
        ...words,
      ]);
      expect(exit).toEqual({ code: 0 });
      expect(terminal.shown().replaceAll("\r\n", "\n")).toBe(words.map((word) => `<${word}>`).join(""));
    }
  });

  it("runs RemoteCommand in place of the login shell, and knows the key of its escapes", async () => {
    const configFile = join(server.dir, "remote-command");
    const lines = ["RemoteCommand echo at %h; exit 6", "EscapeChar ^]", `Include ${server.configFile}`];
    await writeFile(configFile, `${lines.join("\n")}\n`);
    const own = openHosts({ ssh: { configFile, env: {} } });
    const host = await own.open(parseTarget("box"));
    const terminal = fakeTerminal();
    expect(await host.shell?.(terminal)).toEqual({ code: 6 });
    expect(terminal.shown()).toBe(`at ${server.host}\r\n`);
    // A program that was asked for goes first.
    const other = fakeTerminal();
    expect(await host.shell?.(other, ["echo", "asked"])).toEqual({ code: 0 });
    expect(other.shown()).toBe("asked\r\n");
    expect([host.escapeKey, host.as("nobody").escapeKey]).toEqual(["\x1d", "\x1d"]);
    await own.close();
  });

  it("sends what SendEnv and SetEnv name, and nothing else", async () => {
    const host = await hosts.open(parseTarget("box"));
    const { stdout } = await host.exec(["sh", "-c", 'echo "$LC_AMI_A $LC_SET ${LC_OTHER-none}"']);
    expect(stdout.toString()).toBe("sent set none\n");
  });
});

needs(
  "sshd",
  "root",
  "useradd",
)("login shells", () => {
  let server: Sshd;
  const accounts: Account[] = [];
  beforeAll(async () => {
    server = await startSshd();
  });
  afterAll(async () => {
    await server?.stop();
    await Promise.all(accounts.map((account) => account.remove()));
  });

  for (const shell of ["bash", "dash", "zsh", "fish", "tcsh"] as const) {
    needs(shell)(shell, () => {
      it("passes everything on", async () => {
        const account = await createAccount({ shell: where(shell) });
        accounts.push(account);
        const hosts = openHosts({ ssh: { configFile: server.configFile, env: {} } });
        const host = await hosts.open(parseTarget(`${account.name}@box`));
        const words = [
          "it's",
          "a b",
          "$HOME",
          "`id`",
          "!x",
          "a\\nb",
          "two\nlines",
          "",
          "~",
          "*",
          "=cat",
          "#",
          "%s",
          "{a,b}",
          "é",
        ];
        // Without env, cwd and odd characters the words go through the login shell itself.
        const direct = ["a b", "$HOME", "", "~", "*", "=cat", "#", "%s", "{a,b}", "é"];
        expect((await host.exec(["printf", "%s|", ...direct])).stdout.toString()).toBe(
          direct.map((word) => `${word}|`).join(""),
        );
        const { exit, stdout } = await host.exec(
          ["sh", "-c", 'printf "%s|" "$@"; cat; echo "$V$PWD" >&2; exit 9', "sh", ...words],
          {
            stdin: "in",
            env: { V: "it's\n$x" },
            cwd: "/usr",
          },
        );
        expect([exit, stdout.toString()]).toEqual([{ code: 9 }, `${words.map((word) => `${word}|`).join("")}in`]);
        const terminal = fakeTerminal();
        expect(await host.shell?.(terminal, ["sh", "-c", 'printf "<%s>" "$1"; exit 4', "sh", "it's !\\ $x"])).toEqual({
          code: 4,
        });
        expect(terminal.shown()).toBe("<it's !\\ $x>");
        await host.put("small", `${account.home}/small`);
        await host.put(Buffer.alloc(200_000, "x"), `${account.home}/large`);
        expect(Buffer.concat(await (await host.get(`${account.home}/large`)).toArray())).toHaveLength(200_000);
        await hosts.close();
      });
    });
  }
});

interface FakeTerminal extends Terminal {
  readonly stdin: PassThrough;
  readonly stdout: PassThrough;
  shown(): string;
  resize(columns: number, rows: number): void;
  listeners(): number;
}

function fakeTerminal(columns = 80, rows = 24): FakeTerminal {
  const listeners = new Set<(columns: number, rows: number) => void>();
  const stdout = new PassThrough();
  let shown = "";
  stdout.on("data", (bytes: Buffer) => (shown += bytes.toString()));
  return {
    stdin: new PassThrough(),
    stdout,
    columns,
    rows,
    term: "xterm-ami",
    onResize(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    shown: () => shown,
    resize: (newColumns, newRows) => listeners.forEach((listener) => listener(newColumns, newRows)),
    listeners: () => listeners.size,
  };
}
