/** Connecting: the right error for each way it can fail, and no time lost on the ways it succeeds. */
import { type AddressInfo, type Server, Socket, createServer } from "node:net";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { createSshPool } from "../../src/core/ssh/pool.ts";
import { needs } from "../servers/engines.ts";
import { type Sshd, startSshd } from "../servers/sshd.ts";

describe("connecting to what is no ssh server", () => {
  const servers: Server[] = [];
  const sockets: Socket[] = [];
  afterEach(() => {
    for (const socket of sockets.splice(0)) socket.destroy();
    for (const server of servers.splice(0)) server.close();
  });
  async function listen(greet: (socket: Socket) => void): Promise<number> {
    const server = createServer((socket) => {
      sockets.push(socket);
      socket.on("error", () => undefined);
      socket.resume(); // sees when the other side hangs up
      greet(socket);
    });
    servers.push(server);
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    return (server.address() as AddressInfo).port;
  }
  const connect = async (host: string, port: number, timeout = 20_000, configFile = "none"): Promise<void> => {
    const pool = createSshPool({ configFile, env: {}, connectTimeout: timeout });
    try {
      await (await pool.link({ name: "web1", host, port, user: "me" })).link.connect();
    } finally {
      await pool.close();
    }
  };

  it("a closed port refuses", async () => {
    const port = await listen(() => undefined);
    await new Promise((resolve) => servers.pop()?.close(resolve));
    await expect(connect("127.0.0.1", port)).rejects.toMatchObject({
      code: "ssh.connect",
      host: "web1",
      message: `127.0.0.1:${port} refused the connection`,
      retry: "yes",
    });
  });

  it("a closed port is tried as often as ConnectionAttempts says", async () => {
    const port = await listen(() => undefined);
    await new Promise((resolve) => servers.pop()?.close(resolve));
    const dir = await mkdtemp(join(tmpdir(), "ami-attempts-"));
    const configFile = join(dir, "config");
    await writeFile(configFile, "ConnectionAttempts 20\n");
    const connecting = connect("127.0.0.1", port, 20_000, configFile);
    connecting.catch(() => undefined);
    // It has been refused by now; whoever answers later was reached by a further attempt.
    await new Promise((resolve) => setTimeout(resolve, 300));
    const late = createServer((socket) => socket.end("late\r\n"));
    servers.push(late);
    await new Promise<void>((resolve) => late.listen(port, "127.0.0.1", resolve));
    await expect(connecting).rejects.toMatchObject({ code: "ssh.protocol", message: expect.stringContaining("late") });
    await rm(dir, { recursive: true });
  });

  it("a name nobody knows is not found", async () => {
    await expect(connect("no-such-host.invalid", 22)).rejects.toMatchObject({
      code: "ssh.connect",
      message: expect.stringContaining("no-such-host.invalid"),
    });
  });

  it("a server that says nothing is given up, and the error says what was waited for", async () => {
    const port = await listen(() => undefined);
    const started = performance.now();
    await expect(connect("127.0.0.1", port, 500)).rejects.toMatchObject({
      code: "ssh.connect",
      message: `127.0.0.1:${port} did not answer in time: gave up waiting for the banner`,
    });
    expect(performance.now() - started).toBeLessThan(10_000);
  });

  it("a server that stops after its version is given up in the key exchange", async () => {
    const port = await listen((socket) => socket.write("SSH-2.0-Tarpit\r\n"));
    await expect(connect("127.0.0.1", port, 500)).rejects.toMatchObject({
      code: "ssh.connect",
      message: expect.stringContaining("waiting for key exchange"),
    });
  });

  it("a web server is told by what it says", async () => {
    const port = await listen((socket) => socket.end("HTTP/1.1 400 Bad Request\r\n\r\n"));
    await expect(connect("127.0.0.1", port)).rejects.toMatchObject({
      code: "ssh.protocol",
      message: `127.0.0.1:${port} does not speak ssh: it says "HTTP/1.1 400 Bad Request"`,
    });
  });

  it("a server that is full says so", async () => {
    const port = await listen((socket) => socket.end("Exceeded MaxStartups\r\n"));
    await expect(connect("127.0.0.1", port)).rejects.toMatchObject({
      code: "ssh.connect",
      message: `127.0.0.1:${port} turned us away: Exceeded MaxStartups`,
      retry: "yes",
    });
  });

  it("a server that hangs up at once may be asked again", async () => {
    const port = await listen((socket) => socket.destroy());
    await expect(connect("127.0.0.1", port)).rejects.toMatchObject({ code: "ssh.connect", retry: "yes" });
  });

  it("an abort ends the wait at once", async () => {
    const port = await listen(() => undefined);
    const pool = createSshPool({ configFile: "none", env: {} });
    const { link } = await pool.link({ name: "web1", host: "127.0.0.1", port, user: "me" });
    const control = new AbortController();
    const connecting = link.connect(control.signal);
    setTimeout(() => control.abort(), 100);
    await expect(connecting).rejects.toMatchObject({ code: "run.cancelled" });
    await pool.close();
    await vi.waitFor(() => expect(sockets.every((socket) => socket.readableEnded || socket.destroyed)).toBe(true));
  });

  it("no more handshakes at once than allowed", async () => {
    const port = await listen(() => undefined);
    const pool = createSshPool({ configFile: "none", env: {}, handshakes: 3 });
    const links = await Promise.all(
      Array.from({ length: 10 }, (_, i) => pool.link({ name: `web${i}`, host: "127.0.0.1", port, user: `me${i}` })),
    );
    const connecting = Promise.allSettled(links.map(({ link }) => link.connect()));
    await vi.waitFor(() => expect(sockets.length).toBeGreaterThanOrEqual(3));
    await new Promise((resolve) => setTimeout(resolve, 300));
    expect(sockets).toHaveLength(3);
    await pool.close();
    expect((await connecting).map(({ status }) => status)).toEqual(Array.from({ length: 10 }, () => "rejected"));
  });
});

