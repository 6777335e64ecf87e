/** A watched host: judged before, told after, and words of ours are nobody's. On this machine. */
import { PassThrough } from "node:stream";
import { afterEach, describe, expect, it } from "vitest";
import { shellLine } from "../../../../src/core/argv.ts";
import { type Deed, lineWords, meaning, meant } from "../../../../src/core/deed.ts";
import { AmiError } from "../../../../src/core/errors.ts";
import type { Host, Terminal } from "../../../../src/core/host.ts";
import { localHost } from "../../../../src/core/hosts/local.ts";
import { type Watch, watchedHost } from "../../../../src/core/hosts/watched.ts";

const doer = { target: { kind: "local", name: "here", vars: {} }, login: "me" } as const;
const opened: Host[] = [];
afterEach(() => Promise.all(opened.splice(0).map((host) => host.close())));

function watched(base: Partial<Host> = {}, more: Partial<Watch> = {}): { host: Host; told: unknown[] } {
  const told: unknown[] = [];
  const local = localHost();
  opened.push(local);
  const watch: Watch = {
    hasRules: true,
    judge({ as }, deed: Deed) {
      told.push(as === undefined ? deed : { ...deed, as });
      const isForbidden = "argv" in deed && deed.argv?.[0] === "forbidden";
      if (isForbidden) throw new AmiError("policy.denied", "no");
    },
    runs: (_doer, argv) => (end) => told.push({ argv, end }),
    ...more,
  };
  return { host: watchedHost({ ...local, ...base }, doer, watch), told };
}
const terminal: Terminal = {
  stdin: new PassThrough(),
  stdout: new PassThrough(),
  columns: 80,
  rows: 24,
  term: "xterm",
  onResize: () => () => undefined,
};

describe("a watched host", () => {
  it("judges a program before it runs, and tells its end", async () => {
    const { host, told } = watched();
    await host.exec(["sh", "-c", "exit 3"]);
    const running = await host.spawn(shellLine("echo hi"));
    running.stdout.resume();
    await running.exit;
    const [line, plain] = [
      ["sh", "-c", "exit 3"],
      ["echo", "hi"],
    ];
    expect(told).toEqual([
      { does: "run", argv: line },
      { argv: line, end: { exit: { code: 3 } } },
      { does: "run", argv: plain },
      { argv: plain, end: { exit: { code: 0 } } },
    ]);
  });

  it("starts nothing that is forbidden", async () => {
    const { host, told } = watched({ spawn: () => Promise.reject(new Error("it was started")) });
    await expect(host.spawn(["forbidden"])).rejects.toMatchObject({ code: "policy.denied" });
    await expect(host.exec(["forbidden"])).rejects.toMatchObject({ code: "policy.denied" });
    expect(told).toHaveLength(2);
  });

  it("tells what could not be started", async () => {
    const { host, told } = watched();
    await expect(host.spawn(["true"], { cwd: "/no/such/folder" })).rejects.toMatchObject({ code: "host.cwd" });
    expect(told[1]).toMatchObject({ argv: ["true"], end: { error: { code: "host.cwd" } } });
  });

  it("says nothing of programs of ours", async () => {
    const { host, told } = watched();
    await host.exec(meaning(["true"], []));
    expect(told).toEqual([]);
  });

  it("judges whom it becomes, and what is done as them", async () => {
    const { host, told } = watched({ as: () => localHost() });
    await host.as("other").exec(["true"]);
    expect(told.slice(0, 2)).toEqual([
      { does: "become", user: "other", as: "other" },
      { does: "run", argv: ["true"], as: "other" },
    ]);
  });

  it("ends a terminal whose listener breaks", async () => {
    const ends: unknown[] = [];
    const broken = Promise.reject(new AmiError("recording.file", "full"));
    const listens: Watch["listens"] = () => Promise.resolve({ terminal, broken, over: (exit) => ends.push(exit) });
    const { host, told } = watched({ shell: () => new Promise(() => undefined) }, { listens });
    await expect(host.shell?.(terminal)).rejects.toMatchObject({ code: "recording.file" });
    expect(ends).toEqual([undefined]);
    expect(told).toMatchObject([{ does: "terminal" }, { end: { error: { code: "recording.file" } } }]);
  });
});

describe("what a line is judged as", () => {
  it.each([
    ["uptime", ["uptime"]],
    [" df  -h\t/var ", ["df", "-h", "/var"]],
    ["dd if=/dev/zero of=x", ["dd", "if=/dev/zero", "of=x"]],
    ["systemctl restart a@b.service\n", ["systemctl", "restart", "a@b.service"]],
  ])("%j is its words", (line, words) => {
    expect(lineWords(line)).toEqual(words);
  });

  it.each([
    "A=1 b",
    "a; b",
    "a\nb",
    "a\rb",
    "a|b",
    "$x",
    "`x`",
    "ls *",
    "ls ~",
    "a 'b'",
    'a "b"',
    "a > b",
    "a & b",
    "(a)",
    "a # b",
    "a\\ b",
    "a {b,c}",
    "a [b]",
    "!!",
    "=ls",
    "ä",
    "",
  ])("%j is one for a shell", (line) => {
    expect(lineWords(line)).toEqual(["sh", "-c", line]);
  });

  it("is kept beside the argv that runs it", () => {
    expect(meant(shellLine("a | b"))).toEqual(["sh", "-c", "a | b"]);
    expect(meant(["a", "b"])).toEqual(["a", "b"]);
  });
});
