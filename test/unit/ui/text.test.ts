import { describe, expect, it } from "vitest";
import type { EventBody, Outcome } from "../../../src/core/events.ts";
import { noCounts } from "../../../src/core/events.ts";
import { openText } from "../../../src/ui/text.ts";
import { paper, tell } from "./streams.ts";

const step = (host: string, index: number, title: string, outcome: Outcome, more: object = {}): EventBody => ({
  kind: "step.end",
  host,
  step: title,
  title,
  index,
  total: 3,
  ms: 5,
  outcome,
  ...more,
});

const start = (...hosts: string[]): EventBody => ({ kind: "run.start", title: "provision web", hosts });
const out = (host: string, data: string, stream: "stdout" | "stderr" = "stdout"): EventBody => ({
  kind: "output",
  host,
  stream,
  data,
});

function draw(story: readonly EventBody[], look: { quiet?: boolean; verbose?: boolean } = {}) {
  const sheet = paper();
  const text = openText({ write: sheet.write, quiet: false, verbose: false, ...look });
  tell(text.listener, story);
  return { stdout: sheet.stdout(), stderr: sheet.stderr(), text };
}

describe("steps", () => {
  const story = [
    start("web1"),
    step("web1", 1, "directory /srv", "same"),
    step("web1", 2, "file /etc/x", "changed", { changes: ["content", "mode 0600 -> 0644"] }),
    step("web1", 3, "command x", "skipped", { reason: "when is false" }),
  ];

  it("are lines; silence means already so", () => {
    expect(draw(story)).toMatchObject({
      stdout: "[web1] 2/3 file /etc/x: changed (content; mode 0600 -> 0644)\n",
      stderr: "",
    });
  });

  it("are all there with --verbose", () => {
    expect(draw(story, { verbose: true }).stdout).toBe(
      "[web1] 1/3 directory /srv: same\n" +
        "[web1] 2/3 file /etc/x: changed (content; mode 0600 -> 0644)\n" +
        "[web1] 3/3 command x: skipped (when is false)\n",
    );
  });

  it("are not there with --quiet, unless they fail", () => {
    const error = { code: "apply.failed", message: "exit code 1", retry: "no" } as const;
    const failed = step("web1", 3, "command y", "failed", { error, stdout: "half\n", stderr: "bad\nworse\n" });
    expect(draw([...story, failed], { quiet: true })).toMatchObject({
      stdout: "[web1] 3/3 command y: failed\n    half\n",
      stderr: "error: web1: exit code 1\n    bad\n    worse\n",
    });
  });

  it("show how texts change", () => {
    const diff = "--- /x\n+++ /x\n@@ -1 +1 @@\n-a\n+b\n";
    expect(draw([start("web1"), step("web1", 1, "file /x", "pending", { diff })]).stdout).toBe(
      `[web1] 1/3 file /x: pending\n${diff}`,
    );
  });

  it("show what their program said when asked", () => {
    const ran = step("web1", 1, "command x", "changed", { stdout: "fine\n", stderr: "hm\n" });
    expect(draw([start("web1"), ran])).toMatchObject({ stdout: "[web1] 1/3 command x: changed\n", stderr: "" });
    expect(draw([start("web1"), ran], { verbose: true })).toMatchObject({
      stdout: "[web1] 1/3 command x: changed\n    fine\n",
      stderr: "    hm\n",
    });
  });
});

describe("output of programs", () => {
  it("of one host is passed on as it comes, each stream to its own", () => {
    const bytes = Buffer.from([0xff, 0x00, 0x0a]).toString("base64");
    const { stdout, stderr } = draw([
      start("web1"),
      out("web1", "no newline"),
      out("web1", "!\r\n"),
      out("web1", "err\n", "stderr"),
      { kind: "output", host: "web1", stream: "stdout", data: bytes, encoding: "base64" },
    ]);
    expect(stdout).toBe(`no newline!\r\n${Buffer.from([0xff, 0x00, 0x0a]).toString()}`);
    expect(stderr).toBe("err\n");
  });

  it("of many hosts is prefixed line by line, and no line is torn", () => {
    const { stdout, stderr } = draw([
      start("web1", "web2"),
      out("web1", "one\ntw"),
      out("web2", "eins\n"),
      out("web1", "o\n\nlast"),
      out("web2", "x", "stderr"),
      { kind: "host.end", host: "web1", outcome: "changed", ms: 1 },
      out("web2", "zwei\n"),
      { kind: "host.end", host: "web2", outcome: "changed", ms: 1 },
    ]);
    expect(stdout).toBe("[web1] one\n[web2] eins\n[web1] two\n[web1] \n[web1] last\n[web2] zwei\n");
    expect(stderr).toBe("[web2] x\n");
  });

  it("is not silenced by --quiet", () => {
    expect(draw([start("web1"), out("web1", "data\n")], { quiet: true }).stdout).toBe("data\n");
  });

  it("without a run is prefixed when several targets are expected", () => {
    const sheet = paper();
    const text = openText({ write: sheet.write, quiet: false, verbose: false });
    text.expect(2);
    tell(text.listener, [out("web1", "a\n"), { kind: "result", exit: 0 }]);
    expect(sheet.stdout()).toBe("[web1] a\n");
  });
});

