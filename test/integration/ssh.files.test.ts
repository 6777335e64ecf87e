/** Files over ssh: by sftp where it is there and worth it, by a program otherwise. */
import { createHash } from "node:crypto";
import { chmod, mkdir, readFile, readdir, stat, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { Readable } from "node:stream";
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from "vitest";
import type { Host } from "../../src/core/host.ts";
import { type OpenHosts, openHosts } from "../../src/core/hosts/open.ts";
import { parseTarget } from "../../src/core/targets.ts";
import { needs } from "../servers/engines.ts";
import { type Sshd, createAccount, startSshd } from "../servers/sshd.ts";

const megabytes64 = 64 << 20;

needs("sshd")("files over ssh", () => {
  for (const [title, config, rc] of [
    ["with sftp", []],
    ["with sftp on a server that allows one session", ["MaxSessions 1"]],
    ["without sftp", ["Subsystem sftp /no/such/program"]],
    ["without sftp behind a shell that talks", ["Subsystem sftp /no/such/program"], "echo welcome\n"],
    ["with sftp behind a shell that talks", ["Subsystem sftp echo welcome; exec /usr/lib/openssh/sftp-server"]],
  ] as const) {
    describe(title, () => {
      let server: Sshd;
      let hosts: OpenHosts;
      let host: Host;
      let dir: string;
      beforeAll(async () => {
        server = await startSshd({ config });
        if (rc !== undefined) await writeFile(join(server.home, ".bashrc"), rc);
        hosts = openHosts({ ssh: { configFile: server.configFile, env: {} } });
        host = await hosts.open(parseTarget("box"));
        dir = join(server.dir, "files");
        await mkdir(dir);
      });
      afterEach(async () => {
        // The other side takes its file away by itself, a moment after we have been told.
        await vi.waitFor(async () => {
          expect((await readdir(dir)).filter((name) => name.startsWith(".ami-"))).toEqual([]);
        }, 10_000);
      });
      afterAll(async () => {
        await hosts?.close();
        await server?.stop();
      });

      it("64 MiB go there and come back as they are, with progress", async () => {
        const seen: number[] = [];
        await host.put(bytes(megabytes64), join(dir, "big"), { onProgress: (done) => seen.push(done) });
        expect(seen.at(-1)).toBe(megabytes64);
        expect(await sha256(Readable.from(bytes(megabytes64)))).toBe(await sha256(await host.get(join(dir, "big"))));
        expect((await stat(join(dir, "big"))).mode & 0o7777).toBe(0o644);
      });

      it("sizes around the size of a piece", async () => {
        const piece = 254 * 1024;
        for (const size of [0, 1, piece - 1, piece, piece + 1, 3 * piece]) {
          await host.put(bytes(size), join(dir, "size"));
          expect((await stat(join(dir, "size"))).size).toBe(size);
          expect(await sha256(await host.get(join(dir, "size")))).toBe(await sha256(bytes(size)));
        }
      });

      it("a stream that breaks off leaves the old file and nothing else", async () => {
        const path = join(dir, "kept");
        await writeFile(path, "old");
        const broken = Readable.from(
          (async function* () {
            yield Buffer.alloc(3_000_000);
            throw new Error("the disk is gone");
          })(),
          { objectMode: false },
        );
        await expect(host.put(broken, path)).rejects.toMatchObject({
          code: "host.file",
          message: expect.stringContaining("the disk is gone"),
        });
        expect(await readFile(path, "utf8")).toBe("old");
      });

      it("an abort while the source has nothing to give ends the put", async () => {
        const control = new AbortController();
        const silent = new Readable({ read: () => undefined });
        silent.push(Buffer.alloc(100_000));
        const putting = host.put(silent, join(dir, "silent"), { signal: control.signal });
        setTimeout(() => control.abort(), 300);
        await expect(putting).rejects.toMatchObject({ code: "run.cancelled" });
      });

      it("until it is renamed, it is nobody else's to read", async () => {
        const go = Promise.withResolvers<void>();
        const slow = Readable.from(
          (async function* () {
            yield Buffer.alloc(600_000);
            await go.promise;
            yield Buffer.alloc(10);
          })(),
          { objectMode: false },
        );
        const putting = host.put(slow, join(dir, "slow"), { mode: 0o666 });
        try {
          await vi.waitFor(async () => {
            const [temp = ""] = (await readdir(dir)).filter((name) => name.startsWith(".ami-"));
            const { mode, size } = await stat(join(dir, temp));
            expect([temp.length > 0, mode & 0o777, size > 0]).toEqual([true, 0o600, true]);
          }, 20_000);
        } finally {
          go.resolve();
        }
        await putting;
        expect((await stat(join(dir, "slow"))).mode & 0o777).toBe(0o666);
      });

      it("a file that has no size is read to its end", async () => {
        expect((await text(await host.get("/proc/version"))).trim()).toBe(
          (await readFile("/proc/version", "utf8")).trim(),
        );
      });

      it("many at once", async () => {
        const paths = Array.from({ length: 20 }, (_, i) => join(dir, `many-${i}`));
        await Promise.all(paths.map((path, i) => host.put(bytes(300_000 + i), path)));
        const back = await Promise.all(paths.map(async (path) => sha256(await host.get(path))));
        expect(back).toEqual(await Promise.all(paths.map((_, i) => sha256(bytes(300_000 + i)))));
      });

      it("owner and mode of a large file are kept, and a link is replaced", async () => {
        const path = join(dir, "owned");
        await writeFile(path, "old", { mode: 0o640 });
        await symlink("owned", join(dir, "link"));
        await host.put(bytes(100_000), path);
        expect((await stat(path)).mode & 0o7777).toBe(0o640);
        await host.put(bytes(100_001), join(dir, "link"));
        expect([(await stat(path)).size, (await stat(join(dir, "link"))).size]).toEqual([100_000, 100_001]);
        if (process.getuid?.() !== 0) return;
        await host.put(bytes(100_000), path, { owner: "12345", group: "54321", mode: 0o4750 });
        const { uid, gid, mode } = await stat(path);
        expect([uid, gid, mode & 0o7777]).toEqual([12345, 54321, 0o4750]);
        await host.put(bytes(100_000), path);
        const kept = await stat(path);
        expect([kept.uid, kept.gid, kept.mode & 0o7777]).toEqual([12345, 54321, 0o4750]);
      });

      it("what cannot be is refused in words", async () => {
        const refusal = (path: string): object => ({
          code: "host.file",
          host: "box",
          message: expect.stringContaining(`${path}: `),
        });
        for (const path of [join(dir, "missing/file"), dir]) {
          await expect(host.put(bytes(100_000), path)).rejects.toMatchObject(refusal(path));
        }
        for (const path of [join(dir, "missing"), dir]) {
          await expect(host.get(path).then(text)).rejects.toMatchObject(refusal(path));
        }
      });

      it("a connection cut on the way is told", async () => {
        const slow = Readable.from(
          (async function* () {
            for (;;) {
              yield Buffer.alloc(300_000);
              await new Promise((resolve) => setTimeout(resolve, 20));
            }
          })(),
          { objectMode: false },
        );
        const path = join(dir, "cut");
        await writeFile(path, "old");
        let cut = false;
        const putting = host.put(slow, path, {
          onProgress(done) {
            if (done > 2_000_000 && !cut) {
              cut = true;
              void server.connections().then((pids) => pids.forEach((pid) => process.kill(pid, "SIGKILL")));
            }
          },
        });
        await expect(putting).rejects.toMatchObject({ code: "ssh.lost" });
        expect(await readFile(path, "utf8")).toBe("old");
        // A killed sftp server cannot tidy up; everything else does.
        const left = (await readdir(dir)).filter((name) => name.startsWith(".ami-"));
        await Promise.all(left.map((name) => host.exec(["rm", "-f", join(dir, name)])));
        expect((await host.exec(["echo", "fine"])).stdout.toString()).toMatch(/^fine$/m);
      });
    });
  }
});

needs(
  "sshd",
  "root",
  "useradd",
)("files of somebody else", () => {
  for (const [title, config] of [
    ["with sftp", []],
    ["without sftp", ["Subsystem sftp /no/such/program"]],
  ] as const) {
    it(`lose the special bits that were meant for the old owner, ${title}`, async () => {
      const account = await createAccount();
      const server = await startSshd({ config });
      const hosts = openHosts({ ssh: { configFile: server.configFile, env: {} } });
      try {
        const host = await hosts.open(parseTarget(`${account.name}@box`));
        const path = join(account.home, "tool");
        await writeFile(path, "old");
        await chmod(path, 0o6755);
        await host.put(bytes(100_000), path);
        const { uid, mode } = await stat(path);
        expect([uid, mode & 0o7777]).toEqual([account.uid, 0o755]);
      } finally {
        await hosts.close();
        await server.stop();
        await account.remove();
      }
    });
  }
});

/** Bytes that are the same each time, and differ everywhere. */
function bytes(size: number): Readable {
  return Readable.from(
    (function* () {
      const block = createHash("shake256", { outputLength: 1 << 16 })
        .update("ami")
        .digest();
      for (let at = 0; at < size; at += block.length) {
        const chunk = Buffer.from(block.subarray(0, Math.min(block.length, size - at)));
        if (chunk.length >= 4) chunk.writeUInt32LE(at, 0);
        yield chunk;
      }
    })(),
    { objectMode: false },
  );
}

async function sha256(stream: Readable): Promise<string> {
  const hash = createHash("sha256");
  for await (const chunk of stream as AsyncIterable<Buffer>) hash.update(chunk);
  return hash.digest("hex");
}

async function text(stream: Readable): Promise<string> {
  return Buffer.concat(await stream.toArray()).toString();
}
