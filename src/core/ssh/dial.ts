/** Dial: a TCP connection without Nagle's delay, whichever of the host's addresses answers first. */
import { type Socket, connect } from "node:net";
import { AmiError } from "../errors.ts";
import { systemCode } from "../unreadable.ts";
import type { Patience } from "./patience.ts";

export interface Address {
  /** What the target is called. */
  readonly name: string;
  readonly host: string;
  readonly port: number;
  readonly addressFamily: "any" | "inet" | "inet6";
  readonly bindAddress?: string | undefined;
  /** Notice a machine that went away without a word, however long that takes. */
  readonly tcpKeepAlive: boolean;
}

/** Resolves when connected. Rejects with `ssh.connect`, or the reason of `patience`. */
export async function dial(address: Address, patience: Patience, limit?: number): Promise<Socket> {
  patience.waitFor("the TCP connection", limit);
  patience.signal.throwIfAborted();
  const families = { any: 0, inet: 4, inet6: 6 } as const;
  const socket = connect({
    host: address.host,
    port: address.port,
    family: families[address.addressFamily],
    autoSelectFamily: address.addressFamily === "any",
    ...(address.bindAddress === undefined ? {} : { localAddress: address.bindAddress }),
  });
  // From the first byte: with Nagle each request that meets a delayed ACK costs 40 ms more.
  socket.setNoDelay(true);
  socket.setKeepAlive(address.tcpKeepAlive, 60_000);
  // Errors after this function is done are told by `close` as well; without a listener they would end the process.
  socket.on("error", () => undefined);
  const stop = (): void => void socket.destroy();
  patience.signal.addEventListener("abort", stop, { once: true });
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const onClose = (): void => reject(new Error("the socket was closed"));
  socket.once("connect", resolve).once("error", reject).once("close", onClose);
  try {
    await promise;
    return socket;
  } catch (error) {
    patience.signal.throwIfAborted();
    throw dialError(error, address);
  } finally {
    patience.signal.removeEventListener("abort", stop);
    socket.off("connect", resolve).off("error", reject).off("close", onClose);
  }
}

/** A socket error in words. Also used for sockets that break later. */
export function dialError(error: unknown, address: Pick<Address, "name" | "host" | "port">): AmiError {
  const code = codeOfFirst(error);
  const at = address.host.includes(":") ? `[${address.host}]:${address.port}` : `${address.host}:${address.port}`;
  const [what, hint, retry] = words(code, address.host, at);
  const message = what ?? `cannot connect to ${at}: ${error instanceof Error ? error.message : String(error)}`;
  return new AmiError("ssh.connect", message, { host: address.name, hint, retry, cause: error });
}

function words(
  code: string | undefined,
  host: string,
  at: string,
): [what: string | undefined, hint: string | undefined, retry: "yes" | "no"] {
  switch (code) {
    case "ENOTFOUND":
    case "ENODATA":
      return [`no machine named ${host} was found`, "check the spelling, DNS, and HostName in the ssh config", "no"];
    case "EAI_AGAIN":
      return [`the name ${host} could not be looked up`, "DNS does not answer at the moment", "yes"];
    case "ECONNREFUSED":
      return [`${at} refused the connection`, "is sshd running there, and on this port?", "yes"];
    case "EHOSTUNREACH":
    case "ENETUNREACH":
    case "EHOSTDOWN":
      return [`there is no way to reach ${at}`, "is the machine up, and is this the right network or VPN?", "yes"];
    case "ETIMEDOUT":
      return [`${at} did not answer`, "is the machine up, and does a firewall drop the packets?", "yes"];
    case "ECONNRESET":
    case "EPIPE":
      return [`${at} cut the connection`, "a firewall, fail2ban or MaxStartups of the server may turn us away", "yes"];
    case "EADDRNOTAVAIL":
      return [`cannot connect to ${at} from the address asked for`, "check BindAddress in the ssh config", "no"];
    case undefined:
    default:
      return [undefined, undefined, "yes"];
  }
}

/** The code of an error, or of the first of several (one per address tried). */
function codeOfFirst(error: unknown): string | undefined {
  const several = error instanceof AggregateError ? error.errors : [];
  return systemCode(error) ?? (several.length === 0 ? undefined : codeOfFirst(several[0]));
}
