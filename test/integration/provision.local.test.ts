/** The engine on this machine: what a blueprint comes to, through the command's own declaration. */
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { hostname, tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { command } from "../../src/commands/provision.ts";
import type { Context } from "../../src/core/command.ts";
import { AmiError } from "../../src/core/errors.ts";
import { createEvents, type Event } from "../../src/core/events.ts";
import { localHost } from "../../src/core/hosts/local.ts";
import { journalEntry } from "../../src/core/provision/probes/journal.ts";
import { Secret } from "../../src/core/secret.ts";
import { needs } from "../servers/engines.ts";

type Output = Awaited<ReturnType<typeof command.run>>;
interface Ran {
  readonly exit: number;
  readonly host: Output["output"]["hosts"][number];
  readonly events: readonly Event[];
  /** title: outcome, of everything that is not `same`. */
  readonly told: readonly string[];
}

let dir: string;
let homeBefore: string | undefined;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "ami-provision-"));
  homeBefore = process.env["HOME"];
  process.env["HOME"] = join(dir, "home");
  mkdirSync(join(dir, "home"));
});
afterEach(() => {
  process.env["HOME"] = homeBefore;
  rmSync(dir, { recursive: true, force: true });
});

async function provision(
  blueprint: string,
  flags: Record<string, unknown> = {},
  more: Partial<Context> & { vars?: Record<string, unknown> } = {},
): Promise<Ran> {
  const file = join(dir, "bp.yaml");
  writeFileSync(file, blueprint.replaceAll("$D", dir));
  const events = createEvents("test");
  const seen: Event[] = [];
  events.subscribe((event) => seen.push(event));
  const host = localHost();
  const ctx: Context = {
    targets: [{ kind: "local", name: "local", vars: more.vars ?? {} }],
    resolve: async () => Promise.resolve([]),
    hosts: { open: async () => Promise.resolve(host) },
    events,
    settings: { get: () => undefined },
    options: { parallel: 5, json: false, quiet: false, verbose: false, yes: false },
    signal: new AbortController().signal,
    confirm: async (question) => Promise.reject(new AmiError("run.refused", question)),
    ...more,
  };
  try {
    const { output, exit = 0 } = await command.run(command.input.parse({ blueprint: file, ...flags }), ctx);
    const [first] = output.hosts;
    if (first === undefined) throw new Error("no host");
    return {
      exit,
      host: first,
      events: seen,
      told: first.resources.filter((r) => r.outcome !== "same").map((r) => `${r.title}: ${r.outcome}`),
    };
  } finally {
    await host.close();
  }
}

const read = (name: string): string => readFileSync(join(dir, name), "utf8");

