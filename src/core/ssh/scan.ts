/** Scan: asks a server for each of its host keys, by a handshake for each kind that goes no further than the key. */
import type { Buffer } from "node:buffer";
import type { Duplex } from "node:stream";
import type { ServerHostKeyAlgorithm } from "ssh2";
import { AmiError, asAmiError } from "../errors.ts";
import { algorithms } from "./algorithms.ts";
import type { SshConfig } from "./config/ssh-config.ts";
import { startPatience } from "./patience.ts";
import { type Jump, openRoute } from "./route.ts";

const kinds: readonly (readonly ServerHostKeyAlgorithm[])[] = [
  ["ssh-ed25519"],
  ["ecdsa-sha2-nistp256"],
  ["ecdsa-sha2-nistp384"],
  ["ecdsa-sha2-nistp521"],
  ["rsa-sha2-512", "rsa-sha2-256"],
];

export interface ScanWish {
  readonly name: string;
  readonly config: SshConfig;
  /** The jump host that it stands behind, logged in to. */
  readonly jump: Jump | undefined;
  readonly signal: AbortSignal;
}

/** In that order; kinds that the server lacks are left out. Nothing proves who answers. Rejects with `ssh.*`. */
export async function scanHostKeys({ name, config, jump, signal }: ScanWish): Promise<Buffer[]> {
  // One after the other: a server may count connections that do not log in.
  const keys: Buffer[] = [];
  const refusals: AmiError[] = [];
  for (const kind of kinds) {
    const found = await askFor(kind, { name, config, jump, signal });
    if (found instanceof AmiError) refusals.push(found);
    else keys.push(found);
  }
  const [why] = refusals;
  if (keys.length === 0 && why !== undefined) throw why;
  return keys;
}

async function askFor(
  kind: readonly ServerHostKeyAlgorithm[],
  { name, config, jump, signal }: ScanWish,
): Promise<Buffer | AmiError> {
  const at = `${config.hostName}:${config.port}`;
  const patience = startPatience({ name, at, ms: (config.connectTimeout ?? 15) * 1000, signal });
  let socket: Duplex | undefined;
  try {
    ({ socket } = await openRoute(name, config, jump, patience));
    patience.waitFor("key exchange");
    const { Client: SshClient } = (await import("ssh2")).default;
    const client = new SshClient();
    const { promise, resolve, reject } = Promise.withResolvers<Buffer>();
    const stop = (): void => reject(patience.signal.reason);
    patience.signal.addEventListener("abort", stop, { once: true });
    client.on("error", reject).on("close", () => reject(new Error("the server hung up")));
    client.connect({
      sock: socket,
      username: config.user,
      readyTimeout: 0,
      algorithms: { ...algorithms(config), serverHostKey: [...kind] },
      hostVerifier(key: Buffer) {
        resolve(key);
        return false;
      },
    });
    try {
      return await promise;
    } finally {
      client.destroy();
    }
  } catch (error) {
    patience.signal.throwIfAborted();
    const { code } = asAmiError(error);
    // A server that cannot be reached at all is not asked four more times.
    if (code !== "internal.bug") throw error;
    const why = error instanceof Error ? error.message : String(error);
    return new AmiError("ssh.protocol", `${at} shows no host key: ${why}`, { host: name, cause: error });
  } finally {
    patience.end();
    socket?.destroy();
  }
}
