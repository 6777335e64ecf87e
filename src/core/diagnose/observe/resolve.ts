/** Resolve: which addresses a name has. */
import { lookup } from "node:dns/promises";

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
