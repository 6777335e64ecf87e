/** The sh dialect under every shell and userland we promise: dash, bash, busybox ash with busybox tools only. */
import { spawn, spawnSync, type ChildProcessWithoutNullStreams } from "node:child_process";
import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  readlinkSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import {
  applyProgram,
  attachProgram,
  largestBody,
  observeProgram,
  type CompiledChange,
} from "../../src/core/provision/dialects/sh.ts";
import { createFrames, type Frame } from "../../src/core/provision/frames.ts";
import { probe as content } from "../../src/core/provision/probes/content.ts";
import { probe as journal, journalName } from "../../src/core/provision/probes/journal.ts";
import { probe as line } from "../../src/core/provision/probes/line.ts";
import { probe as sha256 } from "../../src/core/provision/probes/sha256.ts";
import { probe as stat } from "../../src/core/provision/probes/stat.ts";
import { readOs } from "../../src/core/provision/os.ts";
import type { Step } from "../../src/core/resource.ts";
import { type Engine, needs } from "../servers/engines.ts";

interface Shell {
  readonly name: string;
  readonly engine: Engine;
  readonly argv: readonly string[];
  /** Only these programs are found. */
  readonly path?: () => string;
}

const shells: readonly Shell[] = [
  { name: "dash", engine: "dash", argv: ["dash"] },
  { name: "bash", engine: "bash", argv: ["bash", "--norc"] },
  { name: "busybox ash", engine: "busybox", argv: ["busybox", "ash"], path: busyboxOnly },
];

let box: string | undefined;
/** A folder with busybox's applets and nothing else. */
function busyboxOnly(): string {
  if (box === undefined) {
    box = mkdtempSync(join(tmpdir(), "ami-busybox-"));
    const busybox = spawnSync("sh", ["-c", "command -v busybox"], { encoding: "utf8" }).stdout.trim();
    for (const applet of spawnSync(busybox, ["--list"], { encoding: "utf8" }).stdout.split("\n"))
      if (applet !== "") symlinkSync(busybox, join(box, applet));
  }
  return box;
}

