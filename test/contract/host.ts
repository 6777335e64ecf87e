/**
 * The Host exam: what every Host must do, asked through nothing but a Host.
 * A pupil's own test only says how to get one:
 *
 *     hostExam("ssh", async () => ({ host: await openSomehow(), close: async () => stopServer() }));
 *
 * `open` is called a few times; each answer is closed. What happens on the machine (owners, processes) is looked at
 * through `witness`, a Host on the same machine that may see all of it; by default the host itself.
 */
import { createHash } from "node:crypto";
import { Readable } from "node:stream";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Argv, shellLine } from "../../src/core/argv.ts";
import { lookAt } from "../../src/core/place.ts";
import { type BecomeOptions, type Exit, type Host, type Running, exitStatus } from "../../src/core/host.ts";
import { forwardExam } from "./forward.ts";

export interface Examinee {
  readonly host: Host;
  readonly witness?: Host | undefined;
  /** Somebody the host can become; the exam of `as` is left out without. */
  readonly other?: (BecomeOptions & { readonly user: string }) | undefined;
  /** Can the host's own user run `sudo` without a password? Then a root child it started is part of the exam. */
  readonly sudo?: boolean | undefined;
  /** In the home, a file that the login shell reads before every command. */
  readonly rc?: string | undefined;
  /** Called after the exam, and after each further opening. */
  close?(): Promise<void>;
}

/** Parts a pupil may be excused from, each with its reason. `every`: a sample of words and codes will do. */
export type Excuse = "pty" | "chown" | "limits" | "every";

