/** Speed, judged: is bulk data lost, or the way long or narrow? Pure. */
import { about, type Finding, here, likely, there } from "../finding.ts";
import type { SpeedSeen } from "../observe/speed.ts";

const { ok, warn, fail, skipped } = about("speed");

export function judgeSpeed(seen: SpeedSeen): Finding[] {
  if (seen.state === "no-echo") return [skipped("speed", "there is no cat there to send bytes through")];
  const { rtts, bytes, ms } = seen;
  const sorted = [...rtts].sort((a, b) => a - b);
  const least = sorted[0] ?? 0;
  const median = sorted[Math.floor(sorted.length / 2)] ?? 0;
  const rate = (bytes / 2 ** 20 / (ms / 1000)) * 2;
  const evidence = [
    `round trips: ${rtts.map((rtt) => rtt.toFixed(1)).join(", ")} ms`,
    `${(bytes / 1024).toFixed(0)} KiB there and back in ${ms.toFixed(0)} ms`,
  ];
  if (bytes === 0) {
    return [
      fail("speed.bulk-lost", "single bytes come back, bulk data does not", {
        evidence,
        cause: likely("large packets are lost: a smaller MTU on the way and filtered ICMP, in one direction at least"),
        fix: here("sudo sysctl -w net.ipv4.tcp_mtu_probing=1"),
      }),
    ];
  }
  const figures = `round trip ${median.toFixed(1)} ms, ${rate.toFixed(1)} MiB/s both ways together`;
  if (least > farAway) {
    return [
      warn("speed.latency", `${figures}: every step takes long`, {
        evidence,
        cause: likely("the machine is far away, or a link on the way is full"),
        fix: here("mtr --report HOST"),
      }),
    ];
  }
  if (rate < slow) {
    return [
      warn("speed.throughput", `${figures}: large files will take long`, {
        evidence,
        cause: likely("packets are lost on the way, or the link is narrow"),
        fix: there("ss -ti | grep -A1 :22"),
      }),
    ];
  }
  return [ok("speed", figures, { evidence })];
}

/** Milliseconds: the other side of the earth is 300 away. */
const farAway = 400;
/** MiB/s. */
const slow = 0.1;