for (const shell of shells) {
  needs(shell.engine)(`sh dialect under ${shell.name}`, () => {
    let dir: string;
    let home: string;
    let state: string;
    beforeEach(() => {
      dir = mkdtempSync(join(tmpdir(), "ami-dialect-"));
      home = join(dir, "home");
      mkdirSync(home);
      state = join(home, ".ami-node", spawnSync("uname", ["-n"], { encoding: "utf8" }).stdout.trim());
    });
    afterEach(() => rmSync(dir, { recursive: true, force: true }));

    const nonce = "0123456789abcdef01";
    const start = (): ChildProcessWithoutNullStreams =>
      spawn(shell.argv[0] ?? "sh", shell.argv.slice(1), {
        env: { HOME: home, PATH: shell.path?.() ?? process.env["PATH"] ?? "" },
        detached: true,
        stdio: "pipe",
      });

    /** Sends programs one after the other to one shell; frames of all. */
    async function run(...programs: string[]): Promise<Frame[]> {
      const child = start();
      const frames: Frame[] = [];
      const parser = createFrames(nonce);
      let next = 0;
      const send = (): void => {
        const program = programs[next++];
        if (program === undefined) child.stdin.end();
        else child.stdin.write(program);
      };
      child.stdout.on("data", (chunk: Buffer) => {
        for (const frame of parser.push(chunk)) {
          frames.push(frame);
          if (
            ["done", "locked", "stopped", "broken"].includes(frame.word) ||
            (frame.word === "end" && frame.args.length === 0)
          )
            send();
        }
      });
      let stderr = "";
      child.stderr.on("data", (chunk: Buffer) => (stderr += chunk.toString()));
      const over = new Promise((resolve) => child.on("close", resolve));
      send();
      await over;
      expect(stderr).toBe("");
      return frames;
    }

    const change = (index: number, steps: Step[], more: Partial<CompiledChange> = {}): CompiledChange => ({
      index,
      steps,
      journal: [],
      clear: [],
      ignoreErrors: false,
      retries: 0,
      timeout: undefined,
      ...more,
    });
    const apply = (changes: CompiledChange[], more: { run?: string; last?: boolean } = {}): string =>
      applyProgram({ nonce, run: more.run ?? "run1", who: "tester", changes, last: more.last ?? true });
    const ends = (frames: Frame[]): string[] =>
      frames.filter((f) => f.word === "end" && f.args.length > 0).map((f) => f.args.join(" "));
    const section = (frames: Frame[], word: string): Buffer =>
      frames.find((f) => f.word === word)?.body ?? Buffer.alloc(0);

    it("answers stat for every kind of path", async () => {
      const d = join(dir, "t");
      mkdirSync(join(d, "sticky"), { recursive: true });
      chmodSync(join(d, "sticky"), 0o1777);
      writeFileSync(join(d, 'it\'s a "file"'), "12345", { mode: 0o640 });
      symlinkSync("nowhere/at all", join(d, "dangling"));
      symlinkSync("sticky", join(d, "todir"));
      writeFileSync(join(d, "-dash\\back*"), "");
      const paths = [
        join(d, 'it\'s a "file"'),
        join(d, "sticky"),
        join(d, "dangling"),
        join(d, "missing"),
        join(d, "todir"),
        join(d, "-dash\\back*"),
        join(d, 'it\'s a "file"', "below"),
      ];
      const probes = paths.map((path) => ({ kind: "stat", path }) as const);
      const frames = await run(observeProgram(nonce, [{ name: "stat", sh: stat.sh(probes) }], { os: false }));
      const [file, sticky, dangling, missing, todir, dash, below] = stat.parse(section(frames, "stat"), probes);
      const me = statSync(d);
      expect(file).toMatchObject({ state: "present", type: "file", mode: "640", size: 5, uid: me.uid, gid: me.gid });
      expect(sticky).toMatchObject({ state: "present", type: "directory", mode: "1777" });
      expect(dangling).toMatchObject({ state: "present", type: "link", target: "nowhere/at all" });
      expect(dangling).not.toHaveProperty("leadsTo");
      expect(missing).toEqual({ state: "absent" });
      expect(todir).toMatchObject({ state: "present", type: "link", target: "sticky", leadsTo: "directory" });
      expect(dash).toMatchObject({ state: "present", type: "file", size: 0 });
      expect(below).toEqual({ state: "absent" });
    });

    it("tells digests, lines, contents and the machine", async () => {
      const path = join(dir, "conf");
      writeFileSync(path, "one\n@file 0 ok\n  two  \nthree");
      const binary = join(dir, "binary");
      const bytes = Buffer.from(Array.from({ length: 1024 }, (_, i) => i % 256));
      writeFileSync(binary, bytes);
      const lines = ["one", "  two  ", "two", "three", "@file 0 ok", "o.e", "-e"].map(
        (l) => ({ kind: "line", path, line: l }) as const,
      );
      const sums = [path, join(dir, "missing"), dir, binary].map((p) => ({ kind: "sha256", path: p }) as const);
      const contents = [binary, join(dir, "missing"), path].map((p) => ({ kind: "content", path: p }) as const);
      const frames = await run(
        observeProgram(
          nonce,
          [
            { name: "line", sh: line.sh(lines) },
            { name: "sha256", sh: sha256.sh(sums) },
            { name: "content", sh: content.sh(contents) },
          ],
          { os: true },
        ),
      );
      expect(line.parse(section(frames, "line"), lines).map((a) => a.present)).toEqual([
        true,
        true,
        false,
        true,
        true,
        false,
        false,
      ]);
      const digests = sha256.parse(section(frames, "sha256"), sums);
      expect(digests[0]).toBe(spawnSync("sha256sum", [path], { encoding: "utf8" }).stdout.slice(0, 64));
      expect(digests.slice(1, 3)).toEqual([undefined, undefined]);
      const answers = content.parse(section(frames, "content"), contents);
      expect(answers[0]?.bytes.equals(bytes)).toBe(true);
      expect(answers[1]).toBeUndefined();
      expect(answers[2]?.bytes.toString()).toBe("one\n@file 0 ok\n  two  \nthree");
      const os = readOs(section(frames, "os").toString());
      expect(os).toMatchObject({ os: "linux", home, uid: process.getuid?.() });
      expect(os.distro).not.toBe("");
    });

    it("writes any bytes, with mode and owner, and leaves no temp file", async () => {
      const bodies: Record<string, Buffer> = {
        plain: Buffer.from("hello\nworld\n"),
        noeol: Buffer.from("no newline at the end"),
        empty: Buffer.alloc(0),
        quotes: Buffer.from('it\'s $HOME `date` "x" \\n \\\\ %s %%\n-n\n'),
        utf8: Buffer.from("schöne Grüße ✓ 日本語\n"),
        binary: Buffer.from(Array.from({ length: 10_000 }, (_, i) => (i * 7) % 256)),
        dashes: Buffer.from("-e --\n"),
        newlines: Buffer.from("\n\n\n"),
      };
      const d = join(dir, "w");
      const steps: CompiledChange[] = [change(0, [{ do: "mkdir", path: d, mode: "0750" }])];
      for (const [index, [name, body]] of Object.entries(bodies).entries())
        steps.push(change(index + 1, [{ do: "write", path: join(d, name), body, mode: "0604" }]));
      const frames = await run(apply(steps));
      expect(ends(frames)).toEqual(steps.map((s) => `${s.index} 0`));
      for (const [name, body] of Object.entries(bodies)) {
        expect(readFileSync(join(d, name)).equals(body), name).toBe(true);
        expect(statSync(join(d, name)).mode & 0o7777).toBe(0o604);
      }
      expect(statSync(d).mode & 0o7777).toBe(0o750);
      expect(readdirSync(d).sort()).toEqual(Object.keys(bodies).sort());
    });

    it("a program of many large bodies arrives whole", async () => {
      const bodies = Array.from({ length: 12 }, (_, i) =>
        Buffer.from(`${i} ${"x'y".repeat(Math.floor(largestBody / 4 / 6))}\n`),
      );
      const frames = await run(
        apply(bodies.map((body, i) => change(i, [{ do: "write", path: join(dir, `big${i}`), body }]))),
      );
      expect(ends(frames)).toHaveLength(12);
      for (const [i, body] of bodies.entries()) expect(readFileSync(join(dir, `big${i}`)).equals(body)).toBe(true);
    });

    it("links, lines, removals, modes", async () => {
      writeFileSync(join(dir, "lines"), "a\nb\nno end", { mode: 0o600 });
      mkdirSync(join(dir, "real"));
      symlinkSync("real", join(dir, "link"));
      mkdirSync(join(dir, "full", "deep"), { recursive: true });
      writeFileSync(join(dir, "full", "deep", "f"), "");
      writeFileSync(join(dir, "gone"), "");
      const frames = await run(
        apply([
          change(0, [{ do: "append", path: join(dir, "lines"), line: "c 'q' \\x" }]),
          change(1, [{ do: "drop-line", path: join(dir, "lines"), line: "b" }]),
          change(2, [
            { do: "append", path: join(dir, "fresh"), line: "first" },
            { do: "append", path: join(dir, "fresh"), line: "first" },
          ]),
          change(3, [{ do: "symlink", path: join(dir, "link"), target: "elsewhere" }]),
          change(4, [{ do: "remove", path: join(dir, "full"), recursive: true }]),
          change(5, [{ do: "remove", path: join(dir, "gone"), recursive: false }]),
          change(6, [{ do: "chmod", path: join(dir, "real"), mode: "2755" }]),
        ]),
      );
      expect(ends(frames)).toEqual(["0 0", "1 0", "2 0", "3 0", "4 0", "5 0", "6 0"]);
      expect(readFileSync(join(dir, "lines"), "utf8")).toBe("a\nno end\nc 'q' \\x\n");
      expect(statSync(join(dir, "lines")).mode & 0o777).toBe(0o600);
      expect(readFileSync(join(dir, "fresh"), "utf8")).toBe("first\n");
      expect(statSync(join(dir, "fresh")).mode & 0o777).toBe(0o644);
      expect(readlinkSync(join(dir, "link"))).toBe("elsewhere");
      expect(readdirSync(join(dir, "real"))).toEqual([]);
      expect(existsSync(join(dir, "full"))).toBe(false);
      expect(existsSync(join(dir, "gone"))).toBe(false);
      expect(statSync(join(dir, "real")).mode & 0o7777).toBe(0o2755);
    });

    it("keeps stdout and stderr of each step, gives it no stdin, its own environment, and stops at the first failure", async () => {
      const frames = await run(
        apply([
          change(0, [
            { do: "shell", line: "cat; echo out; echo err >&2; echo $X; pwd; umask", env: { X: "a 'b'" }, cwd: dir },
          ]),
          change(1, [{ do: "shell", line: "exit 7" }], { ignoreErrors: true }),
          change(2, [{ do: "run", argv: ["sh", "-c", 'printf "%s|" "$@"', "sh", "a b", "", "'"] }]),
          change(3, [{ do: "shell", line: "echo no >&2; false" }]),
          change(4, [{ do: "write", path: join(dir, "never"), body: Buffer.from("x") }]),
        ]),
      );
      expect(ends(frames)).toEqual(["0 0", "1 7", "2 0", "3 1"]);
      const said = frames.filter((f) => f.word === "out").map((f) => f.body.toString());
      expect(said[0]?.split("\n").slice(0, 3)).toEqual(["out", "a 'b'", dir]);
      expect(said[1]).toBe("a b||'|");
      expect(frames.filter((f) => f.word === "err").map((f) => f.body.toString())).toEqual(["err\n", "no\n"]);
      expect(existsSync(join(dir, "never"))).toBe(false);
      expect(lockLeft()).toBe(false);
    });

    it("guards are asked right before the run", async () => {
      const path = join(dir, "made");
      const frames = await run(
        apply([
          change(0, [{ do: "shell", line: `touch ${path}` }]),
          change(1, [{ do: "shell", line: "echo ran" }], { guard: { exists: path }, journal: ["x"] }),
          change(2, [{ do: "shell", line: "echo ran" }], { guard: { shell: `[ -e ${path} ]` } }),
          change(3, [{ do: "shell", line: "echo ran" }], { guard: { shell: "false" } }),
        ]),
      );
      expect(ends(frames)).toEqual(["0 0", "1 same", "2 same", "3 0"]);
      expect(existsSync(join(state, "journal", "x"))).toBe(false);
    });

    it("retries, and a time limit", async () => {
      const count = join(dir, "count");
      const frames = await run(
        apply([
          change(0, [{ do: "shell", line: `echo x >>${count}; [ $(wc -l <${count}) -ge 2 ]` }], { retries: 2 }),
          change(1, [{ do: "shell", line: "sleep 20" }], { timeout: 1 }),
        ]),
      );
      expect(ends(frames)[0]).toBe("0 0");
      expect(readFileSync(count, "utf8")).toBe("x\nx\n");
      // GNU timeout says 124, busybox 143.
      expect(ends(frames)[1]).toMatch(/^1 (124|143)$/);
    });

    it("the journal stands before the change and is found by the next run", async () => {
      const name = journalName("web", "reload nginx");
      const frames = await run(
        apply([change(0, [{ do: "shell", line: `ls ${state}/journal; false` }], { journal: [name] })]),
      );
      expect(section(frames, "out").toString().trim()).toBe(name);
      const probes = [{ kind: "journal", blueprint: "web" } as const, { kind: "journal", blueprint: "we" } as const];
      const seen = await run(observeProgram(nonce, [{ name: "journal", sh: journal.sh(probes) }], { os: false }));
      expect(journal.parse(section(seen, "journal"), probes)).toEqual([
        { handlers: ["reload nginx"] },
        { handlers: [] },
      ]);
      await run(apply([change(0, [], { clear: [name] })], { run: "run2" }));
      expect(readdirSync(join(state, "journal"))).toEqual([]);
    });

    const lockLeft = (): boolean => {
      try {
        return lstatSync(join(state, "lock")).isSymbolicLink();
      } catch {
        return false;
      }
    };

    it("a second run is refused while the first one lives, and takes over when its processes are gone", async () => {
      const first = start();
      first.stdin.write(apply([change(0, [{ do: "shell", line: "sleep 30" }])], { run: "first" }));
      await until(() => lockLeft());
      const refused = await run(apply([change(0, [{ do: "shell", line: "true" }])], { run: "second" }));
      expect(refused.map((f) => f.word)).toEqual(["begin", "locked"]);
      expect(refused.at(-1)?.args.slice(1).join(" ")).toBe("tester");
      process.kill(-(first.pid ?? 0), "SIGKILL");
      await until(() => spawnSync("sh", ["-c", `kill -0 -${first.pid ?? 0}`]).status !== 0);
      const taken = await run(apply([change(0, [{ do: "shell", line: "true" }])], { run: "third" }));
      expect(ends(taken)).toEqual(["0 0"]);
      expect(lockLeft()).toBe(false);
    });

    it("a lock whose lease ran out is taken although nothing is known of its holder", async () => {
      mkdirSync(state, { recursive: true });
      symlinkSync(`old ${Math.floor(Date.now() / 1000) - 61} 1 1 elsewhere someone else`, join(state, "lock"));
      expect(ends(await run(apply([change(0, [])])))).toEqual(["0 0"]);
      symlinkSync(`old ${Math.floor(Date.now() / 1000) - 5} 999999 999999 elsewhere someone else`, join(state, "lock"));
      expect((await run(apply([change(0, [])], { run: "run2" }))).at(-1)?.word).toBe("locked");
    });

    it("the lock is kept between programs of one session and given back by the observation that says so", async () => {
      const frames = await run(
        apply([change(0, [])], { last: false }),
        apply([change(1, [{ do: "shell", line: `readlink ${state}/lock` }])], { last: false }),
        observeProgram(nonce, [], { os: false, unlock: "run1" }),
      );
      expect(ends(frames)).toEqual(["0 0", "1 0"]);
      expect(section(frames, "out").toString()).toMatch(/^run1 \d+ /);
      expect(lockLeft()).toBe(false);
    });

    it("a run outlives its channel; attaching again continues where the stream broke off", async () => {
      const first = start();
      const parser = createFrames(nonce);
      const frames: Frame[] = [];
      let bytes = 0;
      first.stdout.on("data", (chunk: Buffer) => {
        for (const frame of parser.push(chunk)) {
          frames.push(frame);
          bytes += `\n@${nonce} ${[frame.word, ...frame.args].join(" ")}\n`.length + frame.body.length;
        }
      });
      first.stdin.write(
        apply([
          change(0, [{ do: "shell", line: "echo one" }]),
          change(1, [{ do: "shell", line: "sleep 2; echo two" }]),
          change(2, [{ do: "write", path: join(dir, "after"), body: Buffer.from("x") }]),
        ]),
      );
      await until(() => frames.some((f) => f.word === "start" && f.args[0] === "1"));
      // The channel breaks: the shell that was spoken to is killed and its pipes are closed.
      first.stdout.destroy();
      first.kill("SIGKILL");
      const rest = await run(attachProgram(nonce, "run1", bytes));
      expect(ends(rest)).toEqual(["1 0", "2 0"]);
      expect(section(rest, "out").toString()).toBe("two\n");
      expect(rest.map((f) => f.word)).toContain("done");
      expect(existsSync(join(dir, "after"))).toBe(true);
    });

    it("a run that is killed is told, and its lock is free when the shell is gone", async () => {
      const child = start();
      const parser = createFrames(nonce);
      const words: string[] = [];
      child.stdout.on("data", (chunk: Buffer) => words.push(...parser.push(chunk).map((f) => f.word)));
      child.stdin.write(apply([change(0, [{ do: "shell", line: "sleep 20" }])], { run: "killed" }));
      await until(() => words.includes("start"));
      const [pid] = readFileSync(join(state, "runs", "killed", "pid"), "utf8").split(" ");
      process.kill(Number(pid), "SIGKILL");
      await until(() => words.includes("lost"));
      child.stdin.end();
      await new Promise((resolve) => child.on("exit", resolve));
      expect(ends(await run(apply([change(0, [])], { run: "next" })))).toEqual(["0 0"]);
    });

    it("a program that is cut in the middle runs nothing", async () => {
      const child = start();
      const program = apply([
        change(0, [{ do: "write", path: join(dir, "cut"), body: Buffer.from("x") }]),
        change(1, [{ do: "shell", line: "true" }]),
      ]);
      child.stdin.end(program.slice(0, program.length - 40));
      await new Promise((resolve) => child.on("close", resolve));
      expect(existsSync(join(dir, "cut"))).toBe(false);
      expect(existsSync(state)).toBe(false);
    });
  });
}

async function until(holds: () => boolean): Promise<void> {
  for (let i = 0; i < 500; i++) {
    if (holds()) return;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  throw new Error("it did not come about in 10 s");
}