export function hostExam(
  name: string,
  open: () => Promise<Examinee>,
  excused: Partial<Record<Excuse, string>> = {},
): void {
  describe(`Host exam: ${name}`, { timeout: 120_000 }, () => {
    let examinee: Examinee;
    let host: Host;
    let witness: Host;
    /** A folder on the target, for this exam only. */
    let dir: string;

    beforeAll(async () => {
      examinee = await open();
      host = examinee.host;
      witness = examinee.witness ?? host;
      dir = (await text(host, ["mktemp", "-d"])).trim();
    });
    afterAll(async () => {
      await witness?.exec(["rm", "-rf", dir]);
      await host?.close();
      await examinee?.close?.();
    });

    /** Output of a program that must succeed. */
    const run = (argv: Argv): Promise<string> => text(host, argv);
    const alive = (pids: readonly string[]): Promise<readonly string[]> => aliveAmong(witness, pids);

    describe("words", () => {
      it("come through as they are, each alone and all together", async () => {
        const words = excused.every === undefined ? nasty : nasty.filter((_, i) => i % 8 === 0);
        const said = await Promise.all(words.map((word) => run(["printf", "%s", word])));
        expect(said).toEqual(words);
        expect(await run(["printf", "%s\\0", ...nasty])).toBe(nasty.map((word) => `${word}\0`).join(""));
      });

      it("may be 100 KB long", async () => {
        for (const unit of ["x", "it's\n"]) {
          const word = unit.repeat(100_000 / unit.length);
          expect((await run(["printf", "%s", word])) === word, JSON.stringify(unit)).toBe(true);
        }
      });

      it("name the program, whatever its path looks like", async () => {
        const program = `${dir}/a 'strange' "program" $name`;
        await host.put('#!/bin/sh\necho ran "$1"\n', program, { mode: 0o755 });
        expect(await run([program, "so"])).toBe("ran so\n");
      });
    });

    describe("streams", () => {
      it("keep stdout and stderr apart", async () => {
        const { exit, stdout, stderr } = await host.exec([
          "sh",
          "-c",
          "for i in 1 2 3; do echo out$i; echo err$i >&2; done",
        ]);
        expect([exit, stdout.toString(), stderr.toString()]).toEqual([
          { code: 0 },
          "out1\nout2\nout3\n",
          "err1\nerr2\nerr3\n",
        ]);
      });

      it("carry 64 MiB of any bytes to stdin, and wait for a program that does not read yet", async () => {
        const source = new Bytes(size64);
        const go = `${dir}/go`;
        const running = await host.spawn([
          "sh",
          "-c",
          'until [ -e "$1" ]; do sleep 0.1; done; tee "$2" | sha256sum',
          "sh",
          go,
          `${dir}/big`,
        ]);
        source.stream.pipe(running.stdin);
        await settled(() => source.given);
        // What windows, pipes and buffers hold between here and there; far from all of it.
        expect(source.given).toBeLessThan(24 << 20);
        await run(["touch", go]);
        const out = await allOf(running.stdout);
        expect(await running.exit).toEqual({ code: 0 });
        expect(out.toString().slice(0, 64)).toBe(source.sha256());
      });

      it("carry 64 MiB of any bytes from stdout, and let the program wait for a slow reader", async () => {
        const done = `${dir}/done`;
        const running = await host.spawn(["sh", "-c", 'cat "$1"; : >"$2"', "sh", `${dir}/big`, done]);
        running.stderr.resume();
        const hash = createHash("sha256");
        let bytes = 0;
        for await (const chunk of running.stdout as AsyncIterable<Buffer>) {
          if (bytes === 0) {
            await sleep(1000);
            expect(await exists(witness, done)).toBe(false);
          }
          hash.update(chunk);
          bytes += chunk.length;
          if (bytes % 16 === 0) await sleep(1);
        }
        expect(await running.exit).toEqual({ code: 0 });
        expect([bytes, hash.digest("hex")]).toEqual([size64, new Bytes(size64).sha256()]);
      });

      it("carry any bytes on stderr, nothing added and nothing lost", async () => {
        const digest = sha256(await bytesOf(host, ["head", "-c", "3000000", `${dir}/big`]));
        const { stdout, stderr } = await host.exec(["sh", "-c", 'head -c 3000000 "$1" >&2', "sh", `${dir}/big`]);
        expect([stdout.length, stderr.length, sha256(stderr)]).toEqual([0, 3_000_000, digest]);
      });

      it("keep 10,000 lines in order", async () => {
        const { stdout } = await host.exec([
          "sh",
          "-c",
          'i=0; while [ "$i" -lt 10000 ]; do i=$((i + 1)); echo "line $i"; done',
        ]);
        expect(stdout.toString().split("\n")).toEqual([
          ...Array.from({ length: 10_000 }, (_, i) => `line ${i + 1}`),
          "",
        ]);
      });

      it("tell the program that stdin ended, also when there was none", async () => {
        expect((await host.exec(["cat"], { stdin: "a\nb" })).stdout.toString()).toBe("a\nb");
        expect((await host.exec(["wc", "-c"])).stdout.toString().trim()).toBe("0");
        const running = await host.spawn(["cat"]);
        running.stdin.write("one ");
        running.stdin.end("two");
        expect((await allOf(running.stdout)).toString()).toBe("one two");
        running.stderr.resume();
        expect(await running.exit).toEqual({ code: 0 });
      });

      it("answer while stdin is still open", async () => {
        const running = await host.spawn(["sh", "-c", 'while read -r line; do echo "<$line>"; done']);
        const lines = running.stdout[Symbol.asyncIterator]() as AsyncIterator<Buffer>;
        for (const word of ["a", "b"]) {
          running.stdin.write(`${word}\n`);
          expect(String((await lines.next()).value)).toBe(`<${word}>\n`);
        }
        running.stdin.end();
        expect((await lines.next()).done).toBe(true);
        running.stderr.resume();
        expect(await running.exit).toEqual({ code: 0 });
      });

      it("do not mind a program that reads no stdin", async () => {
        const { exit, stdout } = await host.exec(["echo", "done"], { stdin: Buffer.alloc(8 << 20) });
        expect([exit, stdout.toString()]).toEqual([{ code: 0 }, "done\n"]);
        const streamed = await host.exec(["true"], { stdin: new Bytes(8 << 20).stream });
        expect(streamed.exit).toEqual({ code: 0 });
      });

      it("have all been read when exit resolves", async () => {
        const running = await host.spawn([
          "sh",
          "-c",
          "sleep 0.2 & echo x; (sleep 0.3; echo late) & echo y >&2; exit 4",
        ]);
        const out = collected(running.stdout);
        const err = collected(running.stderr);
        expect(await running.exit).toEqual({ code: 4 });
        expect([out(), err()]).toEqual(["x\nlate\n", "y\n"]);
      });

      it("break off with the reason of a source that breaks", async () => {
        const broken = Readable.from(
          (async function* () {
            yield Buffer.from("some");
            throw new Error("the disk is gone");
          })(),
          { objectMode: false },
        );
        await expect(host.exec(["cat"], { stdin: broken })).rejects.toThrow(/disk is gone/);
      });
    });

    describe("ends", () => {
      it("gives every exit code from 0 to 255", async () => {
        const all = Array.from({ length: 256 }, (_, code) => code);
        const codes =
          excused.every === undefined
            ? all
            : [0, 1, 2, 3, 63, 64, 100, 125, 126, 127, 128, 129, 130, 137, 143, 200, 254, 255];
        const exits = await Promise.all(
          codes.map(async (code) => (await host.exec(["sh", "-c", `exit ${code}`])).exit),
        );
        expect(exits).toEqual(codes.map((code) => ({ code })));
      });

      it("tells signals", async () => {
        for (const [signal, status] of [
          ["TERM", 143],
          ["KILL", 137],
          ["HUP", 129],
        ] as const) {
          const { exit } = await host.exec(["sh", "-c", `kill -${signal} $$`]);
          expect(exitStatus(exit), signal).toBe(status);
        }
      });

      it("gives 127 for a missing program and 126 for one that cannot be executed", async () => {
        expect((await host.exec(["no-such-program-here", "x"])).exit).toEqual({ code: 127 });
        expect((await host.exec([`${dir}/missing`])).exit).toEqual({ code: 127 });
        expect((await host.exec(["-n"])).exit).toEqual({ code: 127 });
        await host.put("x", `${dir}/plain`, { mode: 0o644 });
        expect((await host.exec([`${dir}/plain`])).exit).toEqual({ code: 126 });
      });

      it("refuses what no process can be given", async () => {
        await expect(host.exec(["echo", "a\0b"])).rejects.toMatchObject({ code: "usage.input" });
        await expect(host.exec(["env"], { env: { "a=b": "c" } })).rejects.toMatchObject({ code: "usage.input" });
      });

      it("kill ends the whole group, and is no error when all is over", async () => {
        const { running, pids } = await family(host);
        await running.kill();
        expect(exitStatus(await running.exit)).toBe(143);
        await until(async () => (await alive(pids)).length === 0);
        await running.kill();
      });

      it("kill passes other signals on", async () => {
        const running = await host.spawn([
          "sh",
          "-c",
          "trap 'echo caught; exit 5' INT; echo up; while :; do sleep 0.1; done",
        ]);
        const out = collected(running.stdout);
        running.stderr.resume();
        await until(() => out() !== "");
        await running.kill("INT");
        expect([await running.exit, out()]).toEqual([{ code: 5 }, "up\ncaught\n"]);
      });

      it("abort ends the whole group and rejects with run.cancelled", async () => {
        const control = new AbortController();
        const { running, pids } = await family(host, control.signal);
        expect(await alive(pids)).toEqual(pids);
        control.abort();
        await expect(running.exit).rejects.toMatchObject({ code: "run.cancelled" });
        expect(await alive(pids)).toEqual([]);
      });

      it("abort kills what does not listen to TERM", async () => {
        const control = new AbortController();
        const { running, pids } = await family(host, control.signal, "trap '' TERM;");
        control.abort();
        await expect(running.exit).rejects.toMatchObject({ code: "run.cancelled" });
        expect(await alive(pids)).toEqual([]);
      });

      it("abort before the start starts nothing", async () => {
        const signal = AbortSignal.abort();
        await expect(host.exec(["touch", `${dir}/never`], { signal })).rejects.toMatchObject({ code: "run.cancelled" });
        expect(await exists(host, `${dir}/never`)).toBe(false);
      });

      it("abort ends a root child that was started with sudo", async (test) => {
        if (examinee.sudo !== true) test.skip("no sudo without a password for this one");
        const control = new AbortController();
        const { running, pids } = await family(host, control.signal, "", ["sudo", "-n"]);
        control.abort();
        await expect(running.exit).rejects.toMatchObject({ code: "run.cancelled" });
        expect(await alive(pids)).toEqual([]);
      });

      it("a deadline ends the group and rejects with run.timeout", async () => {
        const started = host.exec(["sh", "-c", 'echo "$$" >"$1"; sleep 1000 & wait', "sh", `${dir}/late`], {
          timeout: 1500,
        });
        await expect(started).rejects.toMatchObject({ code: "run.timeout" });
        expect(await alive([(await run(["cat", `${dir}/late`])).trim()])).toEqual([]);
      });

      it("close ends what runs, may be called twice, and is the end", async () => {
        const second = await open();
        try {
          const { running, pids } = await family(second.host);
          const lost = running.exit.then(
            (exit) => `ended with ${exitStatus(exit)}`,
            (error: { code?: string }) => error.code,
          );
          await Promise.all([second.host.close(), second.host.close()]);
          expect(await lost).toBe("run.cancelled");
          await until(async () => (await alive(pids)).length === 0);
          await expect(second.host.exec(["true"])).rejects.toMatchObject({
            code: expect.stringMatching(/^(host|ssh)\./),
          });
        } finally {
          await second.close?.();
        }
      });
    });

    describe("many at once", () => {
      it("50 commands on one host, each with its own stdin, output and code", async () => {
        const answers = await Promise.all(
          Array.from({ length: 50 }, async (_, i) => {
            const { exit, stdout, stderr } = await host.exec(["sh", "-c", `cat; echo err${i} >&2; exit ${i}`], {
              stdin: `in${i}`,
            });
            return [exit, stdout.toString(), stderr.toString()];
          }),
        );
        expect(answers).toEqual(Array.from({ length: 50 }, (_, i) => [{ code: i }, `in${i}`, `err${i}\n`]));
      });

      it("more than fit wait their turn, and may give up waiting", async (test) => {
        if (excused.limits !== undefined) test.skip(excused.limits);
        const places = host.limits.parallel;
        const control = new AbortController();
        const blockers = await Promise.all(Array.from({ length: places }, () => host.spawn(["cat"])));
        for (const stream of blockers.flatMap(({ stdout, stderr }) => [stdout, stderr])) stream.resume();
        const late = host.exec(["echo", "late"]);
        const never = host.exec(["echo", "never"], { signal: control.signal });
        control.abort();
        await expect(never).rejects.toMatchObject({ code: "run.cancelled" });
        for (const { stdin } of blockers) stdin.end();
        expect((await late).stdout.toString()).toBe("late\n");
        await Promise.all(blockers.map(({ exit }) => exit));
      });
    });

    describe("env and cwd", () => {
      it("env values arrive as they are", async () => {
        const env = Object.fromEntries(nasty.map((word, i) => [`AMI_EXAM_${i}`, word]));
        const { stdout } = await host.exec(["env", "-0"], { env });
        const got = stdout
          .toString()
          .split("\0")
          .filter((line) => line.startsWith("AMI_EXAM_"));
        expect(got.sort()).toEqual(
          Object.entries(env)
            .map(([key, value]) => `${key}=${value}`)
            .sort(),
        );
      });

      it("env comes on top of the target's own, and stdin stays the program's", async () => {
        const { stdout } = await host.exec(["sh", "-c", '[ -n "$PATH" ] && printf "%s " "$AMI_EXAM"; cat'], {
          env: { AMI_EXAM: "so" },
          stdin: "in",
        });
        expect(stdout.toString()).toBe("so in");
      });

      it("env values are in no process list while the program runs", async () => {
        const secret = `s3cret-${Math.random().toString(36).slice(2)}`;
        const running = await host.spawn(["sh", "-c", 'echo "${#AMI_EXAM}"; cat'], { env: { AMI_EXAM: secret } });
        const out = collected(running.stdout);
        running.stderr.resume();
        await until(() => out() !== "");
        const list = await text(witness, ["ps", "-A", "-o", "args"]);
        running.stdin.end();
        await running.exit;
        expect(out()).toBe(`${secret.length}\n`);
        expect(list).toContain("cat");
        expect(list).not.toContain(secret);
      });

      it("cwd is where the program runs", async () => {
        const folder = `${dir}/a folder\nwith 'a' strange $name`;
        await run(["mkdir", "-p", folder]);
        expect((await host.exec(["pwd"], { cwd: folder })).stdout.toString()).toBe(`${folder}\n`);
        const { stdout } = await host.exec(["sh", "-c", 'pwd; echo "$AMI_EXAM"; cat'], {
          cwd: "/",
          env: { AMI_EXAM: "x" },
          stdin: "in",
        });
        expect(stdout.toString()).toBe("/\nx\nin");
      });

      it("a cwd of ~ is the home of the user there", async () => {
        const home = (await run(["sh", "-c", 'cd "$HOME" && pwd'])).trimEnd();
        for (const cwd of ["~", "~/", "~/."])
          expect((await host.exec(["pwd"], { cwd })).stdout.toString()).toBe(`${home}\n`);
      });

      it("a name that some shells keep for themselves is refused everywhere", async () => {
        await expect(host.exec(["true"], { env: { UID: "5" } })).rejects.toMatchObject({
          code: "usage.input",
          message: expect.stringContaining("UID cannot be set"),
        });
      });

      it("a shell line finds its shell, whatever PATH was set for it", async () => {
        const { stdout } = await host.exec(shellLine('echo "$PATH"'), { env: { PATH: "/nope" } });
        expect(stdout.toString()).toBe("/nope\n");
      });

      it("a cwd that is not there starts nothing", async () => {
        const answer = host.exec(["touch", `${dir}/never`], { cwd: `${dir}/nowhere` });
        await expect(answer).rejects.toMatchObject({
          code: "host.cwd",
          message: `there is no folder ${dir}/nowhere that can be entered`,
        });
        await expect(host.spawn(["true"], { cwd: `${dir}/nowhere` })).rejects.toMatchObject({ code: "host.cwd" });
        expect(await exists(host, `${dir}/never`)).toBe(false);
      });
    });

    describe("pty", () => {
      const pty = { columns: 91, rows: 33, term: "xterm" };

      it("is a terminal of the size asked for, with stderr in it", async (test) => {
        if (excused.pty !== undefined) test.skip(excused.pty);
        const { exit, stdout } = await host.exec(
          ["sh", "-c", "test -t 0 && test -t 1 && test -t 2 && stty size; echo $TERM; echo err >&2; exit 3"],
          { pty },
        );
        expect([exit, stdout.toString()]).toEqual([{ code: 3 }, "33 91\r\nxterm\r\nerr\r\n"]);
      });

      it("takes input, env and cwd too", async (test) => {
        if (excused.pty !== undefined) test.skip(excused.pty);
        const running = await host.spawn(
          ["sh", "-c", 'stty -echo; echo "$AMI_EXAM"; pwd; read -r line; echo "got $line"'],
          { pty, env: { AMI_EXAM: "it's\nso" }, cwd: "/" },
        );
        const out = collected(running.stdout);
        running.stderr.resume();
        await until(() => out().includes("/\r\n"));
        running.stdin.write("this\n");
        expect(await running.exit).toEqual({ code: 0 });
        expect(out()).toBe("it's\r\nso\r\n/\r\ngot this\r\n");
      });

      it("can be aborted", async (test) => {
        if (excused.pty !== undefined) test.skip(excused.pty);
        const control = new AbortController();
        const running = await host.spawn(["sh", "-c", 'sleep 1000 & echo "$$ $!"; wait'], {
          pty,
          signal: control.signal,
        });
        const out = collected(running.stdout);
        running.stderr.resume();
        await until(() => out().includes("\n"));
        control.abort();
        await expect(running.exit).rejects.toMatchObject({ code: "run.cancelled" });
        await until(async () => (await alive(out().trim().split(" "))).length === 0);
      });
    });

    describe("a login shell that talks", () => {
      it("does not mix its words with what is read", async (test) => {
        const { rc, other } = examinee;
        if (rc === undefined) test.skip("there is no login shell in between");
        const file = `${(await run(["sh", "-c", 'printf %s "$HOME"'])).trim()}/${rc}`;
        await run(["sh", "-c", 'mkdir -p "${1%/*}"', "sh", file]);
        // What stands on stderr looks like a question, and nobody may answer it.
        await host.put('echo NOISE; printf "any words: " >&2\n', file);
        try {
          expect(await run(["echo", "so"])).toBe("NOISE\nso\n");
          await host.put("content", `${dir}/quiet`);
          expect((await allOf(await host.get(`${dir}/quiet`))).toString()).toBe("content");
          expect(await lookAt(host, dir, { name: "quiet", signal: new AbortController().signal })).toMatchObject({
            path: `${dir}/quiet`,
            type: "file",
            size: 7,
          });
          if (other === undefined) return;
          const them = host.as(other.user, other);
          expect((await allOf(await them.get("/etc/passwd"))).toString()).toMatch(/^root:/);
        } finally {
          await run(["rm", "-f", file]);
        }
      });
    });

    describe("put and get", () => {
      it("give back the same bytes, empty and 1 MiB, from text, bytes and a stream", async () => {
        const bytes = Buffer.from(await allOf(new Bytes(1 << 20).stream));
        for (const [source, content] of [
          ["", ""],
          ["text: é\n", "text: é\n"],
          [bytes, bytes],
          [Readable.from([bytes, Buffer.from("end")]), Buffer.concat([bytes, Buffer.from("end")])],
        ] as const) {
          await host.put(source, `${dir}/file`);
          expect((await allOf(await host.get(`${dir}/file`))).equals(Buffer.from(content))).toBe(true);
        }
      });

      it("take any path", async () => {
        const path = `${dir}/it's -a "file" $x\nthere`;
        await host.put("so", path);
        expect((await allOf(await host.get(path))).toString()).toBe("so");
        await run(["rm", path]);
      });

      it("a new file gets 0644 or the mode asked for; an existing one keeps its own", async () => {
        const mode = async (): Promise<string> => (await run(["stat", "-c", "%a", `${dir}/mode`])).trim();
        await host.put("1", `${dir}/mode`);
        expect(await mode()).toBe("644");
        await host.put("2", `${dir}/mode`, { mode: 0o750 });
        expect(await mode()).toBe("750");
        await host.put("3", `${dir}/mode`);
        expect(await mode()).toBe("750");
        await host.put("4", `${dir}/mode`, { mode: 0o4755 });
        expect([await mode(), await run(["cat", `${dir}/mode`])]).toEqual(["4755", "4"]);
      });

      it("owner and group are as asked for; the file is the host user's otherwise", async (test) => {
        const path = `${dir}/owned`;
        const owner = async (): Promise<string> => (await run(["stat", "-c", "%u:%g", path])).trim();
        const self = `${(await run(["id", "-u"])).trim()}:${(await run(["id", "-g"])).trim()}`;
        await host.put("x", path);
        expect(await owner()).toBe(self);
        if (excused.chown !== undefined) test.skip(excused.chown);
        await host.put("x", path, { owner: "nobody", group: "12" });
        const nobody = (await run(["id", "-u", "nobody"])).trim();
        expect(await owner()).toBe(`${nobody}:12`);
        await host.put("y", path);
        expect(await owner()).toBe(`${nobody}:12`);
        await expect(host.put("x", path, { owner: "no-such-user" })).rejects.toMatchObject({ code: "host.file" });
        expect(await run(["cat", path])).toBe("y");
      });

      it("put replaces a link, not what it points to", async () => {
        const at = `${dir}/links`;
        await run([
          "sh",
          "-c",
          'mkdir "$1" "$1/folder"; echo old >"$1/real"; ln -s real "$1/link"; ln -s folder "$1/door"',
          "sh",
          at,
        ]);
        await host.put("new", `${at}/link`);
        expect(await run(["sh", "-c", 'cat "$1/real" "$1/link"; test -h "$1/link" || echo plain', "sh", at])).toBe(
          "old\nnewplain\n",
        );
        await host.put("new", `${at}/door`);
        expect(await run(["sh", "-c", 'cat "$1/door"; ls -A "$1/folder"', "sh", at])).toBe("new");
      });

      it("refuse what cannot be: folders, missing folders, missing files", async () => {
        const refusal = { code: "host.file" };
        await run(["mkdir", "-p", `${dir}/folder`]);
        await expect(host.put("x", `${dir}/folder`)).rejects.toMatchObject(refusal);
        await expect(host.put("x", `${dir}/nowhere/file`)).rejects.toMatchObject(refusal);
        await expect(read(host, `${dir}/missing`)).rejects.toMatchObject(refusal);
        await expect(read(host, `${dir}/folder`)).rejects.toMatchObject(refusal);
        expect(await run(["ls", "-A", `${dir}/folder`])).toBe("");
      });

      it("tell the bytes as they go", async () => {
        const seen: number[] = [];
        await host.put(new Bytes(1 << 20).stream, `${dir}/progress`, { onProgress: (bytes) => seen.push(bytes) });
        expect(seen.at(-1)).toBe(1 << 20);
        expect(seen).toEqual(seen.toSorted((a, b) => a - b));
      });

      it("put cut half-way leaves the old content and no other file", async () => {
        const folder = `${dir}/atomic`;
        const path = `${folder}/file`;
        await run(["mkdir", folder]);
        await host.put("old", path);
        for (const end of ["abort", "broken source"] as const) {
          const control = new AbortController();
          const source = new Bytes(64 << 20, 1 << 20);
          const putting = host.put(source.stream, path, { signal: control.signal });
          putting.catch(() => undefined);
          // Half-way: the target holds a part.
          await until(async () => (await run(["ls", "-A", folder])).trim() !== "file");
          if (end === "abort") control.abort();
          else source.stream.destroy(new Error("the disk is gone"));
          await expect(putting, end).rejects.toMatchObject({ code: end === "abort" ? "run.cancelled" : "host.file" });
          await until(async () => (await run(["ls", "-A", folder])).trim() === "file");
          expect(await run(["cat", path]), end).toBe("old");
        }
      });

      it("put never shows a part to a reader", async () => {
        const path = `${dir}/seen`;
        const [a, b] = ["a", "b"].map((letter) => letter.repeat(500_000));
        await host.put(a ?? "", path);
        const watch = await host.spawn([
          "sh",
          "-c",
          'echo up; while [ ! -e "$1.stop" ]; do sha256sum <"$1"; done',
          "sh",
          path,
        ]);
        const out = collected(watch.stdout);
        const err = collected(watch.stderr);
        await until(() => out() !== "");
        for (let i = 0; i < 10; i++) await host.put((i % 2 === 0 ? b : a) ?? "", path);
        await run(["touch", `${path}.stop`]);
        await watch.exit;
        const sums = new Set(out().trim().split("\n").slice(1));
        expect([err(), sums.size <= 2, sums.size >= 1]).toEqual(["", true, true]);
      });

      it("get that is left early leaves nothing running", async () => {
        const stream = await host.get(`${dir}/big`);
        for await (const _ of stream) break;
        expect(stream.destroyed).toBe(true);
        await until(
          async () =>
            !(await text(witness, ["ps", "-A", "-o", "args"])).split("\n").some((line) => line === `cat ${dir}/big`),
        );
        expect(await run(["echo", "fine"])).toBe("fine\n");
      });

      it("get can be aborted", async () => {
        const control = new AbortController();
        const stream = await host.get(`${dir}/big`, { signal: control.signal });
        control.abort();
        await expect(allOf(stream)).rejects.toMatchObject({ code: "run.cancelled" });
      });
    });

    forwardExam(() => ({ host, dir }));

    describe("as another user", () => {
      /** The other host, or a skip. */
      const otherHost = (test: { skip(note: string): void }): { other: Host; user: string } => {
        if (examinee.other === undefined) test.skip("nobody to become here");
        const { user = "", ...options } = examinee.other ?? {};
        return { other: host.as(user, options), user };
      };

      it("programs run as that user, with stdin, env, cwd and their own exit codes", async (test) => {
        const { other, user } = otherHost(test);
        const { exit, stdout, stderr } = await other.exec(
          ["sh", "-c", 'id -un; pwd; echo "$AMI_EXAM"; cat; echo err >&2; exit 9'],
          { env: { AMI_EXAM: "x\ny" }, cwd: "/", stdin: "in" },
        );
        expect([exit, stdout.toString(), stderr.toString()]).toEqual([{ code: 9 }, `${user}\n/\nx\ny\nin`, "err\n"]);
        expect((await other.exec(["no-such-program-here"])).exit).toEqual({ code: 127 });
      });

      it("files are that user's, and private ones can be read", async (test) => {
        const { other, user } = otherHost(test);
        const folder = (await text(other, ["mktemp", "-d"])).trim();
        await other.put("mine", `${folder}/file`, { mode: 0o600 });
        expect(await text(other, ["stat", "-c", "%U %a", `${folder}/file`])).toBe(`${user} 600\n`);
        expect(await read(other, `${folder}/file`)).toBe("mine");
        await other.exec(["rm", "-r", folder]);
      });

      it("abort ends the whole group of that user", async (test) => {
        const { other } = otherHost(test);
        for (const first of ["", "trap '' TERM;"]) {
          const control = new AbortController();
          const { running, pids } = await family(other, control.signal, first);
          control.abort();
          await expect(running.exit).rejects.toMatchObject({ code: "run.cancelled" });
          expect(await alive(pids)).toEqual([]);
        }
      });

      it("env values and passwords are in no process list", async (test) => {
        const { other } = otherHost(test);
        const secret = `s3cret-${Math.random().toString(36).slice(2)}`;
        const running = await other.spawn(["sh", "-c", 'echo "$AMI_EXAM"; cat'], { env: { AMI_EXAM: secret } });
        const out = collected(running.stdout);
        running.stderr.resume();
        await until(() => out() !== "");
        const list = await text(witness, ["ps", "-A", "-o", "args"]);
        running.stdin.end();
        await running.exit;
        expect(out()).toBe(`${secret}\n`);
        for (const hidden of [secret, examinee.other?.password?.reveal() ?? secret]) expect(list).not.toContain(hidden);
      });

      it("shell lines run too, also for a user whose login shell only says no", async (test) => {
        const { other } = otherHost(test);
        const user = examinee.other?.user ?? "";
        expect((await other.exec(shellLine("id -un | cat"))).stdout.toString()).toBe(`${user}\n`);
      });

      it("closing it leaves the host open", async (test) => {
        const { other } = otherHost(test);
        await other.exec(["true"]);
        await other.close();
        expect(await run(["echo", "open"])).toBe("open\n");
      });

      it("a user that is not there is host.become", async () => {
        await expect(host.as("no-such-user").exec(["true"], { stdin: "x" })).rejects.toMatchObject({
          code: "host.become",
        });
        await expect(host.as("no-such-user").spawn(["true"])).rejects.toMatchObject({ code: "host.become" });
        await expect(host.as("no-such-user").put("x", `${dir}/x`)).rejects.toMatchObject({ code: "host.become" });
      });
    });
  });
}

