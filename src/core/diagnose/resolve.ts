/** Resolve: which addresses a name has. */
import { lookup } from "node:dns/promises";
import { isIP } from "node:net";
import { about, certain, type Finding, here, likely } from "./finding.ts";

const { ok, warn, fail } = about("resolve");

export interface Resolved {
  readonly host: string;
  /** The name that was asked for, which the ssh config may have made another. */
  readonly alias: string;
  readonly addresses: readonly string[];
  /** Code of the resolver: ENOTFOUND, EAI_AGAIN. */
  readonly error?: string | undefined;
  readonly ms: number;
}

export async function observeResolve(
  { hostName, host, addressFamily }: { hostName: string; host: string; addressFamily: "any" | "inet" | "inet6" },
  patience: number,
): Promise<Resolved> {
  const started = performance.now();
  const seen = (addresses: readonly string[], error?: string): Resolved => {
    return { host: hostName, alias: host, addresses, error, ms: performance.now() - started };
  };
  const family = { any: 0, inet: 4, inet6: 6 }[addressFamily];
  const late = Promise.withResolvers<never>();
  const timer = setTimeout(() => late.reject(Object.assign(new Error("no answer"), { code: "ETIMEOUT" })), patience);
  try {
    const found = await Promise.race([lookup(hostName, { all: true, family }), late.promise]);
    return seen([...new Set(found.map(({ address }) => address))]);
  } catch (error) {
    return seen([], error instanceof Error && "code" in error ? String(error.code) : String(error));
  } finally {
    clearTimeout(timer);
  }
}

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
