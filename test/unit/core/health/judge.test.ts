/** Judge: each limit, from both sides, and the reason that is given. */
import { describe, expect, it } from "vitest";
import { judge } from "../../../../src/core/health/judge.ts";
import type { HealthSeen } from "../../../../src/core/health.ts";

const gib = 2 ** 30;
const mib = 2 ** 20;
const disk = (size: number, available: number, inodesUsed?: number): HealthSeen => ({
  disks: [{ mount: "/var", size, available, inodesUsed }],
});
const load = (five: number, processors?: number): HealthSeen => ({ load: { one: 0, five, fifteen: 0, processors } });
const rtt = (p95: number): HealthSeen => ({ rtt: { count: 100, p50: 1, p95, p99: p95 } });
const connect = (total: number): HealthSeen => ({ connect: { tcp: 1, handshake: 1, login: 1, total } });

describe("a host is", () => {
  it.each<[string, HealthSeen, string, string | undefined]>([
    ["nothing is known", {}, "ok", undefined],
    ["there is room", disk(100 * gib, 50 * gib), "ok", undefined],
    ["3 % of a huge disk are left", disk(20_000 * gib, 600 * gib), "ok", undefined],
    ["a tenth is left", disk(50 * gib, 4 * gib), "warn", "/var is nearly full: 4.0 GiB of 50.0 GiB free on /var"],
    ["next to nothing is left", disk(50 * gib, 100 * mib), "bad", "/var is full: 100 MiB of 50.0 GiB free on /var"],
    ["nothing is left", disk(50 * gib, 0), "bad", "/var is full: 0 B of 50.0 GiB free on /var"],
    ["inodes get few", disk(50 * gib, 40 * gib, 0.97), "warn", "97 % of the inodes of /var are used"],
    ["inodes are used up", disk(50 * gib, 40 * gib, 1), "bad", "/var has no inodes left"],
    ["memory is there", { memory: { total: 8 * gib, available: 2 * gib } }, "ok", undefined],
    ["memory is not told", { memory: { total: 8 * gib } }, "ok", undefined],
    [
      "memory gets short",
      { memory: { total: 8 * gib, available: 512 * mib } },
      "warn",
      "512 MiB of 8.0 GiB memory available",
    ],
    [
      "memory is gone",
      { memory: { total: 8 * gib, available: 100 * mib } },
      "bad",
      "100 MiB of 8.0 GiB memory available",
    ],
    ["it is busy", load(4, 4), "ok", undefined],
    ["it is too busy", load(9, 4), "warn", "load 9.0 over five minutes on 4 processors"],
    ["it drowns", load(41, 4), "bad", "load 41.0 over five minutes on 4 processors"],
    ["processors are not told", load(3), "warn", "load 3.0 over five minutes on 1 processor"],
    ["the way is short", rtt(30), "ok", undefined],
    ["the way is long", rtt(450), "warn", "a round trip takes 450 ms (p95)"],
    ["the way is unbearable", rtt(2500), "bad", "a round trip takes 2.5 s (p95)"],
    ["a login takes long", connect(6000), "warn", "logging in takes 6.0 s"],
    ["a login takes very long", connect(16_000), "bad", "logging in takes 16.0 s"],
    ["the way is narrow", { throughput: { up: 50 * 1024, down: mib, at: 0 } }, "warn", "only 50.0 KiB/s get through"],
    ["one way was not measured", { throughput: { down: mib, at: 0 } }, "ok", undefined],
  ])("%s", (_name, seen, status, says) => {
    const judged = judge({ seen });
    expect(judged.status).toBe(status);
    expect(judged.reasons.map((reason) => reason.says)).toEqual(says === undefined ? [] : [says]);
  });

  it("as bad as the worst that was seen, with every reason", () => {
    const judged = judge({ seen: { ...disk(50 * gib, 0), ...rtt(450) } });
    expect(judged.status).toBe("bad");
    expect(judged.reasons).toHaveLength(2);
  });

  it.each([
    [{ tries: 9, failures: 9 }, "ok"],
    [{ tries: 100, failures: 4 }, "ok"],
    [{ tries: 100, failures: 5 }, "warn"],
    [{ tries: 12, failures: 3 }, "bad"],
  ])("judged by failures: %o is %s", (errors, status) => {
    expect(judge({ seen: {}, errors: { ...errors, ratio: errors.failures / errors.tries } }).status).toBe(status);
  });

  it("warned of what fills up soon, and of nothing else that is foretold", () => {
    const forecast = (days: number) => ({ about: "disk" as const, mount: "/", says: "soon", in: days * 86_400_000 });
    expect(judge({ seen: {}, forecasts: [forecast(2)] }).reasons).toEqual([{ status: "warn", says: "soon" }]);
    expect(judge({ seen: {}, forecasts: [forecast(20), { about: "login", says: "x" }] }).reasons).toEqual([]);
  });

  it("no riddle when it runs no program", () => {
    expect(judge({ seen: {}, silent: "no POSIX shell answers there" }).reasons).toEqual([
      { status: "warn", says: "load, memory and disks are unknown: no POSIX shell answers there" },
    ]);
  });
});
