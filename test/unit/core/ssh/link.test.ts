/** The line for places on connections. Real connections are in test/integration/ssh.pool.test.ts. */
import ssh2 from "ssh2";
import { describe, expect, it, vi } from "vitest";
import { AmiError } from "../../../../src/core/errors.ts";
import { ChannelLost, ChannelRefused, type Connection } from "../../../../src/core/ssh/connection.ts";
import { type Link, createLink } from "../../../../src/core/ssh/link.ts";

interface Fake extends Connection {
  lose(): void;
  isClosed: boolean;
}

function fakeConnection(): Fake {
  let tell: (reason: AmiError) => void = () => undefined;
  const fake: Fake = {
    client: new ssh2.Client(),
    isOpen: true,
    isClosed: false,
    onGone(listener) {
      tell = listener;
      return () => undefined;
    },
    during: (work) => work,
    channel: () => Promise.resolve(undefined),
    forward: () => Promise.reject(new Error("not here")),
    close() {
      fake.isClosed = true;
    },
    lose: () => tell(new AmiError("ssh.lost", "cut")),
  };
  return fake;
}

describe("link", () => {
  const hold = (link: Link, urgent = false): Promise<Connection> =>
    link.withRoom(({ connection }) => Promise.resolve(connection), { urgent });

  it("connects once, however many ask", async () => {
    const open = vi.fn(() => Promise.resolve(fakeConnection()));
    const link = createLink({ name: "web1", open, mayGrow: () => true });
    await Promise.all([link.connect(), link.connect(), hold(link)]);
    expect(open).toHaveBeenCalledTimes(1);
  });

  it("fills a connection but for one place, grows when that stays so, and keeps the last place for what is urgent", async () => {
    const made: Fake[] = [];
    const open = vi.fn(() => Promise.resolve(made[made.push(fakeConnection()) - 1] ?? fakeConnection()));
    const link = createLink({ name: "web1", open, mayGrow: () => true });
    const nine = await Promise.all(Array.from({ length: 9 }, () => hold(link)));
    expect(new Set(nine).size).toBe(1);
    expect(await hold(link, true)).toBe(made[0]);
    expect(await hold(link)).toBe(made[1]);
    expect(open).toHaveBeenCalledTimes(2);
  });

  it("does not grow when that would ask a person again", async () => {
    const open = vi.fn(() => Promise.resolve(fakeConnection()));
    const link = createLink({ name: "web1", open, mayGrow: () => false });
    await Promise.all(Array.from({ length: 9 }, () => hold(link)));
    const tenth = hold(link);
    expect(await Promise.race([tenth, new Promise((resolve) => setTimeout(resolve, 400, "waits"))])).toBe("waits");
    expect(open).toHaveBeenCalledTimes(1);
    link.close();
    await expect(tenth).rejects.toMatchObject({ code: "ssh.lost" });
  });

  it("makes further connections at once for who wants to be apart, and holds up nobody meanwhile", async () => {
    const gates: (() => void)[] = [];
    const open = vi.fn(async () => {
      if (open.mock.calls.length > 1) await new Promise<void>((go) => gates.push(go));
      return fakeConnection();
    });
    const link = createLink({ name: "web1", open, mayGrow: () => true });
    const first = await hold(link);
    const apart = (): Promise<Connection> =>
      link.withRoom(({ connection }) => Promise.resolve(connection), { apart: 2 });
    expect(await apart()).toBe(first);
    const further = Array.from({ length: 4 }, apart);
    expect(open).toHaveBeenCalledTimes(3);
    expect(await hold(link)).toBe(first);
    for (const go of gates) go();
    expect(new Set([first, ...(await Promise.all(further))]).size).toBe(3);
  });

  it("where no other connection can be made, who wants to be apart takes what there is", async () => {
    const first = fakeConnection();
    const open = vi
      .fn<() => Promise<Connection>>()
      .mockResolvedValueOnce(first)
      .mockRejectedValue(new AmiError("ssh.connect", "refused"));
    for (const mayGrow of [true, false]) {
      const link = createLink({ name: "web1", open, mayGrow: () => mayGrow });
      if (!mayGrow) open.mockResolvedValueOnce(first);
      const all = Array.from({ length: 4 }, () =>
        link.withRoom(({ connection }) => Promise.resolve(connection), { apart: 1 }),
      );
      expect(new Set(await Promise.all(all))).toEqual(new Set([first]));
    }
  });

  it("a first login that fails fails all who wait; the next who comes tries again", async () => {
    const error = new AmiError("ssh.connect", "refused");
    const open = vi
      .fn<() => Promise<Connection>>()
      .mockRejectedValueOnce(error)
      .mockImplementation(async () => fakeConnection());
    const link = createLink({ name: "web1", open, mayGrow: () => true });
    const both = await Promise.allSettled([link.connect(), hold(link)]);
    expect(both).toEqual([
      { status: "rejected", reason: error },
      { status: "rejected", reason: error },
    ]);
    await link.connect();
  });

  it("a further login that fails fails nobody", async () => {
    const first = fakeConnection();
    const open = vi
      .fn<() => Promise<Connection>>()
      .mockResolvedValueOnce(first)
      .mockRejectedValue(new AmiError("ssh.connect", "refused"));
    const link = createLink({ name: "web1", open, mayGrow: () => true });
    const releases: (() => void)[] = [];
    const take = (): Promise<Connection> =>
      link.withRoom(({ connection, release }) => {
        releases.push(release);
        return Promise.resolve(connection);
      });
    await Promise.all(Array.from({ length: 9 }, take));
    const tenth = take();
    await vi.waitFor(() => expect(open).toHaveBeenCalledTimes(2));
    releases[0]?.();
    expect(await tenth).toBe(first);
  });

  it("what one connection refuses or loses is tried again", async () => {
    const made: Fake[] = [];
    const open = (): Promise<Connection> => {
      const connection = fakeConnection();
      made.push(connection);
      return Promise.resolve(connection);
    };
    const link = createLink({ name: "web1", open, mayGrow: () => true });
    let tries = 0;
    const got = await link.withRoom(({ connection }) => {
      tries++;
      if (tries === 1) return Promise.reject(new ChannelRefused("open failed"));
      if (tries === 2) {
        made[0]?.lose();
        return Promise.reject(new ChannelLost(new AmiError("ssh.lost", "cut")));
      }
      return Promise.resolve(connection);
    });
    expect([tries, got]).toEqual([3, made.at(-1)]);
  });

  it("a refusal while fewer are open than were before is no reason to believe in less room", async () => {
    const open = vi.fn(() => Promise.resolve(fakeConnection()));
    const link = createLink({ name: "web1", open, mayGrow: () => false });
    const releases: (() => void)[] = [];
    const take = (): Promise<void> =>
      link.withRoom(({ release }) => {
        releases.push(release);
        return Promise.resolve();
      });
    await Promise.all(Array.from({ length: 9 }, take));
    for (const release of releases.splice(0, 8)) release();
    // One is still open; the server has not got round to closing the others.
    let refusals = 0;
    await link.withRoom(() => (++refusals < 3 ? Promise.reject(new ChannelRefused("open failed")) : Promise.resolve()));
    expect(refusals).toBe(3);
    await Promise.all(Array.from({ length: 7 }, take));
    expect(open).toHaveBeenCalledTimes(1);
  });

  it("learns what the server allows, and remembers it for the next connection", async () => {
    const open = vi.fn(() => Promise.resolve(fakeConnection()));
    const link = createLink({ name: "web1", open, mayGrow: () => true });
    const allowed = 3;
    const used = new Map<Connection, number>();
    let refusals = 0;
    const take = (): Promise<void> =>
      link.withRoom(async ({ connection }) => {
        const now = used.get(connection) ?? 0;
        if (now === allowed) {
          refusals++;
          throw new ChannelRefused("open failed");
        }
        used.set(connection, now + 1);
        await new Promise((resolve) => setImmediate(resolve));
      });
    await Promise.all(Array.from({ length: 8 }, take));
    expect([...used.values()]).toEqual([3, 3, 2]);
    expect(refusals).toBeLessThanOrEqual(6);
  });

  it("connecting to what is connected does not wait for a place", async () => {
    const link = createLink({ name: "web1", open: async () => fakeConnection(), mayGrow: () => false });
    await Promise.all(Array.from({ length: 9 }, () => hold(link)));
    await link.connect();
  });

  it("gives up on a server that refuses everything, and on connections that keep breaking", async () => {
    const link = createLink({ name: "web1", open: async () => fakeConnection(), mayGrow: () => true });
    await expect(link.withRoom(() => Promise.reject(new ChannelRefused("open failed")))).rejects.toMatchObject({
      code: "host.spawn",
    });
    const cut = new AmiError("ssh.lost", "cut");
    await expect(link.withRoom(() => Promise.reject(new ChannelLost(cut)))).rejects.toBe(cut);
  });

  it("close ends its connections, also one that is just being made, and refuses what comes later", async () => {
    const late = Promise.withResolvers<Connection>();
    const connection = fakeConnection();
    const link = createLink({ name: "web1", open: () => late.promise, mayGrow: () => true });
    const waiting = link.connect();
    link.close();
    link.close();
    await expect(waiting).rejects.toMatchObject({ code: "ssh.lost" });
    late.resolve(connection);
    await vi.waitFor(() => expect(connection.isClosed).toBe(true));
    await expect(link.connect()).rejects.toMatchObject({ code: "ssh.lost" });
  });
});
