/** Tunnels under torture: cut again and again in the midst of work, and no byte that arrives is a wrong one. */
import { createHash } from "node:crypto";
import { readdirSync } from "node:fs";
import { type AddressInfo, type Socket, connect, createServer } from "node:net";
import { buffer } from "node:stream/consumers";
import { setTimeout as sleep } from "node:timers/promises";
import { expect, it } from "vitest";
import { type Event, createEvents } from "../../src/core/events.ts";
import { localHost } from "../../src/core/hosts/local.ts";
import { openHosts } from "../../src/core/hosts/open.ts";
import { parseTarget } from "../../src/core/targets.ts";
import { keepTunnels } from "../../src/core/tunnel/keep.ts";
import { parseTunnel } from "../../src/core/tunnel/spec.ts";
import { needs } from "../servers/engines.ts";
import { startSshd } from "../servers/sshd.ts";

const whole = Buffer.alloc(4 << 20, "0123456789abcdef-");

needs("sshd")("tunnels under torture", () => {
  it("12 cuts under 8 clients: each gets the whole or the start of it, and works again after", async () => {
    const box = await startSshd();
    const service = createServer((socket) => socket.on("error", () => undefined).end(whole));
    await new Promise<void>((resolve) => service.listen(0, "127.0.0.1", resolve));
    const hosts = openHosts({ ssh: { configFile: box.configFile, env: {} } });
    const events = createEvents("torture");
    const ups: Extract<Event, { kind: "tunnel.up" }>[] = [];
    events.subscribe((event) => void (event.kind === "tunnel.up" && ups.push(event)));
    const control = new AbortController();
    const { port } = service.address() as AddressInfo;
    const tunnels = [`0:localhost:${port}`].map((text) => parseTunnel("local", text));
    tunnels.push(parseTunnel("remote", `0:localhost:${port}`));
    const far = await hosts.open(parseTarget("box"));
    const kept = keepTunnels({ here: localHost(), far, tunnels, events, signal: control.signal });
    await until(() => ups.length === 2);
    const ports = ups.map(({ listen }) => Number(listen.split(":").at(-1)));
    const counts = { whole: 0, part: 0, refused: 0 };
    let isOver = false;
    const clients = Array.from({ length: 8 }, async (_, i) => {
      while (!isOver) {
        const got = await fetchAll(ports[i % 2] ?? 0);
        if (got === undefined) {
          // The far port is away together with the connection.
          counts.refused++;
          await sleep(20);
        } else {
          expect(sha256(got)).toBe(sha256(whole.subarray(0, got.length)));
          counts[got.length === whole.length ? "whole" : "part"]++;
        }
      }
    });
    for (let cut = 1; cut <= 12; cut++) {
      await sleep(Math.random() * 400);
      for (const pid of await box.connections()) process.kill(pid, "SIGKILL");
      await until(() => ups.length >= 2 * (cut + 1));
    }
    isOver = true;
    await Promise.all(clients);
    for (const each of ports) expect((await fetchAll(each))?.length).toBe(whole.length);
    control.abort();
    await kept;
    expect(counts.whole).toBeGreaterThan(12);
    await hosts.close();
    service.close();
    await box.stop();
  }, 600_000);

  it("5000 short connections, 20 at a time, leave nothing behind", async () => {
    const box = await startSshd();
    const service = createServer(
      { allowHalfOpen: true },
      (socket) => void socket.on("error", () => undefined).pipe(socket),
    );
    await new Promise<void>((resolve) => service.listen(0, "127.0.0.1", resolve));
    const { port } = service.address() as AddressInfo;
    const hosts = openHosts({ ssh: { configFile: box.configFile, env: {} } });
    const far = await hosts.open(parseTarget("box"));
    const events = createEvents("torture");
    const control = new AbortController();
    const up = Promise.withResolvers<number>();
    events.subscribe((event) => event.kind === "tunnel.up" && up.resolve(Number(event.listen.split(":").at(-1))));
    const tunnels = [parseTunnel("local", `0:localhost:${port}`)];
    const kept = keepTunnels({ here: localHost(), far, tunnels, events, signal: control.signal });
    const at = await up.promise;
    const ask = async (word: string): Promise<void> => {
      const socket = connect({ port: at, host: "127.0.0.1" });
      socket.end(word);
      expect((await buffer(socket)).toString()).toBe(word);
    };
    const worker = async (_: unknown, id: number): Promise<void> => {
      for (let i = 0; i < 250; i++) await ask(`${id} ${i}`);
    };
    await Promise.all(Array.from({ length: 20 }, worker));
    const [pid] = await box.connections();
    // The session's own few, and none of the 5000.
    await until(() => readdirSync(`/proc/${pid}/fd`).length < 30);
    control.abort();
    expect(await kept).toMatchObject({ served: 5000 });
    await hosts.close();
    service.close();
    await box.stop();
  }, 300_000);
});

async function fetchAll(port: number): Promise<Buffer | undefined> {
  const socket: Socket = connect({ port, host: "127.0.0.1" });
  const isUp = await new Promise((resolve) =>
    socket.once("connect", () => resolve(true)).once("error", () => resolve(false)),
  );
  if (isUp !== true) return undefined;
  const pieces: Buffer[] = [];
  socket.on("data", (piece: Buffer) => pieces.push(piece)).on("error", () => undefined);
  await new Promise((resolve) => socket.once("close", resolve));
  return Buffer.concat(pieces);
}

function sha256(bytes: Buffer): string {
  return createHash("sha256").update(bytes).digest("hex");
}

async function until(condition: () => boolean): Promise<void> {
  for (const end = Date.now() + 60_000; Date.now() < end; await sleep(10)) if (condition()) return;
  throw new Error("it did not become so within a minute");
}
