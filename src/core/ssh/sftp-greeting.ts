/** Sftp greeting: the first bytes of a server's sftp, which are its version or what stands in their place. */
import { Buffer } from "node:buffer";
import type { Connection } from "./connection.ts";
import { inside, isSessionChannel, stranger } from "./inside.ts";

export interface SftpGreeting {
  /** `refused`: the server knows no subsystem of that name. */
  readonly state: "refused" | "answered" | "closed" | "silent";
  /** As they came, at most 256. */
  readonly first: Buffer;
  /** Exit code of the server's sftp program, where it ended by itself. */
  readonly exit: number | undefined;
  readonly said: string;
}

/** Rejects with `ChannelRefused` or `ChannelLost`. */
export async function greetSftp(connection: Connection, ms: number): Promise<SftpGreeting> {
  const channel = await connection.channel("session");
  if (!isSessionChannel(channel)) throw stranger();
  const { promise, resolve } = Promise.withResolvers<SftpGreeting["state"]>();
  let first = Buffer.alloc(0);
  let said = "";
  let exit: number | undefined;
  channel._callbacks.push((refused) => {
    if (refused !== false) resolve("refused");
  });
  channel.on("data", (bytes: Buffer) => {
    first = Buffer.concat([first, bytes]).subarray(0, 256);
    if (first.length >= 5) resolve("answered");
  });
  channel.stderr.on("data", (bytes: Buffer) => void (said = (said + bytes.toString()).slice(0, 500)));
  channel.on("exit", (code: number | null) => void (exit = code ?? undefined));
  channel.on("close", () => resolve("closed"));
  channel.on("error", () => resolve("closed"));
  const timer = setTimeout(() => resolve("silent"), ms);
  inside(connection.client)._protocol.subsystem(channel.outgoing.id, "sftp", true);
  channel.subtype = "exec"; // a stream, not ssh2's own sftp client
  channel.write(hello);
  try {
    const state = await connection.during(promise);
    return { state, first, exit, said };
  } finally {
    clearTimeout(timer);
    channel.close();
  }
}

/** SSH_FXP_INIT, version 3. */
const hello = Buffer.from([0, 0, 0, 5, 1, 0, 0, 0, 3]);