describe("provision on this machine", () => {
  it("makes what is missing; the second run changes nothing; --check says what an edit broke; apply repairs it", async () => {
    const blueprint = `
name: t
vars: { port: 8080, sites: [alpha, beta] }
resources:
  - directory: $D/a/b
    mode: "0750"
  - each: "{{ sites }}"
    file: "$D/a/b/{{ item }}.conf"
    content: "listen {{ port }} on {{ host.name }}\\n"
    mode: "0640"
  - line: one
    path: $D/a/lines
  - line: two
    path: $D/a/lines
  - link: $D/a/link
    target: b/alpha.conf
  - command: echo ran >>$D/a/ran
    creates: $D/a/ran
`;
    const first = await provision(blueprint);
    expect(first.exit).toBe(0);
    expect(first.host.counts).toMatchObject({ changed: 7, same: 0, failed: 0 });
    expect(first.host.settled).toBe(true);
    expect(read("a/b/beta.conf")).toBe("listen 8080 on local\n");
    expect(statSync(join(dir, "a/b")).mode & 0o777).toBe(0o750);
    expect(read("a/lines")).toBe("one\ntwo\n");
    const second = await provision(blueprint);
    expect(second.host).toMatchObject({ outcome: "same", counts: { changed: 0, same: 7 }, roundTrips: 1 });
    expect(read("a/ran")).toBe("ran\n");

    writeFileSync(join(dir, "a/b/beta.conf"), "listen 80\n");
    const check = await provision(blueprint, { check: true, diff: true });
    expect(check.exit).toBe(2);
    expect(check.told).toEqual([`file ${dir}/a/b/beta.conf: pending`]);
    expect(check.host.resources.find((r) => r.outcome === "pending")?.diff).toContain(
      "-listen 80\n+listen 8080 on local\n",
    );
    expect(read("a/b/beta.conf")).toBe("listen 80\n");
    const repaired = await provision(blueprint);
    expect(repaired.told).toEqual([`file ${dir}/a/b/beta.conf: changed`]);
    expect(read("a/b/beta.conf")).toBe("listen 8080 on local\n");
  });

  it("handlers run once, at the end, only when something changed", async () => {
    const blueprint = `
name: t
resources:
  - file: $D/x
    content: "1"
    notify: note
  - file: $D/y
    content: "2"
    notify: [note, other]
  - command: cat $D/handled || echo none
handlers:
  other: { command: echo other >>$D/handled }
  note: { command: echo note >>$D/handled }
`;
    const first = await provision(blueprint);
    expect(first.exit).toBe(0);
    expect(read("handled")).toBe("other\nnote\n");
    await provision(blueprint);
    expect(read("handled")).toBe("other\nnote\n");
  });

  it("a handler that was owed runs on the next run, even though nothing changes then", async () => {
    const blueprint = `
name: t
resources:
  - file: $D/x
    content: "1"
    notify: note
  - command: test -e $D/go
    unless: test -e $D/go
handlers:
  note: { command: echo note >>$D/handled }
`;
    const failed = await provision(blueprint);
    expect(failed.exit).toBe(3);
    expect(existsSync(join(dir, "handled"))).toBe(false);
    writeFileSync(join(dir, "go"), "");
    const check = await provision(blueprint, { check: true });
    expect(check.exit).toBe(2);
    expect(check.told).toEqual([`command echo note >>${dir}/handled: pending`]);
    const next = await provision(blueprint);
    expect(next.exit).toBe(0);
    expect(read("handled")).toBe("note\n");
    await provision(blueprint);
    expect(read("handled")).toBe("note\n");
  });

  it("when, register, changed_when: later resources see earlier results in the next stage", async () => {
    const blueprint = `
name: t
resources:
  - command: printf 'v1.2\\n'
    register: version
    changed_when: "false"
  - when: version.stdout contains "v1"
    file: $D/version
    content: "{{ version.stdout | strip }} exit {{ version.exit }}"
  - when: version.stdout contains "v2"
    file: $D/never
    content: no
  - when: host.os == "linux"
    file: $D/linux
    content: "{{ host.user }}"
`;
    const check = await provision(blueprint, { check: true });
    expect(check.exit).toBe(2);
    expect(check.host.resources.map((r) => r.reason ?? "")).toEqual([
      expect.stringContaining("counts as no change"),
      expect.stringContaining("known after stage 1"),
      expect.stringContaining("known after stage 1"),
      "",
    ]);
    const first = await provision(blueprint);
    expect(first.exit).toBe(0);
    expect(first.host.stages).toBe(2);
    expect(read("version")).toBe("v1.2 exit 0");
    expect(existsSync(join(dir, "never"))).toBe(false);
    expect(existsSync(join(dir, "linux"))).toBe(true);
    const second = await provision(blueprint);
    expect(second.host.counts).toMatchObject({ changed: 0, failed: 0 });
  });

  it("a failing step stops the host, keeps its words, and leaves nothing of what comes after", async () => {
    const ran = await provision(`
name: t
resources:
  - command: "echo some out; echo the reason >&2; exit 9"
  - file: $D/after
    content: x
`);
    expect(ran.exit).toBe(3);
    const failed = ran.host.resources.find((r) => r.outcome === "failed");
    expect(failed).toMatchObject({ stdout: "some out\n", stderr: "the reason\n" });
    expect(failed?.error?.message).toContain("exit code 9: the reason");
    expect(existsSync(join(dir, "after"))).toBe(false);
    expect(ran.host.error?.message).toContain("the reason");
  });

  it("ignore_errors goes on, retries tries again, timeout ends it", async () => {
    const ran = await provision(`
name: t
resources:
  - command: "false"
    ignore_errors: true
  - command: "echo x >>$D/tries; test $(wc -l <$D/tries) -ge 3"
    retries: 3
  - command: sleep 30
    timeout: 1
`);
    expect(ran.exit).toBe(3);
    expect(read("tries")).toBe("x\nx\nx\n");
    expect(ran.host.resources.map((r) => r.outcome)).toEqual(["failed", "changed", "failed"]);
    expect(ran.host.resources[2]?.error?.message).toContain("timed out after 1 s");
  });

  it("a missing parent is refused before anything is applied", async () => {
    const ran = await provision(`
name: t
resources:
  - file: $D/first
    content: x
  - file: $D/no/such/x
    content: x
`);
    expect(ran.exit).toBe(3);
    expect(ran.host.error?.message).toContain("its parent");
    expect(ran.host.error?.hint).toContain(`- directory: ${dir}/no/such`);
    expect(existsSync(join(dir, "first"))).toBe(false);
  });

  it("a parent that an earlier command makes is found in the next stage", async () => {
    const blueprint = `
name: t
resources:
  - command: mkdir -p $D/made/deep
    creates: $D/made/deep
  - file: $D/made/deep/x
    content: x
`;
    const ran = await provision(blueprint);
    expect(ran).toMatchObject({ exit: 0, host: { stages: 2 } });
    expect((await provision(blueprint)).host.outcome).toBe("same");
  });

  it("loss is asked about, refused without an answer, and done with one", async () => {
    mkdirSync(join(dir, "full/sub"), { recursive: true });
    const blueprint = `
name: t
resources:
  - file: $D/x
    content: x
  - directory: $D/full
    state: absent
`;
    const refused = await provision(blueprint);
    expect(refused.exit).toBe(1);
    expect(existsSync(join(dir, "full/sub"))).toBe(true);
    expect(existsSync(join(dir, "x"))).toBe(false);
    const asked: string[] = [];
    const done = await provision(blueprint, {}, { confirm: async (question) => void asked.push(question) });
    expect(asked).toEqual([`local: remove ${dir}/full and everything in it`]);
    expect(done.exit).toBe(0);
    expect(existsSync(join(dir, "full"))).toBe(false);
  });

  it("a body too large for a program travels beside it", async () => {
    const big = "0123456789abcde\n".repeat(40_000);
    writeFileSync(join(dir, "big.txt"), big);
    const bytes = Buffer.from(Array.from({ length: 300_000 }, (_, i) => (i * 31) % 256));
    writeFileSync(join(dir, "big.bin"), bytes);
    const blueprint = `
name: t
resources:
  - directory: $D/to
  - file: $D/to/big.txt
    source: big.txt
    mode: "0600"
  - file: $D/to/big.bin
    source: big.bin
  - file: $D/to/small
    content: s
`;
    const ran = await provision(blueprint);
    expect(ran.exit).toBe(0);
    expect(readFileSync(join(dir, "to/big.bin")).equals(bytes)).toBe(true);
    expect(read("to/big.txt")).toBe(big);
    expect(statSync(join(dir, "to/big.txt")).mode & 0o777).toBe(0o600);
    expect(readdirSync(join(dir, "to")).sort()).toEqual(["big.bin", "big.txt", "small"]);
    expect((await provision(blueprint)).host.outcome).toBe("same");
  });

  it("secrets are in the file and nowhere else", async () => {
    const blueprint = `
name: t
vars: { password: "{{ given }}" }
resources:
  - file: $D/secret
    content: "pw={{ given }}\\n"
  - command: "cat $D/secret; base64 <$D/secret; false"
    ignore_errors: true
`;
    const ran = await provision(
      blueprint.replace(`vars: { password: "{{ given }}" }\n`, ""),
      { diff: true },
      { vars: { given: new Secret("hunter2-secret") } },
    );
    expect(read("secret")).toBe("pw=hunter2-secret\n");
    expect(ran.host.resources[1]?.stdout).toContain("pw=••••••");
    expect(JSON.stringify(ran.events)).not.toContain("hunter2-secret");
    expect(JSON.stringify(ran.host)).not.toContain("hunter2");
  });

  it("resources that undo each other are said not to settle", async () => {
    const ran = await provision(`
name: t
resources:
  - file: $D/x
    content: "a\\n"
  - command: echo b >>$D/x
    creates: $D/y
`);
    expect(ran.host.settled).toBe(false);
    expect(ran.exit).toBe(3);
    expect(ran.events.find((e) => e.kind === "note" && e.level === "warn")).toMatchObject({
      text: expect.stringContaining(`did not settle`),
    });
  });

  it("another run's lock is respected, and told whose it is", async () => {
    const blueprint = `
name: slow
resources:
  - command: "touch $D/begun; while ! test -e $D/go; do sleep 0.1; done"
    timeout: 60
`;
    const slow = provision(blueprint);
    await until(() => existsSync(join(dir, "begun")));
    writeFileSync(join(dir, "big"), "0123456789abcde\n".repeat(40_000));
    const refused = await provision(`
name: other
resources:
  - file: $D/big.copy
    source: big
`);
    expect(readdirSync(dir).filter((name) => name.includes("big.copy"))).toEqual([]);
    writeFileSync(join(dir, "go"), "");
    expect(refused.exit).toBe(3);
    expect(refused.host.error).toMatchObject({ code: "apply.locked" });
    expect(refused.host.error?.message).toContain("blueprint slow");
    const first = await slow;
    expect(first.host.error).toBeUndefined();
    expect((await provision(blueprint)).host.error).toBeUndefined();
  });

  it.each(["", "timeout: 60"])("Ctrl-C ends what runs and gives the lock back %s", async (limit) => {
    const stop = new AbortController();
    const blueprint = `
name: t
resources:
  - file: $D/x
    content: x
  - command: "echo $$ >$D/pid; sleep 60"
    ${limit}
`;
    const running = provision(blueprint, {}, { signal: stop.signal });
    await until(() => existsSync(join(dir, "pid")));
    stop.abort();
    const ran = await running;
    expect(ran.exit).toBe(130);
    await until(() => !readdirSync("/proc").some((pid) => /^\d+$/.test(pid) && sleeps(pid)));
    expect((await provision(blueprint.replace("sleep 60", "true"))).exit).toBe(0);
  });

  it("a handler that needs an earlier handler waits for it, and both run", async () => {
    const blueprint = `
name: t
resources:
  - file: $D/a
    content: x
    notify: [first, second]
handlers:
  first: { command: mkdir -p $D/made }
  second: { file: $D/made/x, content: y }
`;
    const ran = await provision(blueprint);
    expect(ran).toMatchObject({ exit: 0, host: { counts: { changed: 3 }, settled: true } });
    expect(read("made/x")).toBe("y");
  });

  it("a journal that cannot be written is told: nothing hangs, nothing is changed, the lock is free", async () => {
    const long = "h".repeat(130);
    const blueprint = `
name: t
resources:
  - file: $D/x
    content: x
    notify: ${long}
handlers:
  ${long}: { command: touch $D/handled }
`;
    expect((await provision(blueprint)).exit).toBe(0);
    expect(existsSync(join(dir, "handled"))).toBe(true);
    writeFileSync(join(dir, "x"), "other");
    // Root may write everywhere: a directory has the name of the journal's file.
    const state = join(dir, "home/.ami-node", hostname());
    mkdirSync(join(state, "journal", journalEntry("t", long).file));
    const ran = await provision(blueprint);
    expect(ran.exit).toBe(3);
    expect(read("x")).toBe("other");
    rmSync(join(state, "journal"), { recursive: true });
    expect((await provision(blueprint)).exit).toBe(0);
  });

  it("a directory gets its mode although another made it as a parent", async () => {
    const blueprint = `
name: t
resources:
  - directory: $D/p/q
  - directory: $D/p
    mode: "0700"
`;
    expect(await provision(blueprint)).toMatchObject({ exit: 0, host: { settled: true } });
    expect(statSync(join(dir, "p")).mode & 0o777).toBe(0o700);
  });

  it("a file takes the place of a link to a directory; without content the link is refused", async () => {
    mkdirSync(join(dir, "real"));
    symlinkSync("real", join(dir, "lnk"));
    symlinkSync("real", join(dir, "other"));
    const blueprint = "name: t\nresources:\n  - file: $D/lnk\n    content: x\n";
    expect(await provision(blueprint)).toMatchObject({ exit: 0, host: { settled: true } });
    expect(read("lnk")).toBe("x");
    expect(readdirSync(join(dir, "real"))).toEqual([]);
    const refused = await provision('name: t\nresources:\n  - file: $D/other\n    mode: "0600"\n');
    expect(refused.host.error?.message).toContain("it is a link -> real");
  });

  it("check and apply agree about guards and about what counts as no change", async () => {
    const blueprint = `
name: t
resources:
  - file: $D/stamp
    content: x
  - command: touch $D/ran1
    creates: $D/stamp
  - command: touch $D/ran2
    unless: test -e $D/stamp
  - command: touch $D/ran3
    creates: $D/stamp3
    unless: test -e $D/never
  - command: "true"
    changed_when: "false"
`;
    const check = await provision(blueprint, { check: true });
    expect(check.host.resources.map((r) => r.outcome)).toEqual(["pending", "same", "pending", "pending", "skipped"]);
    expect(check.host.resources[2]?.reason).toContain("known after stage 1");
    const ran = await provision(blueprint.replace("$D/stamp3", "$D/ran3"));
    expect(ran.host.resources.map((r) => r.outcome)).toEqual(["changed", "same", "same", "changed", "same"]);
    expect(await provision(blueprint.replace("$D/stamp3", "$D/ran3"), { check: true })).toMatchObject({ exit: 0 });
  });

  it("ignore_errors covers what cannot be planned", async () => {
    const ran = await provision(`
name: t
resources:
  - file: $D/no/such/x
    content: x
    ignore_errors: true
  - file: $D/y
    content: y
`);
    expect(ran.exit).toBe(0);
    expect(ran.told).toEqual([`file ${dir}/no/such/x: failed`, `file ${dir}/y: changed`]);
  });

  it("a changed_when that cannot be evaluated fails its resource and stops the host in order", async () => {
    const blueprint = `
name: t
resources:
  - file: $D/x
    content: x
  - command: echo true
    changed_when: stdout | strip
  - command: "sleep 60; touch $D/after"
`;
    const ran = await provision(blueprint);
    expect(ran.exit).toBe(3);
    expect(ran.host.error).toMatchObject({ code: "apply.failed" });
    expect(ran.host.error?.message).toContain("changed_when");
    expect(ran.told.slice(0, 2)).toEqual([`file ${dir}/x: changed`, "command echo true: failed"]);
    expect(existsSync(join(dir, "after"))).toBe(false);
    const ignored = await provision(
      blueprint.replace("    changed_when", "    ignore_errors: true\n    changed_when").replace("sleep 60; ", ""),
    );
    expect(ignored.exit).toBe(0);
    expect(existsSync(join(dir, "after"))).toBe(true);
  });

  it("what would lie in a directory that goes is refused before anything is lost", async () => {
    mkdirSync(join(dir, "old"));
    writeFileSync(join(dir, "old/kept"), "");
    const ran = await provision(
      `
name: t
resources:
  - directory: $D/old
    state: absent
  - file: $D/old/new
    content: x
`,
      {},
      { confirm: async () => Promise.resolve() },
    );
    expect(ran.host.error?.message).toContain("is removed by an earlier resource");
    expect(existsSync(join(dir, "old/kept"))).toBe(true);
  });

  it("lines have a diff, each on top of the one before", async () => {
    writeFileSync(join(dir, "l"), "one\ntwo\n");
    const check = await provision(
      `
name: t
resources:
  - line: three
    path: $D/l
  - line: one
    path: $D/l
    state: absent
`,
      { check: true, diff: true },
    );
    expect(check.host.resources.map((r) => r.diff?.split("\n").filter((l) => /^[-+ ]\w/.test(l)))).toEqual([
      [" one", " two", "+three"],
      ["-one", " two", " three"],
    ]);
  });

  it("of very long output only the end is kept, and that is said", async () => {
    const ran = await provision("name: t\nresources:\n  - command: yes | head -c 1500000\n");
    expect(ran.host.resources[0]?.stdout).toHaveLength(1048576);
    expect(ran.events.find((e) => e.kind === "note")).toMatchObject({ text: expect.stringContaining("1500000 bytes") });
  });

  it("the group of a file stays when its content changes", async () => {
    writeFileSync(join(dir, "g"), "old");
    const gid = process.getuid?.() === 0 ? 4242 : (process.getgid?.() ?? 0);
    chownSync(join(dir, "g"), process.getuid?.() ?? 0, gid);
    await provision("name: t\nresources:\n  - file: $D/g\n    content: new\n");
    expect(read("g")).toBe("new");
    expect(statSync(join(dir, "g")).gid).toBe(gid);
  });
});

