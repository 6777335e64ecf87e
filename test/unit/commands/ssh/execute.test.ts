import { randomBytes } from "node:crypto";
import { chmod, mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { PassThrough } from "node:stream";
import { text } from "node:stream/consumers";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { command } from "../../../../src/commands/ssh/execute.ts";
import { AmiError } from "../../../../src/core/errors.ts";
import { type TestWish, testContext } from "../context.ts";

let dir = "";
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), "ami-execute-"));
});
afterEach(() => rm(dir, { recursive: true, force: true }));

async function execute(input: Record<string, unknown>, wish: TestWish = {}) {
  const ctx = testContext(wish);
  const result = await command.run(command.input.parse(input), ctx);
  return { ...result, ctx };
}

/** A stdin as a pipe gives it. */
function piped(...pieces: (string | Buffer)[]): NonNullable<TestWish["stdio"]> {
  const stdin = new PassThrough();
  for (const piece of pieces) stdin.write(piece);
  stdin.end();
  return { stdin, stdout: new PassThrough().resume(), stderr: new PassThrough().resume() } as unknown as NonNullable<
    TestWish["stdio"]
  >;
}

describe("what is run", () => {
  it("is a line for the login shell when it is one word", async () => {
    const { ctx } = await execute({ command: ["printf '%s-' a | tr a b; echo \"$((1 + 1))\""] });
    expect(ctx.said().toString()).toBe("b-2\n");
  });

  it("is a program and its words, untouched, when there are several", async () => {
    const words = ["a b", "*", "$HOME", "-n", "'", '"', "\\", "", "ü\n"];
    const { ctx } = await execute({ command: ["printf", "%s|", ...words] });
    expect(ctx.said().toString()).toBe(words.map((word) => `${word}|`).join(""));
  });

  it("has the variables and the folder it was given", async () => {
    const { ctx } = await execute({ command: ['echo "$A" "$PWD"'], env: { A: "a 'b' $c" }, cwd: dir });
    expect(ctx.said().toString()).toBe(`a 'b' $c ${dir}\n`);
  });

  it("cannot have variables that no shell could name", () => {
    expect(command.input.safeParse({ env: { "A B": "c" } }).error?.issues[0]?.message).toBe(
      '"A B" is no name of a variable',
    );
    expect(command.input.safeParse({ env: { A_1: "c=d" } }).success).toBe(true);
  });

  it("must be something", async () => {
    await expect(execute({})).rejects.toMatchObject({
      code: "usage.input",
      hint: expect.stringContaining("ssh connect"),
    });
    await expect(execute({ command: [" "] })).rejects.toMatchObject({ code: "usage.input" });
    await expect(execute({ command: ["ls"], interpreter: "sh" })).rejects.toMatchObject({ code: "usage.input" });
  });

  it("goes on with the further lines as long as all succeed", async () => {
    const { ctx, exit } = await execute({ command: ["echo one"], then: ["echo two; exit 7", "echo three"] });
    expect(ctx.said().toString()).toBe("one\ntwo\n");
    expect(exit).toBe(7);
  });
});

describe("what it says", () => {
  it("arrives byte for byte, both streams apart", async () => {
    const bytes = randomBytes(300_000);
    await writeFile(join(dir, "bytes"), bytes);
    const { ctx } = await execute({ command: ["cat bytes; cat bytes >&2"], cwd: dir });
    expect(ctx.said("stdout").equals(bytes)).toBe(true);
    expect(ctx.said("stderr").equals(bytes)).toBe(true);
  });

  it("is told for each host, between the start and the end of that host", async () => {
    const { ctx } = await execute({ command: ["echo hi"] }, { targets: ["a", "b"] });
    for (const host of ["a", "b"]) {
      const own = ctx.seen.filter((event) => "host" in event && event.host === host).map((event) => event.kind);
      expect(own).toEqual(["host.start", "output", "host.end"]);
    }
    expect(ctx.seen[0]).toMatchObject({ kind: "run.start", title: "echo hi", hosts: ["a", "b"] });
    expect(ctx.seen.at(-1)).toMatchObject({ kind: "run.end", outcome: "changed" });
  });
});

describe("the exit code", () => {
  it.each([
    ["exit 0", 0],
    ["exit 1", 1],
    ["exit 255", 255],
    ["kill -TERM $$", 143],
    ["no-such-program-here", 127],
  ])("of one host is that of the command: %s", async (line, code) => {
    const { exit, output } = await execute({ command: [line] });
    expect(exit).toBe(code);
    expect(output.hosts).toMatchObject([{ host: "local", exit: code }]);
  });

  it("of several is 3 when any failed, and tells which", async () => {
    const { exit, output } = await execute(
      { command: ["exit 5"] },
      { targets: ["a", "b"], open: (target, host) => (target.name === "a" ? host : failing()) },
    );
    expect(exit).toBe(3);
    expect(output.hosts).toMatchObject([
      { host: "a", exit: 5 },
      { host: "b", error: { code: "ssh.connect" } },
    ]);
  });

  it("of several is 4 when none could be reached", async () => {
    const { exit, ctx } = await execute({ command: ["true"] }, { targets: ["a", "b"], open: failing });
    expect(exit).toBe(4);
    expect(ctx.of("host.end").map((event) => event.error?.code)).toEqual(["ssh.connect", "ssh.connect"]);
  });

  it("of one that cannot be reached is that of the error", async () => {
    await expect(execute({ command: ["true"] }, { open: failing })).rejects.toMatchObject({ code: "ssh.connect" });
  });
});

