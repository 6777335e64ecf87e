/** Ways to a server: over jump hosts, and through a program. */
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, expect, it, vi } from "vitest";
import type { Link } from "../../src/core/ssh/link.ts";
import { type SshPool, createSshPool } from "../../src/core/ssh/pool.ts";
import { needs, where } from "../servers/engines.ts";
import { type Sshd, startSshd } from "../servers/sshd.ts";

needs("sshd", "ssh")("the way to a server", () => {
  let first: Sshd;
  let second: Sshd;
  let last: Sshd;
  const pools: SshPool[] = [];
  beforeAll(async () => {
    [first, second, last] = await Promise.all([
      startSshd({ name: "first" }),
      startSshd({ name: "second" }),
      startSshd({ name: "last", env: { WHERE: "last" } }),
    ]);
  });
  afterEach(async () => {
    await Promise.all(pools.splice(0).map((pool) => pool.close()));
    await vi.waitFor(async () => {
      for (const server of [first, second, last]) expect(await server.connections()).toHaveLength(0);
    });
  });
  afterAll(async () => {
    await Promise.all([first, second, last].map((server) => server.stop()));
  });

  /** Lines come first, so they win over the servers' own. */
  async function linkTo(
    lines: string[],
    host = "last",
    env: Record<string, string> = {},
  ): Promise<{ link: Link; pool: SshPool }> {
    const configFile = join(first.dir, `client-${Math.random()}`);
    const includes = [first, second, last].map((server) => `Include ${server.configFile}`);
    await writeFile(configFile, [...lines, "Host *", ...includes].join("\n") + "\n");
    const pool = createSshPool({ configFile, env });
    pools.push(pool);
    const { link } = await pool.link({ name: host, host });
    return { link, pool };
  }
  async function where_(link: Link): Promise<string> {
    const session = await link.session({ command: 'echo "$WHERE ${SSH_CONNECTION%% *}"' });
    session.stdin.end();
    session.stderr.resume();
    const said = Buffer.concat(await session.stdout.toArray()).toString();
    expect(await session.exit).toEqual({ code: 0 });
    return said.trim();
  }
  const jumps = (server: Sshd): number =>
    (server.log().match(/direct-tcpip|connect_to|Accepted publickey/g) ?? []).length;

  it("goes over two hops, each logged in to with its own config", async () => {
    const { link } = await linkTo(["Host last", "ProxyJump first,second"]);
    const before = [jumps(first), jumps(second)];
    expect(await where_(link)).toBe("last 127.0.0.1");
    expect(jumps(first)).toBeGreaterThan(before[0] ?? 0);
    expect(jumps(second)).toBeGreaterThan(before[1] ?? 0);
    for (const server of [first, second, last]) expect(await server.connections()).toHaveLength(1);
  });

  it("goes over a jump host that itself needs one", async () => {
    const { link } = await linkTo(["Host last", "ProxyJump second", "Host second", "ProxyJump first"]);
    expect(await where_(link)).toBe("last 127.0.0.1");
    expect(await first.connections()).toHaveLength(1);
  });

  it("carries large things both ways over a jump", async () => {
    const { link } = await linkTo(["Host last", "ProxyJump first"]);
    const session = await link.session({ command: "cat" });
    session.stderr.resume();
    const sent = Buffer.alloc(8 << 20, "0123456789abcdef-");
    session.stdin.end(sent);
    expect(Buffer.concat(await session.stdout.toArray()).equals(sent)).toBe(true);
    expect(await session.exit).toEqual({ code: 0 });
  });

  it("shares the jump host between those behind it", async () => {
    const { link, pool } = await linkTo(["Host last second", "ProxyJump first"]);
    const other = await pool.link({ name: "second", host: "second" });
    await Promise.all([link.connect(), other.link.connect()]);
    expect(await first.connections()).toHaveLength(1);
  });

  it("checks the key of each hop", async () => {
    const { link } = await linkTo(["Host first", "UserKnownHostsFile /dev/null", "Host last", "ProxyJump first"]);
    await expect(link.connect()).rejects.toMatchObject({
      code: "hostkey.unknown",
      host: "last",
      message: expect.stringContaining("jump host first: the host key of"),
    });
    const other = await linkTo(["Host last", "ProxyJump first", "UserKnownHostsFile /dev/null"]);
    await expect(other.link.connect()).rejects.toMatchObject({ code: "hostkey.unknown", host: "last" });
  });

  it("says which hop failed", async () => {
    const refused = await linkTo(["Host last", "ProxyJump first:1"]);
    await expect(refused.link.connect()).rejects.toMatchObject({
      code: "ssh.connect",
      host: "last",
      message: `jump host first: ${first.host}:1 refused the connection`,
    });
    const behind = await linkTo(["Host last", "Port 1", "ProxyJump first"]);
    await expect(behind.link.connect()).rejects.toMatchObject({
      code: "ssh.connect",
      message: expect.stringMatching(new RegExp(`jump host first: first cannot connect to ${last.host}:1`)),
    });
  });

  it("knows a circle when it sees one, also the shortest", async () => {
    for (const lines of [
      ["Host last", "ProxyJump first", "Host first", "ProxyJump second", "Host second", "ProxyJump first"],
      ["Host *", "ProxyJump first"],
    ]) {
      const { link } = await linkTo(lines);
      await expect(link.connect()).rejects.toMatchObject({
        code: "config.invalid",
        host: "last",
        message: expect.stringContaining("ProxyJump goes in a circle: last > first"),
      });
    }
  });

  it("goes through a program", async () => {
    const { link } = await linkTo(["Host last", `ProxyCommand ${where("ssh")} -F ${first.configFile} -W %h:%p first`]);
    expect(await where_(link)).toBe("last 127.0.0.1");
  });

  it("says what the program said when it fails", async () => {
    const { link } = await linkTo(["Host last", "ProxyCommand echo 'no tunnel today' >&2; exit 1"]);
    await expect(link.connect()).rejects.toMatchObject({
      code: "ssh.connect",
      message: expect.stringMatching(/^the ProxyCommand for .* ended: no tunnel today$/),
    });
    const named = await linkTo(["Host last", "ProxyCommand echo by $0 >&2; exit 1"], "last", { SHELL: "/bin/bash" });
    await expect(named.link.connect()).rejects.toMatchObject({
      message: expect.stringMatching(/ended: by \/bin\/bash$/),
    });
    const missing = await linkTo(["Host last", "ProxyCommand /no/such/program"]);
    await expect(missing.link.connect()).rejects.toMatchObject({
      code: "ssh.connect",
      message: expect.stringContaining("/no/such/program"),
    });
  });
});