const size64 = 64 << 20;

/** Words that break what is not quoted well. */
const nasty = [
  "",
  " ",
  "'",
  '"',
  "it's",
  "$HOME",
  "${HOME}",
  "`id`",
  "$(id)",
  "a\nb",
  "\n",
  "\n\nx\n",
  "\t",
  "é ü 漢字 🦉",
  "-n",
  "--",
  "-e",
  ";ls",
  "&& ls",
  "| ls",
  "> /dev/null",
  "\\",
  "\\n",
  "\\\\'",
  "*",
  "?[a-z]",
  "~",
  "~root",
  "!",
  "!!",
  "a!b",
  "#x",
  "{a,b}",
  "%s",
  "^",
  "=x",
  "a=b",
  "(",
  "x'\n'y",
  "\r",
  "\u007f",
  "\u0001",
];

/** A stream of bytes that are always the same and hold every value; counts what was taken, stops at `pauseAt`. */
class Bytes {
  readonly stream: Readable;
  readonly size: number;
  given = 0;

  constructor(size: number, pauseAt = Infinity) {
    this.size = size;
    const next = (): Buffer | null => {
      const chunk = block(this.given, Math.min(65_536, size - this.given));
      this.given += chunk.length;
      return chunk.length === 0 ? null : chunk;
    };
    this.stream = new Readable({
      read() {
        if (given() < pauseAt) this.push(next());
      },
    });
    const given = (): number => this.given;
  }