needs("root", "sudo")("provision as another user", () => {
  it("what that user may not see is refused, not taken for absent", async () => {
    const ran = await provision(`
name: t
resources:
  - file: $D/x
    content: y
    become: nobody
`);
    expect(ran.exit).toBe(3);
    expect(ran.host.error?.message).toContain(`${dir}/x cannot be looked at`);
    expect(existsSync(join(dir, "x"))).toBe(false);
  });

  it("resources of several users take turns, each with a shell of its own", async () => {
    const home = join(dir, "nobody");
    mkdirSync(home);
    chmodSync(dir, 0o755);
    chmodSync(home, 0o777);
    const ran = await provision(`
name: t
resources:
  - file: $D/nobody/root
    content: "{{ host.user }}"
  - command: id -un >$D/nobody/theirs
    become: nobody
    creates: $D/nobody/theirs
  - file: $D/nobody/root2
    content: x
`);
    // nobody has no home to keep a lock in: said, and nothing is done as nobody.
    expect(ran.host.error?.message).toContain("home directory cannot be written");
    expect(existsSync(join(home, "theirs"))).toBe(false);
  });
});

/** Our own `sleep 60`, told apart by its home. */
function sleeps(pid: string): boolean {
  try {
    return (
      readFileSync(`/proc/${pid}/cmdline`, "utf8") === "sleep\x0060\0" &&
      readFileSync(`/proc/${pid}/environ`, "utf8").includes(dir)
    );
  } catch {
    return false;
  }
}

async function until(holds: () => boolean): Promise<void> {
  for (let i = 0; i < 500; i++) {
    if (holds()) return;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  throw new Error("it did not come about in 10 s");
}
