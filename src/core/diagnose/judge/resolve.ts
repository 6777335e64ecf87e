/** Resolve, judged: does the name lead anywhere, and soon enough? Pure. */
import { isIP } from "node:net";
import { about, certain, type Finding, here, likely } from "../finding.ts";
import type { Resolved } from "../observe/resolve.ts";

const { ok, warn, fail } = about("resolve");

export function judgeResolve({ host, alias, addresses, error, ms }: Resolved): Finding[] {
  const evidence = [
    ...(alias === host ? [] : [`the ssh config makes ${host} of ${alias}`]),
    error === undefined ? `${addresses.join(", ")} (${ms.toFixed(0)} ms)` : `the resolver says ${error}`,
  ];
  if (error === "EAI_AGAIN" || error === "ETIMEOUT") {
    return [
      fail("resolve.no-answer", `${host} could not be looked up: no name server answers`, {
        evidence,
        cause: likely("this machine has no network, or its name server is down"),
        fix: here("cat /etc/resolv.conf"),
      }),
    ];
  }
  if (error !== undefined || addresses.length === 0) {
    return [
      fail("resolve.not-found", `no machine is named ${host}`, {
        evidence,
        cause: likely("a spelling mistake, a missing search domain or VPN, or a wrong HostName in the ssh config"),
        fix: here(`getent hosts ${host}`),
      }),
    ];
  }
  if (isIP(host) === 0 && ms > slowLookup) {
    return [
      warn("resolve.slow", `looking up ${host} took ${(ms / 1000).toFixed(1)} s`, {
        evidence,
        cause: certain("a name server of this machine answers late or not at all"),
        fix: here("cat /etc/resolv.conf"),
      }),
    ];
  }
  return [ok("resolve", `${host} is ${addresses.join(", ")}`, { evidence })];
}

const slowLookup = 1000;
