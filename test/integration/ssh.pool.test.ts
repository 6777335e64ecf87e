/** The pool: many commands on few connections, and what happens when one of those breaks. */
import { writeFile } from "node:fs/promises";
import { afterEach, expect, it, vi } from "vitest";
import type { Session } from "../../src/core/ssh/session.ts";
import type { Link } from "../../src/core/ssh/link.ts";
import { type SshPool, createSshPool } from "../../src/core/ssh/pool.ts";
import { needs } from "../servers/engines.ts";
import { type Sshd, type SshdOptions, startSshd } from "../servers/sshd.ts";

needs("sshd")("the pool", () => {
  const pools: SshPool[] = [];
  const servers: Sshd[] = [];
  afterEach(async () => {
    await Promise.all(pools.splice(0).map((pool) => pool.close()));
    await Promise.all(servers.splice(0).map((server) => server.stop()));
  });
  async function open(options: SshdOptions = {}): Promise<{ server: Sshd; link: Link }> {
    const server = await startSshd(options);
    const pool = createSshPool({ configFile: server.configFile, env: {} });
    servers.push(server);
    pools.push(pool);
    return { server, link: (await pool.link({ name: "box", host: "box" })).link };
  }
  const start = async (link: Link, command: string): Promise<Session> => {
    const session = await link.session({ command });
    session.stdin.end();
    session.stderr.resume();
    return session;
  };
  const output = async (link: Link, command: string): Promise<string> => {
    const session = await start(link, command);
    const said = Buffer.concat(await session.stdout.toArray()).toString();
    expect(await session.exit).toEqual({ code: 0 });
    return said;
  };

  it("short commands beyond MaxSessions wait for a place on the same connection", async () => {
    const { server, link } = await open();
    await link.connect();
    const said = await Promise.all(Array.from({ length: 40 }, (_, i) => output(link, `echo ${i}`)));
    expect(said).toEqual(Array.from({ length: 40 }, (_, i) => `${i}\n`));
    expect((await server.connections()).length).toBeLessThan(5);
  });

  for (const sessions of [1, 2]) {
    it(`30 at once get through a server that allows ${sessions} a connection`, async () => {
      const { server, link } = await open({ config: [`MaxSessions ${sessions}`] });
      const said = await Promise.all(Array.from({ length: 30 }, (_, i) => output(link, `sleep 0.2; echo ${i}`)));
      expect(said).toEqual(Array.from({ length: 30 }, (_, i) => `${i}\n`));
      expect((await server.connections()).length).toBeGreaterThan(1);
    });
  }

  it("what is urgent does not wait behind commands that run for long", async () => {
    for (const config of [[], ["MaxSessions 1"]]) {
      const { link } = await open({ config });
      await link.connect();
      const control = new AbortController();
      const long = Array.from({ length: 30 }, () =>
        link.session({ command: "exec sleep 100" }, { signal: control.signal }).catch(() => undefined),
      );
      await Promise.race(long);
      const session = await link.session({ command: "exit 7" }, { urgent: true });
      expect(await session.exit).toEqual({ code: 7 });
      control.abort();
      for (const each of await Promise.all(long)) each?.abandon();
    }
  });

  it("a server that opens no session at all is an error, not an endless wait", async () => {
    const { link } = await open({ config: ["MaxSessions 0"] });
    await link.connect();
    await expect(link.session({ command: "true" })).rejects.toMatchObject({
      code: "host.spawn",
      hint: expect.stringContaining("MaxSessions"),
    });
  });

  it("who waits may give up waiting", async () => {
    const { link } = await open();
    const control = new AbortController();
    const running = await start(link, "sleep 100");
    const waiting = Promise.all(
      Array.from({ length: 300 }, () => link.session({ command: "sleep 100" }, { signal: control.signal })),
    );
    setTimeout(() => control.abort(), 300);
    await expect(waiting).rejects.toMatchObject({ code: "run.cancelled", host: "box" });
    running.abandon();
  });

  it("a start may be given up while the server does not answer", async () => {
    const { server, link } = await open();
    await link.connect();
    const pids = await server.connections();
    for (const pid of pids) process.kill(pid, "SIGSTOP");
    const control = new AbortController();
    const starting = link.session({ command: "true" }, { signal: control.signal });
    setTimeout(() => control.abort(), 100);
    await expect(starting).rejects.toMatchObject({ code: "run.cancelled", host: "box" });
    for (const pid of pids) process.kill(pid, "SIGCONT");
    expect(await output(link, "echo fine")).toBe("fine\n");
  });

  it("a cut connection rejects what runs on it, and the next command makes a new one", async () => {
    const { server, link } = await open();
    const sessions = await Promise.all([1, 2, 3].map(() => start(link, "echo up; exec sleep 100")));
    for (const session of sessions) for await (const _ of session.stdout) break;
    for (const pid of await server.connections()) process.kill(pid, "SIGKILL");
    for (const session of sessions) {
      await expect(session.exit).rejects.toMatchObject({ code: "ssh.lost", host: "box", retry: "unknown" });
    }
    expect(await output(link, "echo again")).toBe("again\n");
  });

  it("a server that goes away without a word is noticed", async () => {
    const server = await startSshd();
    servers.push(server);
    const configFile = `${server.dir}/client`;
    await writeFile(configFile, `ServerAliveInterval 1\nServerAliveCountMax 2\nInclude ${server.configFile}\n`);
    const pool = createSshPool({ configFile, env: {} });
    pools.push(pool);
    const { link } = await pool.link({ name: "box", host: "box" });
    const session = await start(link, "exec sleep 100");
    const pids = await server.connections();
    for (const pid of pids) process.kill(pid, "SIGSTOP");
    await expect(session.exit).rejects.toMatchObject({
      code: "ssh.lost",
      message: expect.stringContaining("Keepalive timeout"),
    });
    for (const pid of pids) process.kill(pid, "SIGCONT");
  });

  it("writes to a program that is gone come to an end", async () => {
    const { link } = await open();
    const session = await link.session({ command: "exec true" });
    session.stderr.resume();
    await session.exit;
    for (let i = 0; i < 100; i++) {
      await new Promise((resolve) => session.stdin.write(Buffer.alloc(100_000), resolve));
    }
    await new Promise<void>((resolve) => session.stdin.end(resolve));
  });

  it("a program that reads nothing does not hold a writer for ever", async () => {
    const { link } = await open();
    const session = await link.session({ command: "sleep 1" });
    session.stderr.resume();
    // More than the window of the channel: the last writes wait for room that never comes.
    const written = Promise.all(
      Array.from({ length: 40 }, () => new Promise((resolve) => session.stdin.write(Buffer.alloc(200_000), resolve))),
    );
    expect(await session.exit).toEqual({ code: 0 });
    await written;
  });

  it("tells codes and signals of the login shell", async () => {
    const { link } = await open();
    expect(await (await start(link, "exit 42")).exit).toEqual({ code: 42 });
    expect(await (await start(link, "kill -TERM $$")).exit).toEqual({ signal: "TERM" });
  });

  it("a terminal that is refused starts nothing", async () => {
    const { server, link } = await open({ config: ["PermitTTY no"] });
    const file = `${server.dir}/started`;
    const starting = link.session({ command: `touch ${file}`, pty: { columns: 80, rows: 24 } });
    await expect(starting).rejects.toMatchObject({
      code: "host.spawn",
      message: expect.stringContaining("gives no terminal"),
    });
    expect(await output(link, `ls ${file} 2>&1 || true`)).toContain("No such file");
  });

  it("close ends everything at once and may be called again", async () => {
    const { server, link } = await open();
    const session = await start(link, "exec sleep 100");
    const [pool] = pools;
    const started = performance.now();
    await pool?.close();
    await pool?.close();
    expect(performance.now() - started).toBeLessThan(1000);
    await expect(session.exit).rejects.toMatchObject({ code: "ssh.lost" });
    await expect(link.session({ command: "true" })).rejects.toMatchObject({ code: "ssh.lost" });
    await vi.waitFor(async () => expect(await server.connections()).toHaveLength(0));
  });
});