describe("conversation", () => {
  it("goes to stderr: warnings always, the rest unless --quiet", () => {
    const notes: EventBody[] = [
      { kind: "note", level: "info", text: "key written" },
      { kind: "note", host: "web1", level: "warn", text: "old key" },
    ];
    expect(draw(notes)).toMatchObject({ stdout: "", stderr: "key written\nwarning: web1: old key\n" });
    expect(draw(notes, { quiet: true }).stderr).toBe("warning: web1: old key\n");
  });

  const refused = { code: "ssh.connect", message: "refused", hint: "is sshd running?", retry: "yes" } as const;

  it("names the host of an error, its hint, and says it once", () => {
    const { stderr, text } = draw([
      start("web1", "web2"),
      step("web1", 1, "x", "failed", { error: refused }),
      { kind: "host.end", host: "web1", outcome: "failed", ms: 1, error: refused },
      { kind: "host.end", host: "web2", outcome: "failed", ms: 1, error: refused },
    ]);
    expect(stderr).toBe(
      "error: web1: refused\n  hint: is sshd running?\nerror: web2: refused\n  hint: is sshd running?\n",
    );
    expect(text.hasTold({ ...refused, host: "web1" })).toBe(true);
    expect(text.hasTold({ ...refused, message: "other" })).toBe(false);
  });

  it("tells exit codes of several hosts, and leaves that of one to the exit code", () => {
    const end = (host: string, exit: number): EventBody => ({ kind: "host.end", host, outcome: "failed", ms: 1, exit });
    expect(draw([start("web1", "web2"), end("web1", 0), end("web2", 7)]).stderr).toBe("[web2] exit 7\n");
    expect(draw([start("web1"), end("web1", 7)]).stderr).toBe("");
  });

  it("does not repeat an interruption for each host", () => {
    const error = { code: "run.cancelled", message: "interrupted", retry: "no" } as const;
    const { stderr, text } = draw([
      start("a", "b"),
      { kind: "host.end", host: "a", outcome: "cancelled", ms: 1, error },
    ]);
    expect(stderr).toBe("");
    expect(text.hasTold(error)).toBe(false);
  });
});

describe("the end of a run", () => {
  const ends: EventBody[] = [
    { kind: "host.end", host: "web2", outcome: "changed", ms: 1500, counts: { ...noCounts(), changed: 2, same: 10 } },
    { kind: "host.end", host: "web1", outcome: "same", ms: 80, counts: { ...noCounts(), same: 12 } },
    {
      kind: "host.end",
      host: "db",
      outcome: "failed",
      ms: 61_000,
      counts: { ...noCounts(), failed: 1, skipped: 3 },
      error: { code: "apply.failed", message: "exit code 1", retry: "no" },
    },
    {
      kind: "host.end",
      host: "far",
      outcome: "failed",
      ms: 15_000,
      error: { code: "ssh.connect", message: "no route", retry: "yes" },
    },
  ];

  it("is a table in the order of the targets", () => {
    const { stdout } = draw([
      start("web1", "web2", "db", "far"),
      ...ends,
      { kind: "run.end", outcome: "failed", ms: 61_000 },
    ]);
    expect(stdout).toBe(
      [
        "host  changed  same  failed  skipped    time  error",
        "web1        0    12       0        0   80 ms",
        "web2        2    10       0        0   1.5 s",
        "db          0     0       1        3  1m 01s  apply.failed",
        "far         -     -       -        -  15.0 s  ssh.connect",
        "",
      ].join("\n"),
    );
  });

  it("is nothing with --quiet, nor when nothing was counted", () => {
    const end: EventBody = { kind: "run.end", outcome: "changed", ms: 1 };
    expect(draw([start("web1"), ...ends.slice(0, 2), end], { quiet: true }).stdout).toBe("");
    expect(draw([start("web1"), { kind: "host.end", host: "web1", outcome: "changed", ms: 1 }, end]).stdout).toBe("");
  });
});

it("beside a drawing only what it has no room for is printed", () => {
  const sheet = paper();
  let drawn = true;
  const text = openText({ write: sheet.write, quiet: false, verbose: false, isDrawn: () => drawn });
  const diff = "-a\n+b\n";
  tell(text.listener, [
    start("web1"),
    step("web1", 1, "file /x", "changed"),
    step("web1", 2, "file /y", "changed", { diff }),
  ]);
  expect(sheet.stdout()).toBe(`[web1] 2/3 file /y: changed\n${diff}`);
  drawn = false;
  tell(text.listener, [step("web1", 3, "file /z", "changed"), { kind: "run.end", outcome: "changed", ms: 1 }]);
  expect(sheet.stdout()).toBe(`[web1] 2/3 file /y: changed\n${diff}[web1] 3/3 file /z: changed\n`);
});