describe("interruption", () => {
  it("ends the command and starts nothing more", async () => {
    const control = new AbortController();
    const mark = join(dir, "pid");
    const running = execute(
      { command: [`echo $$ > ${mark}; echo up; sleep 300`] },
      { targets: ["a", "b"], options: { parallel: 1 }, signal: control.signal, stdio: piped() },
    );
    await until(async () => (await readdir(dir)).includes("pid"));
    control.abort();
    const { exit, output } = await running;
    expect(exit).toBe(130);
    expect(output.hosts.map((host) => host.error?.code)).toEqual(["run.cancelled", "run.cancelled"]);
  });

  it("by the deadline of a host is a failure of that host", async () => {
    const { exit, output } = await execute(
      { command: ["sleep 300"] },
      { targets: ["a", "b"], options: { timeout: 300 } },
    );
    expect(exit).toBe(3);
    expect(output.hosts[0]?.error).toMatchObject({ code: "run.timeout", host: "a" });
  });
});

describe("stdin", () => {
  it("that was read already, as the list of targets, is refused and not taken for an empty one", async () => {
    const stdio = piped("local\n");
    await text(stdio.stdin);
    await expect(execute({ command: ["cat"], stdin: true }, { stdio })).rejects.toMatchObject({
      code: "usage.input",
      message: expect.stringContaining("the list of targets"),
    });
  });

  it("is empty unless asked for", async () => {
    const { ctx } = await execute({ command: ["cat; echo end"] }, { stdio: piped("not this") });
    expect(ctx.said().toString()).toBe("end\n");
  });

  it("is passed on as it is", async () => {
    const bytes = randomBytes(200_000);
    const { ctx } = await execute({ command: ["cat"], stdin: true }, { stdio: piped(bytes) });
    expect(ctx.said().equals(bytes)).toBe(true);
  });

  it("reaches every host whole, also those that start later, and leaves no file", async () => {
    const before = await inputs();
    const bytes = randomBytes(200_000);
    const { ctx } = await execute(
      { command: ["cat"], stdin: true },
      { targets: ["a", "b", "c"], options: { parallel: 1 }, stdio: piped(bytes) },
    );
    for (const host of ["a", "b", "c"]) expect(ctx.said("stdout", host).equals(bytes)).toBe(true);
    expect(await inputs()).toEqual(before);
  });

  it("may be left unread", async () => {
    const { ctx, exit } = await execute(
      { command: ["head -c 3"], stdin: true },
      { stdio: piped(Buffer.alloc(1_000_000, "x")) },
    );
    expect([ctx.said().toString(), exit]).toEqual(["xxx", 0]);
  });

  it("goes to the first of several lines", async () => {
    const { ctx } = await execute({ command: ["cat"], then: ["cat; echo end"], stdin: true }, { stdio: piped("in\n") });
    expect(ctx.said().toString()).toBe("in\nend\n");
  });

  it("can be a file", async () => {
    await writeFile(join(dir, "in"), "from a file");
    const { ctx } = await execute({ command: ["cat"], stdinFile: join(dir, "in") }, { targets: ["a", "b"] });
    expect(ctx.said("stdout", "b").toString()).toBe("from a file");
    await expect(execute({ command: ["cat"], stdinFile: join(dir, "none") })).rejects.toMatchObject({
      code: "usage.input",
    });
    await expect(execute({ command: ["cat"], stdin: true, stdinFile: "x" })).rejects.toMatchObject({
      code: "usage.input",
    });
  });

  const inputs = async (): Promise<string[]> =>
    (await readdir(tmpdir())).filter((name) => name.startsWith("ami-input-"));
});

