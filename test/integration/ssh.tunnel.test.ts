/** Tunnels over real servers: what they carry, what they refuse, and that they come back when the connection breaks. */
import { execFile } from "node:child_process";
import { createHash, randomBytes } from "node:crypto";
import { stat, writeFile } from "node:fs/promises";
import { type AddressInfo, type Server, type Socket, connect, createServer } from "node:net";
import { join } from "node:path";
import { buffer } from "node:stream/consumers";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";
import { afterAll, afterEach, beforeAll, expect, it } from "vitest";
import { type Event, createEvents } from "../../src/core/events.ts";
import { localHost } from "../../src/core/hosts/local.ts";
import { type OpenHosts, openHosts } from "../../src/core/hosts/open.ts";
import { parseTarget } from "../../src/core/targets.ts";
import { type Kept, keepTunnels } from "../../src/core/tunnel/keep.ts";
import { type TunnelKind, parseTunnel } from "../../src/core/tunnel/spec.ts";
import { needs } from "../servers/engines.ts";
import { type Sshd, startSshd } from "../servers/sshd.ts";

interface Running {
  readonly seen: Event[];
  /** Where the tunnels listen, in the order asked for. */
  readonly at: readonly string[];
  readonly kept: Promise<Kept>;
  stop(): Promise<Kept>;
}

