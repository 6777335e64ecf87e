/** The part of the Host exam about `forward`: asked of hosts that have it, through both ends of what they carry. */
import { createHash, randomBytes } from "node:crypto";
import type { Duplex } from "node:stream";
import { buffer } from "node:stream/consumers";
import { setTimeout as sleep } from "node:timers/promises";
import { describe, expect, it } from "vitest";
import type { Endpoint, Host, Listening, Way } from "../../src/core/host.ts";

/** `place`: the host, and a folder on it. */
export function forwardExam(place: () => { readonly host: Host; readonly dir: string }): void {
  describe("forward, where there is one", () => {
    /** A port and a socket of the host, with `serve` behind each. */
    const each = async (serve: (stream: Duplex) => void, ask: (way: Way, at: Endpoint) => Promise<void>) => {
      const { host, dir } = place();
      const way = await host.forward?.();
      if (way === undefined) return;
      for (const at of [
        { host: "127.0.0.1", port: 0 },
        { host: "localhost", port: 0 },
        { path: `${dir}/${randomBytes(4).toString("hex")}.sock` },
      ]) {
        const listening = await way.listen(at, serve);
        if ("port" in listening.at) expect(listening.at.port).toBeGreaterThan(0);
        try {
          await ask(way, listening.at);
        } finally {
          await listening.close();
        }
      }
    };

    it("carries bytes both ways, and the end of each way by itself", async () => {
      await each(
        (stream) => void lengthOf(stream).then((length) => stream.end(`got ${length}`)),
        async (way, at) => {
          const stream = await way.connect(at);
          stream.write("abc");
          stream.end("def");
          expect((await buffer(stream)).toString()).toBe("got 6");
        },
      );
    });

    it("carries 8 MiB there and back, and holds up a writer whose reader is slow", async () => {
      const sent = randomBytes(8 << 20);
      let taken = 0;
      await each(
        (stream) => {
          stream.pause();
          setTimeout(() => stream.on("data", (bytes: Buffer) => (taken += bytes.length)).pipe(stream), 300);
        },
        async (way, at) => {
          taken = 0;
          const stream = await way.connect(at);
          const back = buffer(stream);
          const pieces = Array.from({ length: 128 }, (_, i) => sent.subarray(i << 16, (i + 1) << 16));
          const waits = pieces.filter((piece) => !stream.write(piece)).length;
          expect([waits > 0, taken]).toEqual([true, 0]);
          stream.end();
          expect(sha256(await back)).toBe(sha256(sent));
        },
      );
    });

    it("tells each side when the other is gone", async () => {
      const served: Duplex[] = [];
      await each(
        (stream) => void served.push(stream.resume()),
        async (way, at) => {
          const stream = await way.connect(at);
          stream.resume().write("x");
          await until(() => served.length === 1);
          served.pop()?.destroy();
          // Who only stopped sending may still read: that nobody does is found out by writing.
          await until(() => stream.readableEnded || stream.closed);
          await until(() => stream.closed || !stream.write("y"));
          const other = await way.connect(at);
          other.write("x");
          await until(() => served.length === 1);
          const [there] = served.splice(0);
          other.destroy();
          await until(() => there?.readableEnded === true || there?.destroyed === true);
          there?.destroy();
        },
      );
    });

    it("carries 200 at once, and 300 one after the other", async () => {
      await each(
        (stream) => void stream.pipe(stream),
        async (way, at) => {
          if ("host" in at && at.host === "localhost") return;
          // sshd connects to the socket that it accepts from itself: more than its backlog it refuses.
          const most = "path" in at ? 50 : 200;
          const ask = async (word: string): Promise<void> => {
            const stream = await way.connect(at);
            stream.end(word);
            expect((await buffer(stream)).toString()).toBe(word);
          };
          await Promise.all(Array.from({ length: most }, (_, i) => ask(`at once ${i}`)));
          for (let i = 0; i < 300; i++) await ask(`number ${i}`);
        },
      );
    });

    it("refuses what cannot be connected to or listened on", async () => {
      const { host, dir } = place();
      const way = await host.forward?.();
      if (way === undefined) return;
      await expect(way.connect({ host: "127.0.0.1", port: 1 })).rejects.toMatchObject({
        code: "host.forward",
        host: host.name,
        message: expect.stringMatching(/127\.0\.0\.1:1.*connection refused/),
      });
      await expect(way.connect({ path: `${dir}/nobody.sock` })).rejects.toMatchObject({ code: "host.forward" });
      const first = await way.listen({ host: "127.0.0.1", port: 0 }, (stream) => stream.destroy());
      await expect(way.listen(first.at, (stream) => stream.destroy())).rejects.toMatchObject({ code: "host.forward" });
      await first.close();
      await first.close();
      await expect(way.connect(first.at)).rejects.toMatchObject({ code: "host.forward" });
      const again: Listening = await way.listen(first.at, (stream) => stream.destroy());
      await again.close();
    });

    it("gives up connecting when told to", async () => {
      const { host } = place();
      const way = await host.forward?.();
      if (way === undefined) return;
      await expect(way.connect({ host: "127.0.0.1", port: 1 }, AbortSignal.abort())).rejects.toMatchObject({
        code: "run.cancelled",
      });
    });
  });
}

function sha256(bytes: Buffer): string {
  return createHash("sha256").update(bytes).digest("hex");
}

async function until(condition: () => boolean): Promise<void> {
  for (const end = Date.now() + 20_000; Date.now() < end; await sleep(10)) if (condition()) return;
  throw new Error("it did not become so within 20 s");
}

/** How much comes until its end. By hand: under Bun 1.4 `stream/consumers` destroys a socket it has read to the end. */
function lengthOf(stream: Duplex): Promise<number> {
  let length = 0;
  stream.on("data", (bytes: Buffer) => (length += bytes.length));
  return new Promise((resolve) => stream.once("end", () => resolve(length)));
}
