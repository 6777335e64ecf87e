/** ssh health: real servers, slow ways, connections that are cut, and hosts that hang. */
import { appendFile, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { type Server, type Socket, connect, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from "vitest";
import { AmiError } from "../../src/core/errors.ts";
import { type Event, createEvents } from "../../src/core/events.ts";
import { fanout } from "../../src/core/fanout.ts";
import { type Dialer, type SshTarget, createDialer } from "../../src/core/health/dial.ts";
import { type Looked, look } from "../../src/core/health/look.ts";
import { sampleOf } from "../../src/core/health/memory.ts";
import { sampleThroughput } from "../../src/core/health/throughput.ts";
import { type WatchWish, watch } from "../../src/core/health/watch.ts";
import type { HealthSample } from "../../src/core/health.ts";
import { type History, openHistory } from "../../src/core/store/history.ts";
import { parseTarget } from "../../src/core/targets.ts";
import { needs } from "../servers/engines.ts";
import { type Sshd, startSshd } from "../servers/sshd.ts";

function target(word: string): SshTarget {
  const found = parseTarget(word);
  if (found.kind !== "ssh") throw new Error("no ssh target");
  return found;
}

async function listening(server: Server): Promise<number> {
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("no port");
  return address.port;
}

/** Ends or freezes the connections of a server. */
async function strike(server: Sshd, signal: "SIGKILL" | "SIGSTOP"): Promise<void> {
  for (const pid of await server.connections()) {
    try {
      process.kill(pid, signal);
    } catch {
      // It has just ended by itself.
    }
  }
}

needs("sshd")("ssh health", () => {
  let dir: string;
  let box: Sshd;
  let config: string;
  let history: History;
  let dialer: Dialer;
  const closing: (() => void)[] = [];

  beforeAll(async () => {
    box = await startSshd();
  });
  afterAll(() => box?.stop());
  beforeEach(async () => {
    dir = await mkdtemp(join(tmpdir(), "ami-health-"));
    config = join(dir, "config");
    await writeFile(config, await readFile(box.configFile, "utf8"));
    history = await openHistory({ file: join(dir, "health.db") });
    dialer = createDialer({ configFile: config, env: {} });
  });
  afterEach(async () => {
    await dialer.close();
    history.close();
    for (const close of closing.splice(0)) close();
    await rm(dir, { recursive: true, force: true });
  });

  /** Another name for the same machine, with lines of its own. */
  const also = (name: string, ...lines: readonly string[]): Promise<void> =>
    appendFile(config, `\nHost ${name}\n${lines.map((line) => `  ${line}\n`).join("")}`);
  const login = (port: number): string[] => [
    "HostName 127.0.0.1",
    `Port ${port}`,
    `User ${box.user}`,
    `IdentityFile ${box.identity}`,
    "IdentitiesOnly yes",
    `UserKnownHostsFile ${box.knownHosts}`,
    `HostKeyAlias [127.0.0.1]:${box.port}`,
  ];

  const once = async (name: string, signal = new AbortController().signal): Promise<Looked> => {
    const line = await dialer.dial(target(name), signal);
    try {
      return await look(line, { pinging: 300, signal });
    } finally {
      line.close();
    }
  };

  /** Watches until `enough` says so of what was emitted. */
  const watching = async (
    names: readonly string[],
    enough: (seen: readonly Event[]) => boolean,
    more: Partial<WatchWish> = {},
  ): Promise<{ seen: Event[]; last: HealthSample[] }> => {
    const events = createEvents("test");
    const seen: Event[] = [];
    const stop = new AbortController();
    events.subscribe((event) => {
      seen.push(event);
      if (enough(seen)) stop.abort();
    });
    const targets = names.map(target);
    const usual = { every: 200, parallel: 8, timeout: 20_000, throughput: false, signal: stop.signal };
    const last = await watch({ targets, dialer, history, events, ...usual, ...more });
    return { seen, last };
  };
  const samples = (seen: readonly Event[], host?: string): HealthSample[] =>
    seen.flatMap((event) =>
      event.kind === "health" && (host === undefined || event.sample.host === host) ? [event.sample] : [],
    );

  it("measures the login, round trips, throughput and the machine", async () => {
    const { seen, silent } = await once("box");
    expect(silent).toBeUndefined();
    const { connect: login, rtt, throughput, load, memory, disks } = seen;
    if (login === undefined || rtt === undefined) throw new Error("nothing was measured");
    expect((login.tcp ?? 0) + login.handshake + login.login).toBeCloseTo(login.total, 0);
    expect(login.handshake).toBeGreaterThan(0);
    expect(rtt.count).toBeGreaterThanOrEqual(5);
    expect(rtt.p50).toBeGreaterThan(0);
    expect(rtt.p95).toBeGreaterThanOrEqual(rtt.p50);
    expect(rtt.p99).toBeGreaterThanOrEqual(rtt.p95);
    expect(Math.min(throughput?.up ?? 0, throughput?.down ?? 0)).toBeGreaterThan(64 * 1024);
    expect(load?.processors).toBeGreaterThan(0);
    expect(memory?.total).toBeGreaterThan(0);
    expect(disks?.length).toBeGreaterThan(0);
  });

  it("sees a long way for what it is", async () => {
    const ms = 10;
    const server = createServer((near) => {
      const far = connect(box.port, "127.0.0.1");
      for (const [from, to] of [
        [near, far],
        [far, near],
      ] as const) {
        from.on("data", (bytes) => void setTimeout(() => to.write(bytes), ms));
        from.on("close", () => void setTimeout(() => to.destroy(), ms));
        from.on("error", () => undefined);
      }
    });
    closing.push(() => server.close());
    await also("far", ...login(await listening(server)));
    const { seen } = await once("far");
    // A timer may go off a moment early.
    expect(seen.rtt?.p50).toBeGreaterThanOrEqual(2 * ms - 2);
    expect(seen.connect?.handshake).toBeGreaterThanOrEqual(2 * ms - 2);
    expect(seen.connect?.login).toBeGreaterThanOrEqual(2 * ms - 2);
    // The way is long, not narrow: its length is no part of the rate.
    expect(seen.throughput?.up).toBeGreaterThan(64 * 1024);
  });

  it("says of a narrow way what it lets through at most, and is done in time", async () => {
    const server = createServer((near) => {
      const far = connect(box.port, "127.0.0.1");
      far.on("error", () => undefined).pipe(near.on("error", () => undefined));
      // 16 KiB a second upwards, once the login is over.
      let sent = 0;
      near.on("data", (bytes) => {
        sent += bytes.length;
        const narrow = sent >= 16 * 1024;
        near.pause();
        setTimeout(() => near.resume() && far.write(bytes), narrow ? bytes.length / 16 : 0);
      });
      near.on("close", () => far.destroy());
    });
    closing.push(() => server.close());
    await also("narrow", ...login(await listening(server)));
    const { signal } = new AbortController();
    const line = await dialer.dial(target("narrow"), signal);
    try {
      const { up = 0, down } = await sampleThroughput(line.host, { rtt: 1, longest: 500, signal });
      expect(up).toBeGreaterThan(0);
      expect(up).toBeLessThanOrEqual((64 * 1024) / 0.5);
      expect(down).toBeUndefined();
    } finally {
      line.close();
    }
  });

  it("does not wait for an agent that never answers", async () => {
    const agent = createServer((socket) => void socket.on("error", () => undefined));
    const path = join(dir, "agent");
    await new Promise<void>((done) => agent.listen(path, done));
    closing.push(() => agent.close());
    const lines = login(box.port).filter((line) => !line.startsWith("IdentitiesOnly"));
    await also("keyless", ...lines, `IdentityAgent ${path}`, "ConnectTimeout 1");
    const error = await once("keyless").catch((reason: unknown) => reason);
    expect(error).toMatchObject({ code: "ssh.connect", message: expect.stringContaining("waiting for the keys") });
  }, 20_000);

  it("does not hammer a server that cuts each connection at once", async () => {
    const { seen } = await watching(["box"], (events) => {
      const latest = events.at(-1);
      if (latest?.kind === "health") void strike(box, "SIGKILL");
      return events.some((event) => event.kind === "recovery" && event.attempt >= 3);
    });
    const waits = seen.flatMap((event) => (event.kind === "recovery" ? (event.wait ?? []) : []));
    expect(waits.at(-1)).toBeGreaterThanOrEqual(1000);
  }, 60_000);

  it("looks over a jump host", async () => {
    await also("behind", ...login(box.port), "ProxyJump box");
    const { seen } = await once("behind");
    expect(seen.rtt?.count).toBeGreaterThanOrEqual(5);
    expect(seen.disks?.length).toBeGreaterThan(0);
  });

  it("says so when the machine runs no program, and measures all the same", async () => {
    const mute = await startSshd({ config: ["ForceCommand echo no"] });
    try {
      await also("mute", ...login(mute.port).filter((line) => !/^(Identity|UserKnown|HostKeyAlias)/.test(line)));
      await appendFile(config, `  IdentityFile ${mute.identity}\n  UserKnownHostsFile ${mute.knownHosts}\n`);
      const looked = await once("mute");
      expect(looked.silent).toBe("no POSIX shell answers there");
      expect(looked.seen.rtt?.count).toBeGreaterThanOrEqual(5);
      expect(looked.seen.throughput).toBeUndefined();
      expect(sampleOf("mute", looked, { history, place: "mute" })).toMatchObject({ status: "warn" });
    } finally {
      await mute.stop();
    }
  });

  it("makes a cut connection again, tells it, and remembers it as a failure", async () => {
    let isCut = false;
    const { seen, last } = await watching(["box"], (events) => {
      if (!isCut && samples(events).length === 2) {
        isCut = true;
        void strike(box, "SIGKILL");
      }
      const again = events.findIndex((event) => event.kind === "recovery" && event.outcome === "recovered");
      return again >= 0 && samples(events.slice(again)).length >= 2;
    });
    const recovery = seen.filter((event) => event.kind === "recovery");
    expect(recovery[0]).toMatchObject({ host: "box", attempt: 1, outcome: "waiting", error: { code: "ssh.lost" } });
    expect(recovery[0]?.wait).toBeGreaterThanOrEqual(250);
    expect(recovery[0]?.wait).toBeLessThanOrEqual(500);
    expect(recovery.at(-1)).toMatchObject({ host: "box", outcome: "recovered" });
    expect(last[0]?.error).toBeUndefined();
    expect(new Set(samples(seen).map((sample) => sample.connect?.total)).size).toBeGreaterThanOrEqual(2);
    expect(last[0]?.errors?.failures).toBeGreaterThanOrEqual(1);
    const failures = history.read("box").reduce((sum, row) => sum + row.failures, 0);
    expect(failures).toBe(last[0]?.errors?.failures);
  });

  it("waits longer with each failure, and looks on when the server is back", async () => {
    const server = createServer();
    const port = await listening(server);
    await new Promise((done) => server.close(done));
    await also("down", ...login(port));
    let relay: Server | undefined;
    const { seen, last } = await watching(["down"], (events) => {
      if (relay === undefined && events.filter((event) => event.kind === "recovery").length >= 3) {
        relay = createServer((near) => {
          const far = connect(box.port, "127.0.0.1");
          near
            .on("error", () => undefined)
            .pipe(far.on("error", () => undefined))
            .pipe(near);
        }).listen(port, "127.0.0.1");
      }
      return events.some((event) => event.kind === "health" && event.sample.error === undefined);
    });
    relay?.close();
    const recovery = seen.filter((event) => event.kind === "recovery");
    const waits = recovery.filter(({ outcome }) => outcome === "waiting");
    expect(waits[0]).toMatchObject({ attempt: 1, error: { code: "ssh.connect" } });
    expect(waits[1]).toMatchObject({ attempt: 2, error: { code: "ssh.connect" } });
    expect(waits[1]?.wait).toBeGreaterThanOrEqual(500);
    expect(recovery.some(({ outcome }) => outcome === "failed")).toBe(true);
    expect(recovery.at(-1)).toMatchObject({ outcome: "recovered" });
    expect(samples(seen)[0]).toMatchObject({ status: "bad", error: { code: "ssh.connect" } });
    expect(last[0]?.error).toBeUndefined();
  });

  it("does not hammer a server that refuses it", async () => {
    await also(
      "stranger",
      ...login(box.port).filter((line) => !line.startsWith("HostKeyAlias")),
      "HostKeyAlias nobody",
    );
    const { seen } = await watching(["stranger"], (events) => events.some((event) => event.kind === "recovery"));
    expect(seen.find((event) => event.kind === "recovery")).toMatchObject({ error: { code: "hostkey.unknown" } });
    expect(seen.find((event) => event.kind === "recovery")?.wait).toBeGreaterThanOrEqual(60_000);
  });

  it("is not held up by a host that says nothing, nor by one that stops while it is looked at", async () => {
    const held: Socket[] = [];
    const silent = createServer((socket) => void held.push(socket.on("error", () => undefined)));
    closing.push(() => {
      for (const socket of held) socket.destroy();
      silent.close();
    });
    await also("silent", ...login(await listening(silent)));
    const frozen = await startSshd();
    try {
      await also("frozen", ...login(frozen.port).filter((line) => !/^(Identity|UserKnown|HostKeyAlias)/.test(line)));
      await appendFile(config, `  IdentityFile ${frozen.identity}\n  UserKnownHostsFile ${frozen.knownHosts}\n`);
      let isFrozen = false;
      const { seen } = await watching(
        ["silent", "frozen", "box"],
        (events) => {
          if (!isFrozen && samples(events, "frozen").length === 1) {
            isFrozen = true;
            void strike(frozen, "SIGSTOP");
          }
          const stuck = ["silent", "frozen"].every((host) =>
            samples(events, host).some(({ error }) => error !== undefined),
          );
          return stuck && samples(events, "box").length >= 3;
        },
        { timeout: 2500 },
      );
      for (const host of ["silent", "frozen"])
        expect(samples(seen, host).find(({ error }) => error !== undefined)?.error?.code).toBe("run.timeout");
      expect(samples(seen, "box").every(({ error }) => error === undefined)).toBe(true);
      // While the others hung, it was looked at.
      const first = seen.findIndex((event) => event.kind === "health" && event.sample.error !== undefined);
      expect(samples(seen.slice(0, first), "box").length).toBeGreaterThanOrEqual(2);
    } finally {
      await frozen.stop();
    }
  });

  it("ends when it is told to, whatever it is doing, and when it has looked often enough", async () => {
    const { last } = await watching(["box"], () => false, { count: 2 });
    expect(last).toMatchObject([{ host: "box" }]);
    const stop = new AbortController();
    const [fan] = await fanout([target("box")], { parallel: 1, signal: stop.signal }, async (_target, signal) => {
      const line = await dialer.dial(target("box"), signal);
      stop.abort();
      try {
        return await look(line, { pinging: 300, signal });
      } finally {
        line.close();
      }
    });
    expect(fan?.state).toBe("cancelled");
  });

  it("foretells from what is remembered, and counts failures of a day", async () => {
    const now = Date.now();
    const looked = await once("box");
    const [disk] = looked.seen.disks ?? [];
    if (disk === undefined) throw new Error("no disk");
    // It had half as much room again two days ago, and lost it evenly.
    for (let i = 48; i > 0; i--) {
      const available = disk.available * (1 + (i / 48) * 0.5);
      const entry = { at: now - i * 3_600_000, disks: [{ ...disk, available }], rtt50: 5 + (48 - i) / 4 };
      history.record("box", { ok: i !== 5, ...entry });
    }
    const sample = sampleOf("box", looked, { history, place: "box", now });
    expect(sample.forecasts).toMatchObject([{ about: "disk", mount: disk.mount }, { about: "round trip" }]);
    expect(sample.forecasts[0]?.says).toMatch(/full in about 4 days at this rate \([\d.]+ [KMG]iB a day\)$/);
    expect(sample.forecasts[1]?.says).toMatch(/^latency rising \d+ % a day$/);
    expect(sample.errors?.failures).toBe(1);
    // Those of an hour that began before that count as well.
    expect(sample.errors?.tries).toBeGreaterThanOrEqual(24);
    expect(sample.errors?.tries).toBeLessThanOrEqual(26);
    const failed = new AmiError("ssh.connect", "it is gone");
    expect(sampleOf("box", failed, { history, place: "box", now })).toMatchObject({
      status: "bad",
      errors: { failures: 2 },
    });
  });

  it("is not misled by looks from a time when the clock was ahead", () => {
    const now = Date.now();
    for (let i = 1; i <= 20; i++) history.record("box", { at: now + i * 86_400_000, ok: false });
    const looked = { seen: {}, silent: undefined };
    expect(sampleOf("box", looked, { history, place: "box", now })).toMatchObject({
      status: "ok",
      errors: { tries: 1, failures: 0 },
    });
  });
});