describe("a script", () => {
  // Others may be testing on this machine.
  const script = async (name: string, text: string): Promise<string> => {
    const file = join(dir, `${basename(dir)}-${name}`);
    await writeFile(file, text);
    return file;
  };
  const left = async (): Promise<string[]> =>
    (await readdir("/tmp")).filter((name) => /^ami-[0-9a-f]{32}\./.test(name) && name.includes(basename(dir)));

  it("runs with the interpreter of its first line, its arguments and stdin, and is taken away", async () => {
    const file = await script(
      "1.sh",
      '#!/bin/sh -u\nprintf "%s|" "$@"; cat; echo " $-" | tr -d a-tv-z; ls -l "$0" | cut -c1-10; exit 4\n',
    );
    const { ctx, exit } = await execute({ script: file, command: ["a b", "--c"], stdin: true }, { stdio: piped("in") });
    expect(ctx.said().toString()).toBe("a b|--c|in u\n-rwx------\n");
    expect(exit).toBe(4);
    expect(await left()).toEqual([]);
  });

  it("runs with sh when it names none, and with what is asked for", async () => {
    const file = await script("2", 'echo "$1"');
    expect((await execute({ script: file, command: ["x"] })).ctx.said().toString()).toBe("x\n");
    expect((await execute({ script: file, interpreter: "cat -n" })).ctx.said().toString()).toMatch(
      /^ +1\s+echo "\$1"$/,
    );
  });

  it("can be a program", async () => {
    const { ctx } = await execute({ script: "/bin/echo", command: ["hi"] });
    expect(ctx.said().toString()).toBe("hi\n");
  });

  it("is taken away when it is interrupted", async () => {
    const control = new AbortController();
    const file = await script("3.sh", `touch ${join(dir, "up")}; sleep 300`);
    const running = execute({ script: file }, { signal: control.signal });
    const failed = expect(running).rejects.toMatchObject({ code: "run.cancelled" });
    await until(async () => (await readdir(dir)).includes("up"));
    expect(await left()).toHaveLength(1);
    control.abort();
    await failed;
    expect(await left()).toEqual([]);
  });

  it("must be readable", async () => {
    await expect(execute({ script: join(dir, "none") })).rejects.toMatchObject({ code: "usage.input" });
    await chmod(dir, 0o700);
  });
});

describe("retries", () => {
  it("repeat a connection that did not come about, and say so", async () => {
    let opened = 0;
    const { ctx, output } = await execute(
      { command: ["echo hi"], retries: 2 },
      { open: (_, host) => (++opened === 1 ? failing() : host) },
    );
    expect(ctx.said().toString()).toBe("hi\n");
    expect(output.hosts).toMatchObject([{ attempts: 2 }]);
    expect(ctx.of("note")).toMatchObject([
      { host: "local", level: "warn", text: expect.stringMatching(/refused; trying again in .* \(1 of 2\)/) },
    ]);
  });

  it("never repeat a command that may have run", async () => {
    let spawned = 0;
    const lost = execute(
      { command: ["echo hi"], retries: 3 },
      {
        open: (_, host) => ({
          ...host,
          spawn: () => {
            spawned++;
            return Promise.reject(new AmiError("ssh.lost", "the connection was lost", { retry: "unknown" }));
          },
        }),
      },
    );
    await expect(lost).rejects.toMatchObject({ code: "ssh.lost" });
    expect(spawned).toBe(1);
  });
});

describe("folded output", () => {
  const env = (odd: string): TestWish => ({
    targets: ["web1", "web2", "web3"],
    open: (target, host) => ({
      ...host,
      spawn: (argv, options) => host.spawn(argv, { ...options, env: { ODD: target.name === odd ? "1" : "" } }),
    }),
  });

  it("tells equal answers once, the commonest first, with the hosts that gave them", async () => {
    const { ctx, exit } = await execute(
      { command: ['[ -z "$ODD" ] && echo same || { echo odd; echo why >&2; exit 3; }'], fold: true },
      env("web2"),
    );
    expect(ctx.of("fold")).toMatchObject([
      { hosts: ["web1", "web3"], exit: 0, stdout: { data: "same\n" }, stderr: { data: "" } },
      { hosts: ["web2"], exit: 3, stdout: { data: "odd\n" }, stderr: { data: "why\n" } },
    ]);
    expect(ctx.of("output")).toEqual([]);
    expect(ctx.seen.map((event) => event.kind).slice(-6)).toEqual([
      "fold",
      "fold",
      "host.end",
      "host.end",
      "host.end",
      "run.end",
    ]);
    expect(exit).toBe(3);
  });

  it("keeps bytes that are no text", async () => {
    const { ctx } = await execute({ command: ["printf '\\377'"], fold: true }, env(""));
    expect(ctx.of("fold")).toMatchObject([{ stdout: { data: "/w==", encoding: "base64" } }]);
  });

  it("is not needed for one host", async () => {
    const { ctx } = await execute({ command: ["echo hi"], fold: true });
    expect(ctx.said().toString()).toBe("hi\n");
    expect(ctx.of("fold")).toEqual([]);
  });
});

function failing(): never {
  throw new AmiError("ssh.connect", "connection refused", { retry: "yes" });
}

/** Waits for something that must come, up to the test's own time. */
async function until(is: () => Promise<boolean>): Promise<void> {
  while (!(await is())) await new Promise((resolve) => setTimeout(resolve, 20));
}