  sha256(): string {
    const hash = createHash("sha256");
    for (let at = 0; at < this.size; at += 65_536) hash.update(block(at, Math.min(65_536, this.size - at)));
    return hash.digest("hex");
  }
}

const pattern = createHash("shake256", { outputLength: 65_536 }).update("ami").digest();

/** The pattern with its place written into it, so that no two blocks are alike. */
function block(at: number, length: number): Buffer {
  const bytes = Buffer.from(pattern.subarray(0, length));
  if (length >= 4) bytes.writeUInt32LE(at, 0);
  return bytes;
}

/** Three processes of one group that run until they are ended, and their pids. */
async function family(
  host: Host,
  signal?: AbortSignal,
  first = "",
  wrap: readonly string[] = [],
): Promise<{ running: Running; pids: readonly string[] }> {
  const [program, ...rest] = [
    ...wrap,
    "sh",
    "-c",
    `${first} sleep 1000 & a=$!; sh -c "${first} sleep 1000; sleep 1000" & echo $$ $a $!; wait; wait; wait`,
  ];
  const running = await host.spawn([program, ...rest], { signal });
  const out = collected(running.stdout);
  running.stderr.resume();
  await until(() => out().includes("\n"));
  const pids = out().trim().split(" ");
  return { running, pids };
}