needs("sshd", "curl")("tunnels", () => {
  let box: Sshd;
  let service: Server;
  let port: number;
  const ends: (() => Promise<unknown>)[] = [];
  beforeAll(async () => {
    // MaxSessions does not count what is forwarded.
    box = await startSshd({ config: ["MaxSessions 1"] });
    service = createServer({ allowHalfOpen: true }, (socket) => void socket.on("error", () => undefined).pipe(socket));
    port = await listen(service);
  });
  afterEach(async () => {
    for (const end of ends.splice(0).toReversed()) await end();
  });
  afterAll(async () => {
    service?.close();
    await box?.stop();
  });

  const begin = async (wishes: readonly (readonly [TunnelKind, string])[], server = box): Promise<Running> => {
    const hosts: OpenHosts = openHosts({ ssh: { configFile: server.configFile, env: {} } });
    ends.push(() => hosts.close());
    const events = createEvents("test");
    const seen: Event[] = [];
    events.subscribe((event) => seen.push(event));
    const control = new AbortController();
    const tunnels = wishes.map(([kind, text]) => parseTunnel(kind, text));
    const far = await hosts.open(parseTarget("box"));
    const kept = keepTunnels({ here: localHost(), far, tunnels, events, signal: control.signal });
    kept.catch(() => undefined);
    const stop = (): Promise<Kept> => {
      control.abort();
      return kept;
    };
    ends.push(() => stop().catch(() => undefined));
    await Promise.race([kept, until(() => ups(seen).length === wishes.length)]);
    return { seen, at: ups(seen).map(({ listen: at }) => at), kept, stop };
  };
  const cut = async (): Promise<void> => {
    for (const pid of await box.connections()) process.kill(pid, "SIGKILL");
  };

  it("carry large things both ways, in both directions, and through sockets", async () => {
    const there = join(box.dir, "there.sock");
    const here = join(box.dir, "here.sock");
    const { at, stop } = await begin([
      ["local", `0:localhost:${port}`],
      ["remote", `0:localhost:${port}`],
      ["remote", `${there}:localhost:${port}`],
      ["local", `${here}:${there}`],
    ]);
    // Only who started it may connect, whatever the mask of files.
    expect((await stat(here)).mode & 0o077).toBe(0);
    const sent = randomBytes(8 << 20);
    const digests = await Promise.all(
      at.map(async (place) => {
        const socket = await dial(place);
        const back = buffer(socket);
        socket.end(sent);
        return sha256(await back);
      }),
    );
    expect(digests).toEqual(at.map(() => sha256(sent)));
    expect(await stop()).toMatchObject({ served: 5 });
    await expect(dial(at[0] ?? "")).rejects.toThrow();
  });

  it("carry 300 short connections and 200 at once", async () => {
    const { at, stop } = await begin([["local", `0:localhost:${port}`]]);
    const ask = async (word: string): Promise<void> => {
      const socket = await dial(at[0] ?? "");
      socket.end(word);
      expect((await buffer(socket)).toString()).toBe(word);
    };
    const worker = async (_: unknown, id: number): Promise<void> => {
      for (let i = 0; i < 30; i++) await ask(`${id} ${i}`);
    };
    await Promise.all(Array.from({ length: 10 }, worker));
    const open = await Promise.all(Array.from({ length: 200 }, () => dial(at[0] ?? "")));
    await Promise.all(
      open.map(async (socket, i) => {
        socket.end(`at once ${i}`);
        expect((await buffer(socket)).toString()).toBe(`at once ${i}`);
      }),
    );
    expect(await stop()).toMatchObject({ served: 500 });
  });

  it("come back when the connection breaks: clients are let go, listeners stay, the far port is the same", async () => {
    const there = join(box.dir, "again.sock");
    const { at, seen, stop } = await begin([
      ["local", `0:localhost:${port}`],
      ["remote", `0:localhost:${port}`],
      ["remote", `${there}:localhost:${port}`],
    ]);
    for (let round = 1; round <= 2; round++) {
      const old = await dial(at[0] ?? "");
      old.write("x");
      await new Promise((resolve) => old.once("data", resolve));
      await cut();
      expect((await buffer(old)).length).toBe(0);
      old.destroy();
      // At once: it waits until there is a connection again.
      for (const place of [at[0] ?? ""]) expect(await echo(place, "waited")).toBe("waited");
      await until(() => ups(seen, true).length === 3 * round);
      for (const place of at) expect(await echo(place, "again")).toBe("again");
    }
    expect(seen.filter(({ kind }) => kind === "tunnel.lost").length).toBeGreaterThanOrEqual(2);
    expect(ups(seen, true).map(({ listen: place }) => place)).toEqual([...at, ...at]);
    await stop();
  });

  it("come back over a jump host that broke, and from a server that went away without a word", async () => {
    const jump = await startSshd({ name: "jump" });
    ends.push(() => jump.stop());
    const configFile = join(jump.dir, "client");
    const lines = ["Host box", "ProxyJump jump", "Host *", "ServerAliveInterval 1", "ServerAliveCountMax 1"];
    await writeFile(configFile, [...lines, `Include ${jump.configFile}`, `Include ${box.configFile}`, ""].join("\n"));
    const { at, seen, stop } = await begin([["local", `0:localhost:${port}`]], { ...box, configFile });
    expect(await echo(at[0] ?? "", "there")).toBe("there");
    for (const pid of await jump.connections()) process.kill(pid, "SIGKILL");
    await until(() => ups(seen, true).length === 1);
    expect(await echo(at[0] ?? "", "again")).toBe("again");
    const silent = await box.connections();
    for (const pid of silent) process.kill(pid, "SIGSTOP");
    await until(() => ups(seen, true).length === 2);
    expect(await echo(at[0] ?? "", "once more")).toBe("once more");
    for (const pid of silent) process.kill(pid, "SIGKILL");
    await stop();
  });

  it("are ended at once, also while the server is away", async () => {
    const away = await startSshd();
    const { at, seen, stop } = await begin([["local", `0:localhost:${port}`]], away);
    await away.stop();
    await until(() => seen.filter(({ kind }) => kind === "tunnel.lost").length >= 2);
    const waiting = await dial(at[0] ?? "");
    const started = performance.now();
    await stop();
    expect(performance.now() - started).toBeLessThan(2000);
    expect((await buffer(waiting).catch(() => Buffer.alloc(0))).length).toBe(0);
  });

  it("stop trying when the server is no longer the one it was", async () => {
    const hosts = await Promise.all([startSshd(), startSshd()]);
    const [first, second] = hosts;
    ends.push(() => Promise.all(hosts.map((server) => server.stop())));
    // The same address, answered by a server with another key.
    let to = first.port;
    const relay = createServer((socket) => {
      const other = connect(to, "127.0.0.1");
      for (const each of [socket, other]) each.on("error", () => undefined);
      socket.pipe(other).pipe(socket);
      socket.once("close", () => other.destroy());
      other.once("close", () => socket.destroy());
    });
    const relayPort = await listen(relay);
    ends.push(() => new Promise((resolve) => relay.close(resolve)));
    const known = (await promisify(execFile)("sed", [`s/:${first.port} /:${relayPort} /`, first.knownHosts])).stdout;
    await writeFile(first.knownHosts, known);
    await promisify(execFile)("sed", ["-i", `s/Port ${first.port}/Port ${relayPort}/`, first.configFile]);
    const { kept } = await begin([["local", `0:localhost:${port}`]], first);
    to = second.port;
    for (const pid of await first.connections()) process.kill(pid, "SIGKILL");
    await expect(kept).rejects.toMatchObject({ code: "hostkey.changed" });
  });

  it("say why a client got nothing, and the SOCKS client hears it too", async () => {
    const shut = await startSshd({ config: ["AllowTcpForwarding no"] });
    ends.push(() => shut.stop());
    const { at, seen } = await begin(
      [
        ["local", `0:localhost:${port}`],
        ["dynamic", "0"],
      ],
      shut,
    );
    expect(await echo(at[0] ?? "", "x")).toBe("");
    await until(() => notes(seen).some((text) => text.includes("AllowTcpForwarding")));
    const client = await dial(at[1] ?? "");
    client.write(Buffer.from([5, 1, 0, 5, 1, 0, 1, 127, 0, 0, 1, 0, 1]));
    expect([...(await buffer(client))]).toEqual([5, 0, 5, 2, 0, 1, 0, 0, 0, 0, 0, 0]);
    client.destroy();
    await expect(begin([["remote", `0:localhost:${port}`]], shut)).rejects.toMatchObject({
      code: "host.forward",
      hint: expect.stringContaining("AllowTcpForwarding"),
    });
  });

  it("say who has a port that is in use", async () => {
    await expect(begin([["local", `${port}:localhost:80`]])).rejects.toMatchObject({
      code: "host.forward",
      message: expect.stringMatching(new RegExp(`cannot listen on .*:${port} here: .*\\(pid ${process.pid}\\) has`)),
    });
    await expect(begin([["remote", `127.0.0.1:${port}:localhost:80`]])).rejects.toMatchObject({
      code: "host.forward",
      hint: expect.stringContaining("the port is in use there"),
    });
  });

  it("serve curl, by every kind of SOCKS, and by a proxy on the far side", async () => {
    const web = createServer((socket) => {
      socket.once("data", () => socket.end("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello"));
    });
    const webPort = await listen(web);
    ends.push(() => new Promise((resolve) => web.close(resolve)));
    const { at } = await begin([
      ["dynamic", "0"],
      ["remote", "0"],
    ]);
    for (const place of at) {
      for (const how of ["--socks5-hostname", "--socks5", "--socks4", "--socks4a"]) {
        const url = `http://localhost:${webPort}/`;
        const { stdout } = await promisify(execFile)("curl", ["-s", "-4", "--noproxy", "", how, place, url]);
        expect(stdout, `${how} ${place}`).toBe("hello");
      }
    }
  });
});