needs("sshd", "ssh")("connecting to sshd", () => {
  let server: Sshd;
  beforeEach(async () => {
    server = await startSshd();
  });
  afterEach(async () => {
    vi.restoreAllMocks();
    await server.stop();
  });

  it("turns Nagle's delay off before the first byte, and never on again", async () => {
    const order: string[] = [];
    const { setNoDelay, write } = Socket.prototype;
    vi.spyOn(Socket.prototype, "setNoDelay").mockImplementation(function (this: Socket, on) {
      order.push(`setNoDelay ${on}`);
      return setNoDelay.call(this, on);
    });
    const writes = vi.spyOn(Socket.prototype, "write").mockImplementation(function (this: Socket, ...args: unknown[]) {
      if (this.remotePort === server.port && order.at(-1) !== "write") order.push("write");
      return Reflect.apply(write, this, args) as boolean;
    });
    const pool = createSshPool({ configFile: server.configFile, env: {} });
    const { link } = await pool.link({ name: "box", host: "box" });
    await link.connect();
    expect(order.slice(0, 2)).toEqual(["setNoDelay true", "write"]);
    writes.mockRestore();

    for (let i = 0; i < 20; i++) {
      const session = await link.session({ command: "true" });
      session.stdin.end();
      await session.exit;
    }
    expect(order).not.toContain("setNoDelay false");
    expect(await server.connections()).toHaveLength(1);
    await pool.close();
  });

  it("names both sides when they have nothing in common", async () => {
    const strict = await startSshd({ config: ["Ciphers aes256-cbc", "KexAlgorithms curve25519-sha256"] });
    try {
      const connect = async (config: string): Promise<void> => {
        const configFile = join(strict.dir, "client");
        await writeFile(configFile, `${config}\nInclude ${strict.configFile}\n`);
        const pool = createSshPool({ configFile, env: {} });
        try {
          await (await pool.link({ name: "box", host: "box" })).link.connect();
        } finally {
          await pool.close();
        }
      };
      await expect(connect("")).rejects.toMatchObject({
        code: "ssh.protocol",
        message: expect.stringMatching(
          /^no cipher in common with [^]*we offer aes128-gcm@openssh.com, [^]*it offers aes256-cbc$/,
        ),
        hint: expect.stringContaining("Ciphers +aes256-cbc"),
      });
      await connect("Ciphers +aes256-cbc");
      await expect(connect("KexAlgorithms no-such-thing")).rejects.toMatchObject({
        code: "ssh.protocol",
        message: expect.stringContaining("KexAlgorithms no-such-thing"),
      });
    } finally {
      await strict.stop();
    }
  });

  it("compresses when the config says so", async () => {
    const configFile = join(server.dir, "client");
    await writeFile(configFile, `Compression yes\nInclude ${server.configFile}\n`);
    const pool = createSshPool({ configFile, env: {} });
    const { link } = await pool.link({ name: "box", host: "box" });
    const session = await link.session({ command: "cat" });
    session.stderr.resume();
    const sent = Buffer.alloc(3_000_000, "all work and no play ");
    session.stdin.end(sent);
    expect(Buffer.concat(await session.stdout.toArray()).equals(sent)).toBe(true);
    expect(await session.exit).toEqual({ code: 0 });
    await pool.close();
  });

  it("one login serves everybody who opens the same place, and close leaves nothing behind", async () => {
    const pool = createSshPool({ configFile: server.configFile, env: {} });
    const links = await Promise.all([1, 2, 3].map(() => pool.link({ name: "box", host: "box" })));
    await Promise.all(links.map(({ link }) => link.connect()));
    expect(await server.connections()).toHaveLength(1);
    await Promise.all([pool.close(), pool.close()]);
    await vi.waitFor(async () => expect(await server.connections()).toHaveLength(0));
    await expect(pool.link({ name: "box", host: "box" })).rejects.toMatchObject({ code: "ssh.lost" });
  });
});