async function aliveAmong(witness: Host, pids: readonly string[]): Promise<readonly string[]> {
  const { stdout } = await witness.exec(["ps", "-o", "pid=,stat=", "-p", pids.join(",")]);
  const lines = stdout
    .toString()
    .trim()
    .split("\n")
    .map((line) => line.trim().split(/\s+/));
  return lines.filter(([pid, state]) => pid !== "" && state?.startsWith("Z") !== true).map(([pid]) => pid ?? "");
}

async function text(host: Host, argv: Argv): Promise<string> {
  return (await bytesOf(host, argv)).toString();
}

async function bytesOf(host: Host, argv: Argv): Promise<Buffer> {
  const { exit, stdout, stderr } = await host.exec(argv);
  if (exitStatus(exit) !== 0)
    throw new Error(`${argv[0]} on ${host.name}: ${describeExit(exit)}: ${stderr.toString()}`);
  return stdout;
}

function describeExit(exit: Exit): string {
  return exit.signal === undefined ? `exit ${exit.code}` : `signal ${exit.signal}`;
}

async function exists(host: Host, path: string): Promise<boolean> {
  return exitStatus((await host.exec(["test", "-e", path])).exit) === 0;
}

async function read(host: Host, path: string): Promise<string> {
  return (await allOf(await host.get(path))).toString();
}

async function allOf(stream: Readable): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of stream as AsyncIterable<Buffer>) chunks.push(chunk);
  return Buffer.concat(chunks);
}

function collected(stream: Readable): () => string {
  const chunks: Buffer[] = [];
  stream.on("data", (chunk: Buffer) => chunks.push(chunk));
  stream.on("error", () => undefined);
  return () => Buffer.concat(chunks).toString();
}

function sha256(bytes: Buffer): string {
  return createHash("sha256").update(bytes).digest("hex");
}

async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  for (const end = Date.now() + 30_000; Date.now() < end; await sleep(30)) if (await condition()) return;
  throw new Error("it did not become so within 30 s");
}

/** Waits until a number has not changed for a while. */
async function settled(value: () => number): Promise<void> {
  for (let last = -1, same = 0; same < 5; await sleep(100)) {
    same = value() === last ? same + 1 : 0;
    last = value();
  }
}