function ups(seen: readonly Event[], again = false): Extract<Event, { kind: "tunnel.up" }>[] {
  return seen.filter((event) => event.kind === "tunnel.up").filter((event) => event.again === again);
}

function notes(seen: readonly Event[]): string[] {
  return seen.flatMap((event) => (event.kind === "note" ? [event.text] : []));
}

async function listen(server: Server): Promise<number> {
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return (server.address() as AddressInfo).port;
}

/** `localhost:80` or a path. */
async function dial(at: string): Promise<Socket> {
  const port = Number(at.split(":").at(-1));
  const place = at.startsWith("/") ? { path: at } : { port, host: "127.0.0.1" };
  const socket = connect({ ...place, allowHalfOpen: true });
  await new Promise<void>((resolve, reject) => socket.once("connect", resolve).once("error", reject));
  return socket.on("error", () => undefined);
}

async function echo(at: string, word: string): Promise<string> {
  const socket = await dial(at);
  socket.end(word);
  return (await buffer(socket)).toString();
}

function sha256(bytes: Buffer): string {
  return createHash("sha256").update(bytes).digest("hex");
}

async function until(condition: () => boolean): Promise<void> {
  for (const end = Date.now() + 25_000; Date.now() < end; await sleep(10)) if (condition()) return;
  throw new Error("it did not become so within 25 s");
}
